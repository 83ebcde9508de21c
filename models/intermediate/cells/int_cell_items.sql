{{ config(materialized='table') }}

with item_correctness as (
    select * from {{ ref('int_item_correctness') }}
),

transfer_jobs as (
    select * from {{ ref('int_transfer_jobs') }}
),

parallel_items as (
    select * from {{ ref('int_parallel_items') }}
),

cells as (
    select
        cell_number,
        count(*) as n_seeds,
        any_value(study) as study,
        any_value(baseline_job_number) as baseline_job_number
    from transfer_jobs
    group by cell_number
),

judged as (
    select
        transfer_jobs.cell_number,
        item_correctness.item_id,
        {{ correct_in_metric('transfer_jobs.metric', 'item_correctness') }} as is_correct,
        cast(item_correctness.gold_probability as double) as gold_probability
    from item_correctness
    inner join transfer_jobs on item_correctness.job_number = transfer_jobs.job_number
),

tuned as (
    select
        cell_number,
        item_id,
        count(*) as n_seeds,
        count_if(is_correct) as n_correct,
        case when count(gold_probability) = count(*) then {{ exact_sum('gold_probability') }} end as sum_probability,
        {{ exact_sum('gold_probability * gold_probability') }} as sum_squared_probability
    from judged
    where is_correct is not null
    group by cell_number, item_id
),

baseline_jobs as (
    select distinct
        study,
        baseline_job_number as job_number,
        metric,
        target_task,
        target_language,
        prompt
    from transfer_jobs
    where baseline_job_number is not null
),

baselines as (
    select
        baseline_jobs.study,
        baseline_jobs.job_number,
        item_correctness.item_id,
        parallel_items.parallel_number,
        {{ correct_in_metric('baseline_jobs.metric', 'item_correctness') }} as is_correct,
        cast(item_correctness.gold_probability as double) as gold_probability
    from item_correctness
    inner join baseline_jobs on item_correctness.job_number = baseline_jobs.job_number
    inner join parallel_items
        on baseline_jobs.study = parallel_items.study
        and baseline_jobs.target_task = parallel_items.target_task
        and baseline_jobs.target_language = parallel_items.target_language
        and baseline_jobs.prompt is not distinct from parallel_items.prompt
        and item_correctness.item_id = parallel_items.item_id
),

-- Only items that every seed answered, and the baseline if there is one.
final as (
    select
        tuned.cell_number,
        tuned.item_id,
        baselines.parallel_number,
        cast(tuned.n_seeds as smallint) as n_seeds,
        cast(tuned.n_correct as smallint) as n_correct,
        cast(baselines.is_correct as tinyint) as baseline_correct,
        tuned.sum_probability,
        tuned.sum_squared_probability,
        baselines.gold_probability as baseline_probability
    from tuned
    inner join cells on tuned.cell_number = cells.cell_number and tuned.n_seeds = cells.n_seeds
    left join baselines
        on cells.study = baselines.study
        and cells.baseline_job_number = baselines.job_number
        and tuned.item_id = baselines.item_id
    where cells.baseline_job_number is null or baselines.is_correct is not null
)

select * from final
