{{ config(materialized='table') }}

with computed_cells as (
    select * from {{ ref('int_computed_cells') }}
),

cell_errors as (
    select * from {{ ref('int_cell_errors') }}
),

imported_cells as (
    select * from {{ ref('int_imported_cells') }}
),

studies as (
    select * from {{ ref('stg_studies') }}
),

prompt_pools as (
    select * from {{ ref('int_prompt_pools') }}
),

computed as (
    select
        computed_cells.*,
        cell_errors.* exclude (cell_number) -- noqa: RF02
    from computed_cells
    left join cell_errors on computed_cells.cell_number = cell_errors.cell_number
),

-- An error over several seeds has as many degrees of freedom as seeds but one; any other is taken as exact.
imported as (
    select
        *,
        delta_pp / nullif(delta_se, 0) as t,
        nullif(greatest(coalesce(n_seeds, 1), 1) - 1, 0) as degrees_of_freedom,
        delta_se * case when n_seeds > 1 then {{ t_quantile_975('(n_seeds - 1)') }} else 1.959963984540054 end
            as half_width
    from imported_cells
),

imported_with_errors as (
    select
        * exclude (t, half_width),
        delta_pp - half_width as ci_low,
        delta_pp + half_width as ci_high,
        {{ two_sided_p('imported.t', 'imported.degrees_of_freedom') }} as p_value
    from imported
),

cells as (
    select * from computed
    union all by name
    select * from imported_with_errors
),

judged as (
    select
        cells.*,
        studies.origin,
        prompt_pools.prompt_pool,
        {{ regime() }} as regime,
        cells.delta_pp > 0 as is_positive,
        cells.delta_pp <= -studies.harm_threshold_pp as is_harm,
        -- The largest total of signed differences that is a harm and, flips moving it by twos, can occur.
        floor(1e-9 - studies.harm_threshold_pp * cells.n_items * cells.n_seeds / 100) as least_harm,
        least_harm - abs(least_harm - cells.sum_difference) % 2 as least_harm_total
    from cells
    inner join studies on cells.study = studies.study
    left join prompt_pools
        on cells.study = prompt_pools.study
        and cells.variant = prompt_pools.variant
        and cells.prompt is not distinct from prompt_pools.prompt
),

-- Benjamini and Hochberg: p times the family's tests over those at most as large, and no more than any larger p's.
with_family as (
    select
        *,
        -(least_harm_total + 1) / nullif(sqrt(sum_squared_difference), 0) as z_of_harm,
        count(p_value) over (partition by study, control, regime = 'MT-ML') as n_tests,
        count(p_value) over (
            partition by study, control, regime = 'MT-ML'
            order by p_value
        ) as n_as_small
    from judged
),

final as (
    select
        with_family.study,
        with_family.origin,
        with_family.variant,
        with_family.cell_number,
        with_family.model,
        with_family.source_task,
        with_family.source_language,
        with_family.target_task,
        with_family.target_language,
        with_family.control,
        with_family.prompt,
        with_family.prompt_pool,
        with_family.regime,
        with_family.metric,
        with_family.n_seeds,
        with_family.n_items,
        with_family.baseline_score,
        with_family.score,
        with_family.delta_pp,
        with_family.delta_se,
        with_family.ci_low,
        with_family.ci_high,
        with_family.p_value,
        case
            when with_family.p_value is not null
                then min(with_family.p_value * with_family.n_tests / with_family.n_as_small) over (
                    partition by with_family.study, with_family.control, with_family.regime = 'MT-ML'
                    order by with_family.p_value desc
                )
        end as q_value,
        with_family.is_positive,
        with_family.is_harm,
        case
            when with_family.sum_squared_difference = 0 then cast(with_family.is_harm as integer)
            when with_family.z_of_harm >= 0 then {{ two_sided_p('with_family.z_of_harm', 'null') }} / 2
            else 1 - {{ two_sided_p('with_family.z_of_harm', 'null') }} / 2
        end as null_harm_probability,
        with_family.gain_pct,
        with_family.loss_pct,
        with_family.residual_variance
    from with_family
)

select * from final
