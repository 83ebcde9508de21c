with item_scores as (
    select * from {{ ref('stg_item_scores') }}
),

scoring_jobs as (
    select * from {{ ref('int_scoring_jobs') }}
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

answered as (
    select
        job_key,
        list_position(logprobs, list_max(logprobs)) - 1 as answer,
        gold
    from item_scores
    where logprobs is not null
),

shared as (
    select
        job_key,
        mode(answer) as usual_answer,
        100 * list_max(map_values(histogram(answer))) / count(*) as answered_pct,
        100 * coalesce(histogram(gold)[mode(answer)], 0) / count(*) as gold_pct,
        count(*) as n_items
    from answered
    group by job_key
    having count(*) >= 20 and answered_pct >= 95 and gold_pct <= 75
),

final as (
    select
        study_jobs.study,
        studies.origin,
        scoring_jobs.variant,
        scoring_jobs.model,
        scoring_jobs.source_task,
        scoring_jobs.source_language,
        coalesce(given_sources.name, scoring_jobs.source) as source, -- noqa: RF04
        scoring_jobs.control,
        scoring_jobs.seed,
        scoring_jobs.target_task,
        scoring_jobs.target_language,
        scoring_jobs.prompt,
        cast(shared.usual_answer as bigint) as answer,
        shared.answered_pct,
        shared.gold_pct,
        shared.n_items
    from shared
    inner join scoring_jobs on shared.job_key = scoring_jobs.job_key
    inner join study_jobs on shared.job_key = study_jobs.job_key
    inner join studies on study_jobs.study = studies.study
    left join given_sources on {{ is_given_source('scoring_jobs', 'study_jobs') }}
    where scoring_jobs.fraction is null
)

select * from final
