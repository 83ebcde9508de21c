{{ config(materialized='table') }}

with transfer_jobs as (
    select * from {{ ref('int_transfer_jobs') }}
),

cell_items as (
    select * from {{ ref('int_cell_items') }}
),

cells as (
    select
        cell_number,
        study,
        model,
        variant,
        source_task,
        source_language,
        source,
        control,
        target_task,
        target_language,
        prompt,
        metric,
        count(*) as n_seeds
    from transfer_jobs
    group by all
),

-- Answers are counted over items and seeds; a baseline answer stands against each seed's.
counted as (
    select
        cell_number,
        count(*) as n_items,
        sum(n_seeds) as n_answers,
        sum(n_correct) as n_correct,
        sum(n_seeds * baseline_correct) as n_baseline_correct,
        sum(baseline_correct) as n_baseline_items,
        sum(n_correct) filter (where baseline_correct = 0) as n_gained,
        sum(n_seeds - n_correct) filter (where baseline_correct = 1) as n_lost,
        count(baseline_correct) as n_compared,
        count(*) filter (where n_correct > n_seeds * baseline_correct) as n_items_up,
        count(*) filter (where n_correct < n_seeds * baseline_correct) as n_items_down,
        sum(n_correct - n_seeds * baseline_correct) as sum_difference,
        sum(pow(n_correct - n_seeds * baseline_correct, 2)) as sum_squared_difference
    from cell_items
    group by cell_number
),

final as (
    select
        cells.*,
        coalesce(counted.n_items, 0) as n_items,
        counted.n_baseline_items / nullif(counted.n_compared, 0) as baseline_score,
        counted.n_correct / counted.n_answers as score,
        100 * (counted.n_correct - counted.n_baseline_correct) / counted.n_answers as delta_pp,
        case when counted.n_compared > 0 then 100 * coalesce(counted.n_gained, 0) / counted.n_answers end as gain_pct,
        case when counted.n_compared > 0 then 100 * coalesce(counted.n_lost, 0) / counted.n_answers end as loss_pct,
        counted.n_baseline_items as n_baseline_correct,
        coalesce(counted.n_gained, 0) + coalesce(counted.n_lost, 0) as n_changed_answers,
        counted.n_items_up,
        counted.n_items_down,
        counted.sum_difference,
        counted.sum_squared_difference
    from cells
    left join counted on cells.cell_number = counted.cell_number
)

select * from final
