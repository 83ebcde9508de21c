with job_counts as (
    select * from {{ ref('int_job_counts') }}
),

job_probabilities as (
    select * from {{ ref('int_job_probabilities') }}
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

given_sources as (
    select * from {{ ref('stg_given_sources') }}
),

metrics as (
    select
        job_number,
        metric,
        n_correct / n_items as score,
        n_items,
        'pp' as delta_unit,
        true as higher_is_better
    from job_counts
    union all by name
    select
        job_number,
        unnest(['gold_probability', 'brier']) as metric,
        unnest([sum_probability / n_items, brier]) as score,
        n_items,
        unnest(['pp', 'brier']) as delta_unit,
        unnest([true, false]) as higher_is_better
    from job_probabilities
),

computed as (
    select
        scoring_jobs.*,
        metrics.* exclude (job_number) -- noqa: RF02
    from metrics
    inner join scoring_jobs on metrics.job_number = scoring_jobs.job_number
    where scoring_jobs.fraction is null
),

-- What came with its items is counted from them.
scores as (
    select * from computed
    union all by name
    select
        aggregate_scores.* exclude (baseline_score, delta, delta_pp, delta_se, n_seeds), -- noqa: RF02
        aggregate_scores.source_task || '/' || aggregate_scores.source_language as source -- noqa: RF04
    from aggregate_scores
    anti join computed
        on aggregate_scores.job_key = computed.job_key
        and aggregate_scores.metric = computed.metric
),

final as (
    select
        study_jobs.study,
        studies.origin,
        scores.variant,
        scores.model,
        scores.source_task,
        scores.source_language,
        coalesce(given_sources.name, scores.source) as source, -- noqa: RF04
        scores.control,
        scores.seed,
        scores.target_task,
        scores.target_language,
        scores.prompt,
        scores.metric,
        scores.score,
        scores.n_items,
        scores.score_stderr,
        scores.delta_unit,
        scores.higher_is_better
    from scores
    inner join study_jobs on scores.job_key = study_jobs.job_key
    inner join studies on study_jobs.study = studies.study
    left join given_sources on {{ is_given_source('scores', 'study_jobs') }}
)

select * from final
