with source_similarities as (
    select * from {{ ref('stg_source_similarities') }}
),

study_jobs as (
    select * from {{ ref('stg_study_jobs') }}
),

final as (
    select
        study_jobs.study,
        source_similarities.model,
        source_similarities.source_task,
        source_similarities.source_language,
        source_similarities.target_task,
        source_similarities.target_language,
        source_similarities.measure,
        {{ in_order('avg', 'source_similarities.value') }} as value
    from source_similarities
    inner join study_jobs on source_similarities.job_key = study_jobs.job_key
    group by all
)

select * from final
