{#-
    CTEs of how sure weighted sums of cells are, the cells' answers to an item taken together: what they have in common,
    the base model's answers first of all, cancels item by item.

    Reads the CTE `statistic_cells`: statistic_number, cell_number, weight. Imports the cells' answers and what is known of
    right answers' luck. Writes `statistic_errors`: statistic_number, error_of, standard_error (percentage points; NULL
    where a task has a single item) and degrees_of_freedom.
-#}
{% macro statistic_errors() -%}
{%- set change -%}
    (cell_items.n_correct - cell_items.n_seeds * cell_items.baseline_correct) / computed_cells.n_seeds
    - computed_cells.sum_difference / (computed_cells.n_items * computed_cells.n_seeds)
{%- endset %}

cell_items as (
    select * from {{ ref('int_cell_items') }}
),

computed_cells as (
    select * from {{ ref('int_computed_cells') }}
),

-- One parallel item's pull on the sum: as int_mean_parallels has it of means.
by_parallel as (
    select
        statistic_cells.statistic_number,
        computed_cells.target_task,
        cell_items.parallel_number,
        {{ exact_sum('statistic_cells.weight * (' ~ change ~ ') / computed_cells.n_items') }} as influence
    from statistic_cells
    inner join computed_cells on statistic_cells.cell_number = computed_cells.cell_number
    inner join cell_items on statistic_cells.cell_number = cell_items.cell_number
    group by statistic_cells.statistic_number, computed_cells.target_task, cell_items.parallel_number
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
        by_parallel.statistic_number,
        by_parallel.target_task,
        count(*) - 1 as degrees,
        {{ item_variance('by_parallel.influence', 'task_weights.sum_squared_weight') }} as variance
    from by_parallel
    inner join task_weights
        on by_parallel.statistic_number = task_weights.statistic_number
        and by_parallel.target_task = task_weights.target_task
    group by by_parallel.statistic_number, by_parallel.target_task
),

item_variance as (
    select
        statistic_number,
        case when min(degrees) > 0 then {{ in_order('sum', 'variance') }} end as variance,
        {{ in_order('sum', 'pow(variance, 2) / nullif(degrees, 0)') }} as variance_of_variance
    from task_variance
    group by statistic_number
),

{{ statistic_runs() }},

combined as (
    select
        item_variance.statistic_number,
        statistic_runs.variance is not null as knows_luck,
        item_variance.variance + coalesce(statistic_runs.variance, 0) as variance,
        item_variance.variance_of_variance + coalesce(statistic_runs.variance_of_variance, 0) as variance_of_variance
    from item_variance
    left join statistic_runs on item_variance.statistic_number = statistic_runs.statistic_number
),

-- Satterthwaite's degrees of freedom.
statistic_errors as (
    select
        statistic_number,
        case when knows_luck then 'tuning' else 'this run' end as error_of,
        100 * sqrt(variance) as standard_error,
        greatest(1, coalesce(pow(variance, 2) / nullif(variance_of_variance, 0), 1)) as degrees_of_freedom
    from combined
)
{%- endmacro %}
