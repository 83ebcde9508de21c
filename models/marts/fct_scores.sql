with job_counts as (
    select * from {{ ref('int_job_counts') }}
),

scoring_jobs as (
    select * from {{ ref('int_scoring_jobs') }}
),

aggregate_scores as (
    select * from {{ ref('stg_aggregate_scores') }}
),

study_jobs as (
    select * from {{ ref('stg_study_jobs') }}
),

studies as (
    select * from {{ ref('stg_studies') }}
),

computed as (
    select
        scoring_jobs.*,
        job_counts.metric,
        job_counts.n_correct / job_counts.n_items as score,
        job_counts.n_items
    from job_counts
    inner join scoring_jobs on job_counts.job_number = scoring_jobs.job_number
),

scores as (
    select * from computed
    union all by name
    select * exclude (baseline_score, delta_pp, delta_se, n_seeds) from aggregate_scores
),

final as (
    select
        study_jobs.study,
        studies.origin,
        scores.variant,
        scores.model,
        scores.source_task,
        scores.source_language,
        scores.control,
        scores.seed,
        scores.target_task,
        scores.target_language,
        scores.prompt,
        scores.metric,
        scores.score,
        scores.n_items
    from scores
    inner join study_jobs on scores.job_key = study_jobs.job_key
    inner join studies on study_jobs.study = studies.study
)

select * from final
