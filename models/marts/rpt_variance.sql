{#- Sets of factors in which two cells agree, by the bits of grouping(model, source_cell, target_cell). -#}
{%- set agreements = {
    'none': 7, 'model': 3, 'source': 5, 'target': 6, 'model_source': 1, 'model_target': 2, 'source_target': 4,
} -%}
{%- set series = "study, variant, prompt_pool, regime" -%}

with role_grid as (
    select * from {{ ref('int_role_grid') }}
),

transfer_cells as (
    select * from {{ ref('int_transfer_cells') }}
),

luck_cells as (
    select * from {{ ref('int_luck_cells') }}
    where outcome = 'accuracy'
),

run_luck as (
    select * from {{ ref('int_run_luck') }}
    where outcome = 'accuracy'
),

luck_sharing as (
    select * from {{ ref('int_luck_sharing') }}
    where outcome = 'accuracy'
),

sampling_covariance as (
    select * from {{ ref('int_sampling_covariance') }}
),

studies as (
    select * from {{ ref('stg_studies') }}
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
        -- Published errors are of items and runs, and cannot be told apart.
        coalesce(1e4 * transfer_cells.from_items, pow(transfer_cells.delta_se, 2)) as items_pp2,
        1e4 * transfer_cells.from_runs as runs_pp2,
        sampling_covariance.covariance_pp2,
        100 * sqrt(luck_cells.luck_scale * run_luck.luck_variance / luck_cells.n_seeds) as luck_pp
    from role_grid
    left join transfer_cells
        on role_grid.study = transfer_cells.study
        and role_grid.variant = transfer_cells.variant
        and role_grid.prompt_pool is not distinct from transfer_cells.prompt_pool
        and role_grid.model = transfer_cells.model
        and role_grid.source_task = transfer_cells.source_task
        and role_grid.source_language = transfer_cells.source_language
        and role_grid.target_task = transfer_cells.target_task
        and role_grid.target_language = transfer_cells.target_language
        and transfer_cells.control is null
    left join luck_cells on role_grid.cell_number = luck_cells.cell_number
    left join run_luck
        on luck_cells.study = run_luck.study
        and luck_cells.variant = run_luck.variant
        and luck_cells.source_task = run_luck.source_task
        and luck_cells.source_language = run_luck.source_language
        and luck_cells.is_trained_cell = run_luck.is_trained_cell
    left join sampling_covariance
        on role_grid.study = sampling_covariance.study
        and role_grid.variant = sampling_covariance.variant
        and role_grid.prompt_pool is not distinct from sampling_covariance.prompt_pool
        and role_grid.model = sampling_covariance.model
        and role_grid.target_task = sampling_covariance.target_task
        and role_grid.target_language = sampling_covariance.target_language
    where role_grid.scope = 'all' and role_grid.is_in_complete_grid and role_grid.regime != 'MT-ML'
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

-- What the targets of one adapter share of a run's luck: mean covariance of two cells of one model and source.
summed_luck as (
    select
        {{ series }},
        grouping(target_cell[1], target_cell[2]) as is_over,
        pow(sum(luck_pp), 2) - sum(pow(luck_pp, 2)) as products,
        count(*) * (count(*) - 1) as n_products
    from cells
    group by grouping sets (
        ({{ series }}, block, model, source_cell),
        ({{ series }}, block, model, source_cell, target_cell[1]),
        ({{ series }}, block, model, source_cell, target_cell[2])
    )
),

shared_luck as (
    select
        summed_luck.study,
        summed_luck.variant,
        summed_luck.prompt_pool,
        summed_luck.regime,
        sum(
            summed_luck.products * case summed_luck.is_over
                when 3 then luck_sharing.of_all
                when 1 then luck_sharing.of_task
                when 2 then luck_sharing.of_language
            end
        ) / nullif(sum(summed_luck.n_products) filter (where summed_luck.is_over = 3), 0) as shared_runs_pp2
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
        case when count(items_pp2) = count(*) then avg(items_pp2) end as items,
        case
            when count(items_pp2) = count(*)
                then least(greatest(avg(coalesce(covariance_pp2, 0)), 0), avg(items_pp2))
        end as shared_items,
        case when count(runs_pp2) = count(*) then avg(runs_pp2) end as runs
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
        variance / nullif(sum(variance) over (partition by {{ series }}), 0) as proportion
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
