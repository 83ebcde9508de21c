with downstream_items as (
    select * from {{ source('raw', 'downstream_items') }}
),

final as (
    select
        job_key,
        method,
        coalesce(variant, 'default') as variant,
        vectors,
        source_language,
        target_language,
        dictionary_size,
        seed,
        task,
        collection,
        classifier,
        item_id,
        gold,
        prediction,
        score,
        words,
        known_words
    from downstream_items
)

select * from final
