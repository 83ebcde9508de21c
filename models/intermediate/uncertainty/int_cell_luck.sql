{{ config(materialized='table') }}

with luck_cells as (
    select * from {{ ref('int_luck_cells') }}
),

run_luck as (
    select * from {{ ref('int_run_luck') }}
),

final as (
    select
        luck_cells.outcome,
        luck_cells.cell_number,
        luck_cells.study,
        luck_cells.luck_scale * run_luck.luck_variance / luck_cells.n_seeds as from_runs,
        pow(luck_cells.luck_scale * run_luck.luck_and_noise / luck_cells.n_seeds, 2)
        / run_luck.degrees_of_freedom as from_runs_spread
    from luck_cells
    left join run_luck
        on luck_cells.outcome = run_luck.outcome
        and luck_cells.study = run_luck.study
        and luck_cells.variant = run_luck.variant
        and luck_cells.source = run_luck.source
        and luck_cells.is_trained_cell = run_luck.is_trained_cell
)

select * from final
