{{ config(materialized='table') }}

with statistic_terms as (
    select * from {{ ref('int_statistic_terms') }}
),

statistic_parallels as (
    select * from {{ ref('int_statistic_parallels') }}
),

statistic_runs as (
    select * from {{ ref('int_statistic_runs') }}
),

statistic_cells as (
    select * from {{ ref('int_statistic_cells') }}
),

computed_cells as (
    select * from {{ ref('int_computed_cells') }}
),

parallel_items as (
    select * from {{ ref('int_parallel_items') }}
),

statistics as (
    select distinct
        statistic_number,
        study,
        variant,
        prompt_pool,
        scope,
        axis,
        statistic,
        within_block,
        entity
    from statistic_terms
),

tasks as (
    select distinct
        study,
        target_task,
        n_parallels
    from parallel_items
),

task_weights as (
    select
        statistic_cells.statistic_number,
        computed_cells.target_task,
        {{ exact_sum('pow(statistic_cells.weight, 2)') }} as sum_squared_weight
    from statistic_cells
    inner join computed_cells on statistic_cells.cell_number = computed_cells.cell_number
    group by statistic_cells.statistic_number, computed_cells.target_task
),

task_variance as (
    select
        statistic_parallels.statistic_number,
        statistic_parallels.target_task,
        tasks.n_parallels - 1 as degrees,
        {{ item_variance('statistic_parallels.influence', 'task_weights.sum_squared_weight', 'tasks.n_parallels') }}
            as variance
    from statistic_parallels
    inner join statistics on statistic_parallels.statistic_number = statistics.statistic_number
    inner join tasks
        on statistics.study = tasks.study
        and statistic_parallels.target_task = tasks.target_task
    inner join task_weights
        on statistic_parallels.statistic_number = task_weights.statistic_number
        and statistic_parallels.target_task = task_weights.target_task
    group by statistic_parallels.statistic_number, statistic_parallels.target_task, tasks.n_parallels
),

item_variance as (
    select
        statistic_number,
        case when min(degrees) > 0 then {{ in_order('sum', 'variance') }} end as variance,
        {{ in_order('sum', 'pow(variance, 2) / degrees', 'degrees > 0') }} as variance_of_variance
    from task_variance
    group by statistic_number
),

combined as (
    select
        statistics.*,
        item_variance.variance as from_items,
        statistic_runs.variance as from_runs,
        from_items + coalesce(from_runs, 0) as variance,
        item_variance.variance_of_variance + coalesce(statistic_runs.variance_of_variance, 0)
            as variance_of_variance
    from statistics
    inner join item_variance on statistics.statistic_number = item_variance.statistic_number
    left join statistic_runs on statistics.statistic_number = statistic_runs.statistic_number
),

-- Satterthwaite's degrees of freedom.
with_degrees as (
    select
        *,
        greatest(1, coalesce(pow(variance, 2) / nullif(variance_of_variance, 0), 1)) as degrees_of_freedom
    from combined
),

final as (
    select
        statistic_number,
        study,
        variant,
        prompt_pool,
        scope,
        axis,
        statistic,
        within_block,
        entity,
        100 * sqrt(coalesce(from_runs, 0)) as run_se,
        100 * sqrt(variance) as standard_error,
        degrees_of_freedom,
        100 * sqrt(variance) * {{ t_quantile_975('degrees_of_freedom') }} as half_width
    from with_degrees
)

select * from final
