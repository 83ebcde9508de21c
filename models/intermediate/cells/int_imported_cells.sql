with aggregate_scores as (
    select * from {{ ref('stg_aggregate_scores') }}
),

study_jobs as (
    select * from {{ ref('stg_study_jobs') }}
),

tasks as (
    select * from {{ ref('stg_tasks') }}
),

tuned as (
    select
        study_jobs.study,
        aggregate_scores.*
    from aggregate_scores
    inner join study_jobs on aggregate_scores.job_key = study_jobs.job_key
    where aggregate_scores.source_task is not null
),

-- The target task's primary metric; where the import has no such metric, the first by name.
in_one_metric as (
    select tuned.*
    from tuned
    left join tasks on tuned.target_task = tasks.task
    qualify dense_rank() over (
        partition by
            tuned.study, tuned.model, tuned.variant, tuned.source_task, tuned.source_language, tuned.control,
            tuned.target_task, tuned.target_language, tuned.prompt
        order by tuned.metric is distinct from tasks.primary_metric, tuned.metric
    ) = 1
),

-- Most imports have one row a cell, over all seeds, which stays as it is; one row a seed is averaged.
final as (
    select
        study,
        model,
        variant,
        source_task,
        source_language,
        control,
        target_task,
        target_language,
        prompt,
        metric,
        case when count(*) = 1 then any_value(n_seeds) else sum(coalesce(n_seeds, 1)) end as n_seeds,
        max(n_items) as n_items,
        avg(baseline_score) as baseline_score,
        avg(score) as score,
        avg(coalesce(delta_pp, 100 * (score - baseline_score))) as delta_pp,
        case when count(*) = 1 then any_value(delta_se) end as delta_se
    from in_one_metric
    group by all
)

select * from final
