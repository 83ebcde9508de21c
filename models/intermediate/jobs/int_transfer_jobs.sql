{{ config(materialized='table') }}

with scoring_jobs as (
    select * from {{ ref('int_scoring_jobs') }}
),

study_jobs as (
    select * from {{ ref('stg_study_jobs') }}
),

tasks as (
    select * from {{ ref('stg_tasks') }}
),

study_scores as (
    select
        study_jobs.study,
        scoring_jobs.*
    from scoring_jobs
    inner join study_jobs on scoring_jobs.job_key = study_jobs.job_key
),

-- Adapters on the way are no cells: int_curve_jobs has them.
tuned as (
    select * from study_scores
    where source_task is not null and fraction is null
),

-- Should a study hold two baselines of one target, the unique grain of fct_scores fails; here one is taken, so that
-- no cell is counted twice.
baselines as (
    select
        study,
        model,
        variant,
        target_task,
        target_language,
        prompt,
        min(job_number) as job_number
    from study_scores
    where source_task is null and source_language is null
    group by all
),

final as (
    select
        tuned.study,
        tuned.job_number,
        cast(dense_rank() over (
            order by
                tuned.study, tuned.model, tuned.variant, tuned.source_task, tuned.source_language, tuned.source,
                tuned.control, tuned.target_task, tuned.target_language, tuned.prompt
        ) as integer) as cell_number,
        coalesce(own_baselines.job_number, default_baselines.job_number) as baseline_job_number,
        coalesce(tasks.primary_metric, 'acc') as metric,
        tuned.model,
        tuned.variant,
        tuned.source_task,
        tuned.source_language,
        tuned.source,
        tuned.control,
        tuned.seed,
        tuned.target_task,
        tuned.target_language,
        tuned.prompt
    from tuned
    left join tasks on tuned.target_task = tasks.task
    left join baselines as own_baselines
        on tuned.study = own_baselines.study
        and tuned.model = own_baselines.model
        and tuned.variant = own_baselines.variant
        and tuned.target_task = own_baselines.target_task
        and tuned.target_language = own_baselines.target_language
        and tuned.prompt is not distinct from own_baselines.prompt
    left join baselines as default_baselines
        on tuned.study = default_baselines.study
        and tuned.model = default_baselines.model
        and default_baselines.variant = 'default'
        and tuned.target_task = default_baselines.target_task
        and tuned.target_language = default_baselines.target_language
        and tuned.prompt is not distinct from default_baselines.prompt
)

select * from final
