with bli_ranks as (
    select * from {{ source('raw', 'bli_ranks') }}
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
        retrieval,
        pair_number,
        concept_id,
        query,
        gold,
        rank,
        coalesce(is_leaked, false) as is_leaked,
        coalesce(is_duplicate, false) as is_duplicate,
        coalesce(is_identical, false) as is_identical
    from bli_ranks
)

select * from final
