with bli_means as (
    select * from {{ ref('int_bli_means') }}
),

final as (
    select
        study,
        any_value(origin) as origin,
        variant,
        vector_set as vectors,
        retrieval,
        method,
        dictionary_size,
        count(*) as n_pairs,
        {{ in_order('avg', 'map') }} as map,
        {{ in_order('avg', 'clean_map') }} as clean_map
    from bli_means
    where map is not null and clean_map is not null
    group by study, variant, vector_set, retrieval, method, dictionary_size
)

select * from final
