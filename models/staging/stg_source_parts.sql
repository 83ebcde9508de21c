with source_parts as (
    select * from {{ source('raw', 'source_parts') }}
),

final as (
    select
        job_key,
        source_name as source, -- noqa: RF04
        task,
        language,
        weight,
        items,
        items_alone
    from source_parts
)

select * from final
