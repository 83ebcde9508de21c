{{ config(materialized='table') }}

with mean_cells as (
    select * from {{ ref('int_mean_cells') }}
),

mean_parallels as (
    select * from {{ ref('int_mean_parallels') }}
),

parallel_items as (
    select * from {{ ref('int_parallel_items') }}
),

computed_cells as (
    select * from {{ ref('int_computed_cells') }}
),

cell_seeds as (
    select * from {{ ref('int_cell_seeds') }}
),

cell_errors as (
    select * from {{ ref('int_cell_errors') }}
),

means as (
    select distinct
        mean_number,
        study,
        variant,
        prompt_pool,
        role,
        axis,
        scope,
        entity
    from mean_cells
),

tasks as (
    select distinct
        study,
        target_task,
        n_parallels
    from parallel_items
),

-- The variance of the mean of n draws with replacement is n / (n - 1) times that of the draws at hand.
task_variance as (
    select
        mean_parallels.mean_number,
        mean_parallels.target_task,
        tasks.n_parallels - 1 as degrees,
        (
            sum(pow(mean_parallels.influence, 2))
            - pow(sum(mean_parallels.influence), 2) / any_value(tasks.n_parallels)
        ) * any_value(tasks.n_parallels) / nullif(any_value(tasks.n_parallels) - 1, 0) as variance
    from mean_parallels
    inner join means on mean_parallels.mean_number = means.mean_number
    inner join tasks
        on means.study = tasks.study
        and mean_parallels.target_task = tasks.target_task
    group by mean_parallels.mean_number, mean_parallels.target_task, tasks.n_parallels
),

item_variance as (
    select
        mean_number,
        case when min(degrees) > 0 then sum(variance) end as variance,
        sum(pow(variance, 2) / degrees) filter (where degrees > 0) as variance_of_variance
    from task_variance
    group by mean_number
),

-- One adapter, all of whose targets its luck moves together.
run_influence as (
    select
        mean_cells.mean_number,
        computed_cells.model,
        computed_cells.source_task,
        computed_cells.source_language,
        computed_cells.control,
        cell_seeds.seed,
        sum(
            mean_cells.weight * (cell_seeds.n_correct / cell_seeds.n_items - computed_cells.score)
            / computed_cells.n_seeds
        ) as influence
    from mean_cells
    inner join computed_cells on mean_cells.cell_number = computed_cells.cell_number
    inner join cell_seeds on computed_cells.cell_number = cell_seeds.cell_number
    where computed_cells.n_seeds > 1
    group by all
),

source_variance as (
    select
        mean_number,
        count(*) - 1 as degrees,
        sum(pow(influence, 2)) * count(*) / nullif(count(*) - 1, 0) as variance
    from run_influence
    group by mean_number, model, source_task, source_language, control
),

seed_variance as (
    select
        mean_number,
        sum(variance) as variance,
        sum(pow(variance, 2) / degrees) as variance_of_variance
    from source_variance
    where degrees > 0
    group by mean_number
),

-- What of the seeds' spread is the items' doing, which is in the items' part already.
residual_variance as (
    select
        mean_cells.mean_number,
        sum(pow(mean_cells.weight, 2) * coalesce(cell_errors.residual_variance, 0)) as variance
    from mean_cells
    inner join cell_errors on mean_cells.cell_number = cell_errors.cell_number
    group by mean_cells.mean_number
),

combined as (
    select
        means.*,
        item_variance.variance as from_items,
        -- (Equal up to rounding is equal.)
        case
            when seed_variance.variance > (1 + 1e-9) * residual_variance.variance
                then seed_variance.variance - residual_variance.variance
            else 0
        end as from_seeds,
        from_items + from_seeds as variance,
        item_variance.variance_of_variance
        + case when from_seeds > 0 then seed_variance.variance_of_variance else 0 end as variance_of_variance
    from means
    inner join item_variance on means.mean_number = item_variance.mean_number
    left join seed_variance on means.mean_number = seed_variance.mean_number
    left join residual_variance on means.mean_number = residual_variance.mean_number
),

-- Satterthwaite's degrees of freedom; where nothing varies the quantile has nothing to widen.
with_degrees as (
    select
        *,
        greatest(1, coalesce(pow(variance, 2) / nullif(variance_of_variance, 0), 1)) as degrees_of_freedom
    from combined
),

final as (
    select
        mean_number,
        study,
        variant,
        prompt_pool,
        role,
        axis,
        scope,
        entity,
        100 * sqrt(from_seeds) as seed_se,
        100 * sqrt(variance) as standard_error,
        degrees_of_freedom,
        100 * sqrt(variance) * {{ t_quantile_975('degrees_of_freedom') }} as half_width
    from with_degrees
)

select * from final
