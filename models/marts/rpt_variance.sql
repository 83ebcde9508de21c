{#- Sets of factors in which two cells agree, by the bits of grouping(model, source_cell, target_cell). -#}
{%- set agreements = {
    'none': 7, 'model': 3, 'source': 5, 'target': 6, 'model_source': 1, 'model_target': 2, 'source_target': 4,
} -%}
{%- set series = "study, variant, prompt_pool, regime" -%}

with role_grid as (
    select * from {{ ref('int_role_grid') }}
),

transfer as (
    select * from {{ ref('fct_transfer') }}
),

prompt_pools as (
    select * from {{ ref('int_prompt_pools') }}
),

sampling_covariance as (
    select * from {{ ref('int_sampling_covariance') }}
),

studies as (
    select * from {{ ref('stg_studies') }}
),

errors as (
    select
        transfer.* exclude (prompt), -- noqa: RF02
        prompt_pools.prompt_pool
    from transfer
    inner join prompt_pools
        on transfer.study = prompt_pools.study
        and transfer.variant = prompt_pools.variant
        and transfer.prompt is not distinct from prompt_pools.prompt
    where transfer.control is null
),

cells as (
    select
        role_grid.study,
        role_grid.variant,
        role_grid.prompt_pool,
        role_grid.model,
        [role_grid.source_task, role_grid.source_language] as source_cell,
        [role_grid.target_task, role_grid.target_language] as target_cell,
        unnest([role_grid.regime, 'transfer']) as regime,
        -- Within a task (MT-CL) or a language (CT-ML), sources meet targets; across two they never do.
        unnest([
            case role_grid.regime
                when 'MT-CL' then role_grid.target_task
                when 'CT-ML' then role_grid.target_language
            end,
            null
        ]) as block,
        role_grid.delta_pp,
        errors.delta_se,
        sampling_covariance.covariance_pp2
    from role_grid
    left join errors
        on role_grid.study = errors.study
        and role_grid.variant = errors.variant
        and role_grid.prompt_pool is not distinct from errors.prompt_pool
        and role_grid.model = errors.model
        and role_grid.source_task = errors.source_task
        and role_grid.source_language = errors.source_language
        and role_grid.target_task = errors.target_task
        and role_grid.target_language = errors.target_language
    left join sampling_covariance
        on role_grid.study = sampling_covariance.study
        and role_grid.variant = sampling_covariance.variant
        and role_grid.prompt_pool is not distinct from sampling_covariance.prompt_pool
        and role_grid.model = sampling_covariance.model
        and role_grid.target_task = sampling_covariance.target_task
        and role_grid.target_language = sampling_covariance.target_language
    where role_grid.scope = 'all' and role_grid.is_in_complete_grid
),

-- Centred, so that sums of squares keep their precision.
centred as (
    select
        *,
        delta_pp - avg(delta_pp) over (partition by {{ series }}) as deviation
    from cells
),

grouped as (
    select
        {{ series }},
        grouping(model, source_cell, target_cell) as agreement,
        count(*) * (count(*) - 1) / 2 as n_pairs,
        (count(*) * sum(deviation * deviation) - pow(sum(deviation), 2)) / 2 as half_squares
    from centred
    group by grouping sets (
        ({{ series }}, block),
        ({{ series }}, block, model),
        ({{ series }}, block, source_cell),
        ({{ series }}, block, target_cell),
        ({{ series }}, block, model, source_cell),
        ({{ series }}, block, model, target_cell),
        ({{ series }}, block, source_cell, target_cell)
    )
),

-- Pairs of cells that agree at least in these factors, and half their squared differences.
at_least as (
    select
        {%- for name, bits in agreements.items() %}
        sum(n_pairs) filter (where agreement = {{ bits }}) as n_{{ name }},
        sum(half_squares) filter (where agreement = {{ bits }}) as h_{{ name }},
        {%- endfor %}
        {{ series }}
    from grouped
    group by all
),

-- Mean half squared difference of pairs that agree in exactly these factors; NULL where there is no such pair.
exactly as (
    select
        {{ series }},
        (h_none - h_model - h_source - h_target + h_model_source + h_model_target + h_source_target)
        / nullif(n_none - n_model - n_source - n_target + n_model_source + n_model_target + n_source_target, 0)
            as v_none,
        (h_model - h_model_source - h_model_target) / nullif(n_model - n_model_source - n_model_target, 0) as v_model,
        (h_source - h_model_source - h_source_target) / nullif(n_source - n_model_source - n_source_target, 0)
            as v_source,
        (h_target - h_model_target - h_source_target) / nullif(n_target - n_model_target - n_source_target, 0)
            as v_target,
        h_model_source / nullif(n_model_source, 0) as v_model_source,
        h_model_target / nullif(n_model_target, 0) as v_model_target,
        h_source_target / nullif(n_source_target, 0) as v_source_target
    from at_least
),

-- Sampling: a cell's whole variance, and what of it the cells of one model and target share. It is not known where a
-- cell has no standard error, and then stays in the other components.
sampling as (
    select
        {{ series }},
        count(distinct model) as n_models,
        case when count(delta_se) = count(*) then avg(delta_se * delta_se) end as variance,
        case
            when count(delta_se) = count(*)
                then least(greatest(avg(coalesce(covariance_pp2, 0)), 0), avg(delta_se * delta_se))
        end as shared_variance
    from cells
    group by all
),

sampled as (
    select
        exactly.*,
        sampling.n_models,
        sampling.variance as of_sampling,
        coalesce(sampling.shared_variance, 0) as shared_variance,
        coalesce(sampling.variance - sampling.shared_variance, 0) as own_variance
    from exactly
    inner join sampling
        on exactly.study = sampling.study
        and exactly.variant = sampling.variant
        and exactly.prompt_pool is not distinct from sampling.prompt_pool
        and exactly.regime = sampling.regime
),

components as (
    select
        {{ series }},
        n_models,
        v_none - v_model as of_model,
        v_none - v_source as of_source,
        v_none - v_target as of_target,
        v_model + v_source - v_none - v_model_source as of_model_source,
        v_model + v_target - v_none - v_model_target - shared_variance as of_model_target,
        v_source + v_target - v_none - v_source_target as of_source_target,
        of_sampling,
        v_none - v_model - v_source - v_target + v_model_source + v_model_target + v_source_target - own_variance
            as of_residual
    from sampled
),

{%- set names = [
    'model', 'source', 'target', 'model_source', 'model_target', 'source_target', 'sampling', 'residual',
] %}

-- An estimate below 0 stands for 0. The residual is NULL where anything else of the layout could not be told.
estimated as (
    select
        *,
        n_models >= 3 and of_residual is not null as is_told
    from components
),

listed as (
    select
        study,
        variant,
        prompt_pool,
        regime,
        unnest(['{{ names | join("', '") }}']) as component,
        unnest([
            {%- for name in names %}
            case when is_told and of_{{ name }} < 0 then 0 when is_told then of_{{ name }} end{{ "," if not loop.last }}
            {%- endfor %}
        ]) as variance
    from estimated
),

shares as (
    select
        *,
        variance / nullif(sum(variance) over (partition by {{ series }}), 0) as proportion
    from listed
),

final as (
    select
        shares.study,
        studies.origin,
        shares.variant,
        shares.prompt_pool as prompt,
        shares.regime,
        shares.component,
        shares.proportion as share -- noqa: RF04
    from shares
    inner join studies on shares.study = studies.study
)

select * from final
