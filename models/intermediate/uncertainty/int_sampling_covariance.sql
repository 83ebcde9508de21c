{{ config(materialized='table') }}

with role_grid as (
    select * from {{ ref('int_role_grid') }}
),

cell_items as (
    select * from {{ ref('int_cell_items') }}
),

{%- set column = "study, variant, prompt_pool, model, target_task, target_language" %}

cells as (
    select
        {{ column }},
        cell_number,
        delta_pp / 100 as mean_difference,
        dense_rank() over (order by {{ column }}) as column_number
    from role_grid
    where scope = 'all' and is_in_complete_grid and regime != 'MT-ML' and cell_number is not null
),

target_columns as (
    select distinct
        column_number,
        {{ column }}
    from cells
),

deviations as (
    select
        cells.column_number,
        cell_items.item_id,
        cell_items.n_correct / cell_items.n_seeds - cell_items.baseline_correct - cells.mean_difference as deviation
    from cell_items
    inner join cells on cell_items.cell_number = cells.cell_number
),

by_item as (
    select
        column_number,
        item_id,
        count(*) as n_sources,
        {{ exact_sum('deviation') }} as sum_deviation,
        {{ exact_sum('deviation * deviation') }} as sum_squares
    from deviations
    group by column_number, item_id
),

-- Sum over pairs of different sources of the products of their deviations, from the square of their sum.
by_column as (
    select
        column_number,
        {{ exact_sum('sum_deviation * sum_deviation - sum_squares') }}
        / nullif(sum(n_sources * (n_sources - 1)), 0) as covariance,
        count(*) as n_items
    from by_item
    group by column_number
),

final as (
    select
        target_columns.* exclude (column_number), -- noqa: RF02
        pow(100, 2) * by_column.covariance / nullif(by_column.n_items - 1, 0) as covariance_pp2
    from by_column
    inner join target_columns on by_column.column_number = target_columns.column_number
)

select * from final
