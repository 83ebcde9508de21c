with items as (
    select * from {{ source('raw', 'items') }}
),

final as (
    select
        job_key,
        task,
        language,
        item_id,
        prompt,
        parallel_id
    from items
)

select * from final
