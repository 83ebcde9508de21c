with study_jobs as (
    select * from {{ source('raw', 'study_jobs') }}
),

jobs as (
    select * from {{ source('raw', 'jobs') }}
),

final as (
    select
        study_jobs.study,
        study_jobs.job_key,
        study_jobs.config ->> '$.method' as method,
        study_jobs.config ->> '$.variant' as variant,
        study_jobs.config ->> '$.vectors' as vectors,
        study_jobs.config ->> '$.source_language' as source_language,
        study_jobs.config ->> '$.target_language' as target_language,
        cast(study_jobs.config ->> '$.dictionary_size' as bigint) as dictionary_size,
        cast(study_jobs.config ->> '$.seed' as bigint) as seed,
        jobs.error
    from study_jobs
    inner join jobs on study_jobs.job_key = jobs.job_key
    where study_jobs.plugin = 'mapping' and jobs.state = 'failed'
)

select * from final
