with study_jobs as (
    select * from {{ ref('stg_study_jobs') }}
),

jobs as (
    select * from {{ source('raw', 'jobs') }}
),

final as (
    select
        study_jobs.study,
        study_jobs.job_key,
        study_jobs.method,
        study_jobs.variant,
        study_jobs.vectors,
        study_jobs.source_language,
        study_jobs.target_language,
        study_jobs.dictionary_size,
        study_jobs.seed,
        jobs.error
    from study_jobs
    inner join jobs on study_jobs.job_key = jobs.job_key
    where study_jobs.plugin = 'mapping' and jobs.state = 'failed'
)

select * from final
