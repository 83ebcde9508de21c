{{ config(materialized='table') }}

with item_scores as (
    select * from {{ ref('stg_item_scores') }}
),

study_jobs as (
    select * from {{ ref('stg_study_jobs') }}
),

wanted as (
    select distinct job_key from study_jobs
),

-- A job scores one model on one target under one prompt, so any of its rows tells its keys.
scored as (
    select
        job_key,
        any_value(model) as model,
        any_value(variant) as variant,
        any_value(source_task) as source_task,
        any_value(source_language) as source_language,
        any_value(source) as source, -- noqa: RF04
        any_value(control) as control,
        any_value(seed) as seed,
        any_value(target_task) as target_task,
        any_value(target_language) as target_language,
        any_value(prompt) as prompt,
        any_value(fraction) as fraction
    from item_scores
    group by job_key
),

final as (
    select
        cast(row_number() over (order by scored.job_key) as integer) as job_number,
        scored.*
    from scored
    inner join wanted on scored.job_key = wanted.job_key
)

select * from final
