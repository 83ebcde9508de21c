with item_correctness as (
    select * from {{ ref('int_item_correctness') }}
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

counted as (
    select
        job_number,
        count(acc) as n_acc,
        count_if(acc) as k_acc,
        count(acc_norm) as n_acc_norm,
        count_if(acc_norm) as k_acc_norm,
        count(acc_bytes) as n_acc_bytes,
        count_if(acc_bytes) as k_acc_bytes,
        count(exact_match) as n_exact_match,
        count_if(exact_match) as k_exact_match
    from item_correctness
    group by job_number
),

metrics as (
    select
        job_number,
        unnest(['acc', 'acc_norm', 'acc_bytes', 'exact_match']) as metric,
        unnest([k_acc, k_acc_norm, k_acc_bytes, k_exact_match]) as n_correct,
        unnest([n_acc, n_acc_norm, n_acc_bytes, n_exact_match]) as n_items
    from counted
),

computed as (
    select
        scoring_jobs.*,
        metrics.metric,
        metrics.n_correct / metrics.n_items as score,
        metrics.n_items
    from metrics
    inner join scoring_jobs on metrics.job_number = scoring_jobs.job_number
    where metrics.n_items > 0
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
