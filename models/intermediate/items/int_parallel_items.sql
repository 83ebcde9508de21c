{{ config(materialized='table') }}

with item_correctness as (
    select * from {{ ref('int_item_correctness') }}
),

transfer_jobs as (
    select * from {{ ref('int_transfer_jobs') }}
),

items as (
    select * from {{ ref('stg_items') }}
),

study_jobs as (
    select * from {{ ref('stg_study_jobs') }}
),

-- A difference needs the baseline's answer, so the baselines' items are all there are.
baseline_jobs as (
    select distinct
        study,
        baseline_job_number as job_number,
        target_task,
        target_language,
        prompt
    from transfer_jobs
    where baseline_job_number is not null
),

scored as (
    select distinct
        baseline_jobs.study,
        baseline_jobs.target_task,
        baseline_jobs.target_language,
        baseline_jobs.prompt,
        item_correctness.item_id
    from item_correctness
    inner join baseline_jobs on item_correctness.job_number = baseline_jobs.job_number
),

parallels as (
    select
        study_jobs.study,
        items.task,
        items.language,
        items.item_id,
        items.prompt,
        min(items.parallel_id) as parallel_id
    from items
    inner join study_jobs on items.job_key = study_jobs.job_key
    group by all
),

keyed as (
    select
        scored.*,
        parallels.parallel_id,
        -- An item without translations is drawn alone.
        case when parallels.parallel_id is null then scored.target_language end as lone_language,
        case when parallels.parallel_id is null then scored.item_id end as lone_item
    from scored
    left join parallels
        on scored.study = parallels.study
        and scored.target_task = parallels.task
        and scored.target_language = parallels.language
        and scored.item_id = parallels.item_id
        and scored.prompt is not distinct from parallels.prompt
),

numbered as (
    select
        study,
        target_task,
        target_language,
        prompt,
        item_id,
        parallel_id,
        cast(dense_rank() over (
            partition by study, target_task
            order by parallel_id, lone_language, lone_item
        ) as integer) as parallel_number
    from keyed
),

final as (
    select
        *,
        max(parallel_number) over (partition by study, target_task) as n_parallels
    from numbered
)

select * from final
