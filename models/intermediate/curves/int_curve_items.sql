{{ config(materialized='table') }}

with curve_jobs as (
    select * from {{ ref('int_curve_jobs') }}
),

item_correctness as (
    select * from {{ ref('int_item_correctness') }}
),

cell_items as (
    select * from {{ ref('int_cell_items') }}
),

-- Only items that the base model and every run answered, after every fraction.
judged as (
    select
        curve_jobs.cell_number,
        curve_jobs.seed,
        curve_jobs.fraction,
        item_correctness.item_id,
        cast({{ correct_in_metric('curve_jobs.metric', 'item_correctness') }} as integer) as is_correct,
        count(*) over (partition by curve_jobs.cell_number, item_correctness.item_id) as n_answers,
        curve_jobs.n_jobs
    from curve_jobs
    inner join item_correctness on curve_jobs.job_number = item_correctness.job_number
    where {{ correct_in_metric('curve_jobs.metric', 'item_correctness') }} is not null
),

final as (
    select
        judged.cell_number,
        judged.seed,
        judged.fraction,
        cell_items.parallel_number,
        count(*) as n_items,
        sum(judged.is_correct - cell_items.baseline_correct) as sum_difference
    from judged
    inner join cell_items
        on judged.cell_number = cell_items.cell_number
        and judged.item_id = cell_items.item_id
    where judged.n_answers = judged.n_jobs and cell_items.baseline_correct is not null
    group by judged.cell_number, judged.seed, judged.fraction, cell_items.parallel_number
)

select * from final
