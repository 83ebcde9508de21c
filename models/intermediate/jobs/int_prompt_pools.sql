{{ config(materialized='table') }}

with study_jobs as (
    select * from {{ ref('stg_study_jobs') }}
),

scoring_jobs as (
    select * from {{ ref('int_scoring_jobs') }}
),

aggregate_scores as (
    select * from {{ ref('stg_aggregate_scores') }}
),

planned as (
    select
        study,
        variant,
        model,
        target_task,
        target_language,
        prompt
    from study_jobs
    where target_task is not null and source_task is not null
),

scored as (
    select
        study_jobs.study,
        scoring_jobs.variant,
        scoring_jobs.model,
        scoring_jobs.target_task,
        scoring_jobs.target_language,
        scoring_jobs.prompt
    from scoring_jobs
    inner join study_jobs on scoring_jobs.job_key = study_jobs.job_key
    where scoring_jobs.source_task is not null
),

imported as (
    select
        study_jobs.study,
        aggregate_scores.variant,
        aggregate_scores.model,
        aggregate_scores.target_task,
        aggregate_scores.target_language,
        aggregate_scores.prompt
    from aggregate_scores
    inner join study_jobs on aggregate_scores.job_key = study_jobs.job_key
    where aggregate_scores.source_task is not null
),

prompted as (
    select * from planned
    union
    select * from scored
    union
    select * from imported
),

counted as (
    select
        study,
        variant,
        count(distinct coalesce(prompt, '')) as n_prompts,
        count(*) as n_prompted_targets,
        count(distinct row(model, target_task, target_language)) as n_targets
    from prompted
    group by study, variant
),

final as (
    select distinct
        prompted.study,
        prompted.variant,
        prompted.prompt,
        case
            when counted.n_prompts > 1 and counted.n_prompted_targets = counted.n_targets then 'per target'
            else prompted.prompt
        end as prompt_pool
    from prompted
    inner join counted
        on prompted.study = counted.study
        and prompted.variant = counted.variant
)

select * from final
