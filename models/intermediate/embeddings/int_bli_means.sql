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
        {{ in_order('avg', 'map', 'not clean') }} as map,
        {{ in_order('avg', 'map', 'clean') }} as clean_map,
        bool_or(is_failure) filter (where not clean) as is_failure
    from bli
    group by all
)

select * from final
