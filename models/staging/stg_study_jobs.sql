with study_jobs as (
    select * from {{ source('raw', 'study_jobs') }}
),

final as (
    select
        study,
        job_key,
        plugin,
        config ->> '$.step' as step,
        config ->> '$.model' as model,
        coalesce(config ->> '$.variant', 'default') as variant,
        config ->> '$.source_task' as source_task,
        config ->> '$.source_language' as source_language,
        coalesce(
            config ->> '$.source_name', (config ->> '$.source_task') || '/' || (config ->> '$.source_language')
        ) as source, -- noqa: RF04
        config ->> '$.control' as control,
        cast(config ->> '$.seed' as bigint) as seed,
        config ->> '$.target_task' as target_task,
        config ->> '$.target_language' as target_language,
        config ->> '$.prompt' as prompt,
        config ->> '$.method' as method,
        config ->> '$.vectors' as vectors,
        cast(config ->> '$.dictionary_size' as bigint) as dictionary_size,
        cast(config ->> '$.fraction' as double) as fraction
    from study_jobs
)

select * from final
