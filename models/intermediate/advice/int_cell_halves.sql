{{ config(materialized='table') }}

with cell_items as (
    select * from {{ ref('int_cell_items') }}
),

role_grid as (
    select * from {{ ref('int_role_grid') }}
),

draws as (
    select distinct parallel_number from cell_items
),

-- A digest decides the half of an item and of all its translations, so it is the same in every cell.
halves as (
    select
        parallel_number,
        md5_number_lower(cast(parallel_number as varchar)) % 2 = 0 as is_first
    from draws
),

cells as (
    select cell_number from role_grid
    where scope = 'all' and is_in_complete_grid and regime != 'MT-ML' and cell_number is not null
),

answers as (
    select
        cell_items.cell_number,
        cell_items.n_seeds,
        cell_items.n_correct - cell_items.n_seeds * cell_items.baseline_correct as difference,
        halves.is_first
    from cell_items
    inner join cells on cell_items.cell_number = cells.cell_number
    inner join halves on cell_items.parallel_number = halves.parallel_number
),

final as (
    select
        cell_number,
        100 * sum(difference) filter (where is_first) / sum(n_seeds) filter (where is_first) as first_delta_pp,
        100 * sum(difference) filter (where not is_first) / sum(n_seeds) filter (where not is_first)
            as second_delta_pp
    from answers
    group by cell_number
)

select * from final
