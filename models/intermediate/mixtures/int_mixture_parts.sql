with source_parts as (
    select * from {{ ref('stg_source_parts') }}
),

study_jobs as (
    select * from {{ ref('stg_study_jobs') }}
),

-- Every model, variant and seed of a study is tuned on the same parts.
final as (
    select
        study_jobs.study,
        source_parts.source,
        source_parts.task,
        source_parts.language,
        max(source_parts.weight) as weight,
        max(source_parts.items) as items,
        max(source_parts.items_alone) as items_alone
    from source_parts
    inner join study_jobs on source_parts.job_key = study_jobs.job_key
    group by study_jobs.study, source_parts.source, source_parts.task, source_parts.language
)

select * from final
