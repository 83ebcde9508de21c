with source_similarities as (
    select * from {{ source('raw', 'source_similarities') }}
),

final as (
    select
        job_key,
        model,
        source_task,
        source_language,
        target_task,
        target_language,
        measure,
        value
    from source_similarities
)

select * from final
