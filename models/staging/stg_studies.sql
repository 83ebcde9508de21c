with studies as (
    select * from {{ source('raw', 'studies') }}
),

final as (
    select
        study,
        origin,
        coalesce(cast(config ->> '$.harm_threshold_pp' as double), 1.0) as harm_threshold_pp,
        coalesce(config ->> '$.compare_with', study) as embedding_study,
        lower(coalesce(config ->> '$.bli_map.method', 'proc')) as bli_map_method,
        cast(config ->> '$.bli_map.dictionary_size' as bigint) as bli_map_dictionary_size,
        coalesce(config ->> '$.bli_map.retrieval', 'csls') as bli_map_retrieval
    from studies
)

select * from final
