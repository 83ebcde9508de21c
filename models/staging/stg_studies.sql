with studies as (
    select * from {{ source('raw', 'studies') }}
),

final as (
    select
        study,
        origin,
        coalesce(cast(config ->> '$.harm_threshold_pp' as double), 1.0) as harm_threshold_pp,
        coalesce(config ->> '$.compare_with', study) as embedding_study
    from studies
)

select * from final
