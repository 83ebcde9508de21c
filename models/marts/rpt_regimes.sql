with transfer_cells as (
    select * from {{ ref('int_transfer_cells') }}
),

parallel_influence as (
    select * from {{ ref('int_parallel_influence') }}
),

-- Each cell counts for all models and for its own, for its regime and, unless it is the trained cell, for 'transfer'.
cells_by_scope as (
    select
        *,
        unnest(['all', model]) as scope
    from transfer_cells
    where control is null and delta_pp is not null
),

cells as (
    select
        * exclude (regime),
        unnest(case when regime = 'MT-ML' then [regime] else [regime, 'transfer'] end) as regime
    from cells_by_scope
),

influence_by_scope as (
    select
        *,
        unnest(['all', model]) as scope
    from parallel_influence
),

influence as (
    select
        * exclude (regime),
        unnest(case when regime = 'MT-ML' then [regime] else [regime, 'transfer'] end) as regime
    from influence_by_scope
),

summary as (
    select
        study,
        origin,
        variant,
        prompt_pool,
        scope,
        regime,
        count(*) as n_cells,
        avg(delta_pp) as mean_pp,
        median(delta_pp) as median_pp,
        100 * count_if(is_positive) / count(*) as positive_pct,
        100 * count_if(is_harm) / count(*) as harm_pct,
        bool_and(cell_number is not null) as has_items
    from cells
    group by all
),

influence_of_parallel as (
    select
        study,
        variant,
        prompt_pool,
        scope,
        regime,
        target_task,
        parallel_id,
        sum(influence) as influence
    from influence
    group by all
),

variance_of_task as (
    select
        study,
        variant,
        prompt_pool,
        scope,
        regime,
        target_task,
        sum(influence * influence) as variance,
        count(*) as n_parallels
    from influence_of_parallel
    group by all
),

-- The standard deviation, in percentage points, that resampling gives the sum of all cells' differences.
spread as (
    select
        study,
        variant,
        prompt_pool,
        scope,
        regime,
        100 * sqrt(sum(variance)) as standard_deviation_of_sum,
        min(n_parallels) as n_parallels
    from variance_of_task
    group by all
),

with_half_width as (
    select
        summary.*,
        case
            when summary.has_items and spread.n_parallels > 1
                then 1.959963984540054 * spread.standard_deviation_of_sum / summary.n_cells
        end as half_width
    from summary
    left join spread
        on summary.study = spread.study
        and summary.variant = spread.variant
        and summary.prompt_pool is not distinct from spread.prompt_pool
        and summary.scope = spread.scope
        and summary.regime = spread.regime
),

final as (
    select
        study,
        origin,
        variant,
        prompt_pool as prompt,
        scope,
        regime,
        n_cells,
        mean_pp,
        median_pp,
        positive_pct,
        harm_pct,
        cast(null as double) as sig_harm_pct,
        cast(null as double) as null_harm_pct,
        mean_pp - half_width as ci_low,
        mean_pp + half_width as ci_high
    from with_half_width
)

select * from final
