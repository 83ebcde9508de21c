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
        coalesce(is_leaked, false)
        or coalesce(is_duplicate, false)
        or coalesce(is_identical, false) as is_excluded_when_clean
    from bli_ranks
)

select * from final
