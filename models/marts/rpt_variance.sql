{#- Sets of factors in which two cells agree, by the bits of grouping(model, source_cell, target_cell). -#}
{%- set agreements = {
    'none': 7, 'model': 3, 'source': 5, 'target': 6, 'model_source': 1, 'model_target': 2, 'source_target': 4,
} -%}
{%- set series = "study, variant, prompt_pool, regime" -%}

with grid_errors as (
    select * from {{ ref('int_grid_errors') }}
),

luck_sharing as (
    select * from {{ ref('int_luck_sharing') }}
    where outcome = 'accuracy'
),

studies as (
    select * from {{ ref('stg_studies') }}
),

cells as (
    select
        study,
        variant,
        prompt_pool,
        model,
        [source_task, source_language] as source_cell,
        [target_task, target_language] as target_cell,
        unnest([regime, 'transfer']) as regime,
        -- Within a task (MT-CL) or a language (CT-ML), sources meet targets; across two they never do.
        unnest([case regime when 'MT-CL' then target_task when 'CT-ML' then target_language end, null]) as block,
        delta_pp,
        items_pp2,
        runs_pp2,
        covariance_pp2,
        sqrt(runs_pp2) as luck_pp
    from grid_errors
    where is_in_complete_grid and regime != 'MT-ML'
),

-- Centred, so that sums of squares keep their precision.
centred as (
    select
        *,
        delta_pp - avg(delta_pp order by delta_pp) over (partition by {{ series }}) as deviation
    from cells
),

grouped as (
    select
        {{ series }},
        grouping(model, source_cell, target_cell) as agreement,
        count(*) * (count(*) - 1) / 2 as n_pairs,
        (
            count(*) * {{ in_order('sum', 'deviation * deviation') }}
            - pow({{ in_order('sum', 'deviation') }}, 2)
        ) / 2 as half_squares
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
        {{ in_order('sum', 'half_squares', 'agreement = ' ~ bits) }} as h_{{ name }},
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

-- What the targets of one adapter share of a run's luck: mean covariance of two cells of one model and source.
summed_luck as (
    select
        {{ series }},
        grouping(target_cell[1], target_cell[2]) as is_over,
        pow({{ in_order('sum', 'luck_pp') }}, 2) - {{ in_order('sum', 'pow(luck_pp, 2)') }} as products,
        count(*) * (count(*) - 1) as n_products
    from cells
    group by grouping sets (
        ({{ series }}, block, model, source_cell),
        ({{ series }}, block, model, source_cell, target_cell[1]),
        ({{ series }}, block, model, source_cell, target_cell[2])
    )
),

{%- set shared_part -%}
    case summed_luck.is_over
        when 3 then luck_sharing.of_all
        when 1 then luck_sharing.of_task
        when 2 then luck_sharing.of_language
    end
{%- endset %}

shared_luck as (
    select
        summed_luck.study,
        summed_luck.variant,
        summed_luck.prompt_pool,
        summed_luck.regime,
        {{ in_order('sum', 'summed_luck.products * ' ~ shared_part) }}
        / nullif(sum(summed_luck.n_products) filter (where summed_luck.is_over = 3), 0) as shared_runs_pp2
    from summed_luck
    inner join luck_sharing on summed_luck.study = luck_sharing.study
    group by all
),

-- Sampling of items: a cell's variance, and what of it the cells of one model and target share. It is not known where a
-- cell has no standard error, and then stays in the other components, as runs do where they were not repeated.
sampling as (
    select
        {{ series }},
        count(distinct model) as n_models,
        case when count(items_pp2) = count(*) then {{ in_order('avg', 'items_pp2') }} end as items,
        case
            when count(items_pp2) = count(*)
                then least(greatest({{ in_order('avg', 'coalesce(covariance_pp2, 0)') }}, 0), items)
        end as shared_items,
        case when count(runs_pp2) = count(*) then {{ in_order('avg', 'runs_pp2') }} end as runs
    from cells
    group by all
),

sampled as (
    select
        exactly.*,
        sampling.n_models,
        sampling.items as of_sampling,
        sampling.runs as of_run,
        coalesce(sampling.shared_items, 0) as shared_items,
        least(coalesce(shared_luck.shared_runs_pp2, 0), coalesce(sampling.runs, 0)) as shared_runs,
        coalesce(sampling.items - sampling.shared_items, 0) as own_items,
        coalesce(sampling.runs, 0) - shared_runs as own_runs
    from exactly
    inner join sampling
        on exactly.study = sampling.study
        and exactly.variant = sampling.variant
        and exactly.prompt_pool is not distinct from sampling.prompt_pool
        and exactly.regime = sampling.regime
    left join shared_luck
        on exactly.study = shared_luck.study
        and exactly.variant = shared_luck.variant
        and exactly.prompt_pool is not distinct from shared_luck.prompt_pool
        and exactly.regime = shared_luck.regime
),

components as (
    select
        {{ series }},
        n_models,
        v_none - v_model as of_model,
        v_none - v_source as of_source,
        v_none - v_target as of_target,
        v_model + v_source - v_none - v_model_source - shared_runs as of_model_source,
        v_model + v_target - v_none - v_model_target - shared_items as of_model_target,
        v_source + v_target - v_none - v_source_target as of_source_target,
        of_run,
        of_sampling,
        v_none - v_model - v_source - v_target + v_model_source + v_model_target + v_source_target - own_items
        - own_runs
            as of_residual
    from sampled
),

{%- set names = [
    'model', 'source', 'target', 'model_source', 'model_target', 'source_target', 'run', 'sampling', 'residual',
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
        variance / nullif(sum(variance order by variance) over (partition by {{ series }}), 0) as proportion
    from listed
),

final as (
    select
        shares.study,
        studies.origin,
        shares.variant,
        shares.prompt_pool as prompt,
        shares.prompt_pool,
        shares.regime,
        shares.component,
        shares.proportion as share -- noqa: RF04
    from shares
    inner join studies on shares.study = studies.study
)

select * from final
