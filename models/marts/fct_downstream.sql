with downstream_items as (
    select * from {{ ref('stg_downstream_items') }}
),

study_jobs as (
    select * from {{ ref('stg_study_jobs') }}
),

studies as (
    select * from {{ ref('stg_studies') }}
),

by_seed as (
    select
        study_jobs.study,
        studies.origin,
        downstream_items.variant,
        downstream_items.method,
        downstream_items.vectors,
        downstream_items.source_language,
        downstream_items.target_language,
        downstream_items.dictionary_size,
        downstream_items.seed,
        downstream_items.task,
        downstream_items.classifier,
        avg(
            case
                when downstream_items.task = 'clir' then downstream_items.score
                else cast(downstream_items.prediction is not distinct from downstream_items.gold as integer)
            end
        ) as score
    from downstream_items
    inner join study_jobs on downstream_items.job_key = study_jobs.job_key
    inner join studies on study_jobs.study = studies.study
    group by all
),

final as (
    select
        study,
        origin,
        variant,
        method,
        vectors,
        source_language,
        target_language,
        dictionary_size,
        task,
        classifier,
        case when task = 'clir' then 'map' else 'accuracy' end as metric,
        avg(score) as score
    from by_seed
    group by all
)

select * from final
