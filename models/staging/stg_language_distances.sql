with language_distances as (
    select * from {{ source('raw', 'language_distances') }}
),

final as (
    select
        job_key,
        source_language,
        target_language,
        measure,
        value
    from language_distances
)

select * from final
