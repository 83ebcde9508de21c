with bli as (
    select * from {{ ref('fct_bli') }}
),

final as (
    select
        study,
        origin,
        variant,
        split_part(vectors, '@', 1) as vector_set,
        method,
        dictionary_size,
        retrieval,
        source_language,
        target_language,
        avg(map) as map,
        bool_or(is_failure) as is_failure
    from bli
    where not clean
    group by all
)

select * from final
