with isometry as (
    select * from {{ source('raw', 'isometry') }}
),

final as (
    select
        job_key,
        split_part(vectors, '@', 1) as vector_set,
        source_language,
        target_language,
        measure,
        value
    from isometry
)

select * from final
