{{ config(materialized='table') }}

with cell_items as (
    select * from {{ ref('int_cell_items') }}
),

cell_groups as (
    select * from {{ ref('int_cell_groups') }}
),

computed_cells as (
    select * from {{ ref('int_computed_cells') }}
),

mean_cells as (
    select * from {{ ref('int_mean_cells') }}
),

grouped_cells as (
    select
        cell_groups.side,
        cell_groups.group_number,
        computed_cells.cell_number,
        computed_cells.sum_difference
    from cell_groups
    inner join computed_cells on cell_groups.cell_number = computed_cells.cell_number
),

-- Integers, so that the sums do not depend on their order.
by_group as (
    select
        grouped_cells.side,
        grouped_cells.group_number,
        cell_items.parallel_number,
        sum(cell_items.n_correct - cell_items.n_seeds * cell_items.baseline_correct) as difference,
        sum(grouped_cells.sum_difference) as sum_difference
    from cell_items
    inner join grouped_cells on cell_items.cell_number = grouped_cells.cell_number
    group by grouped_cells.side, grouped_cells.group_number, cell_items.parallel_number
),

group_influence as (
    select
        by_group.side,
        by_group.group_number,
        representatives.target_task,
        by_group.parallel_number,
        (by_group.difference - by_group.sum_difference / representatives.n_items)
        / (representatives.n_seeds * representatives.n_items) as influence
    from by_group
    inner join computed_cells as representatives on by_group.group_number = representatives.cell_number
),

group_weights as (
    select
        mean_cells.mean_number,
        case when mean_cells.part in ('row', 'regime') then 'source' else 'target' end as side,
        mean_cells.cell_number as group_number,
        mean_cells.weight
    from mean_cells
),

final as (
    select
        group_weights.mean_number,
        group_influence.target_task,
        group_influence.parallel_number,
        {{ exact_sum('group_weights.weight * group_influence.influence') }} as influence
    from group_influence
    inner join group_weights
        on group_influence.side = group_weights.side
        and group_influence.group_number = group_weights.group_number
    group by group_weights.mean_number, group_influence.target_task, group_influence.parallel_number
)

select * from final
