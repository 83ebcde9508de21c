with decisions as (
    select * from {{ source('raw', 'decisions') }}
),

final as (
    select
        study,
        round,
        place,
        model,
        source_task,
        source_language,
        goal,
        cost,
        spent,
        worth,
        remaining,
        n_known,
        known,
        why,
        asked,
        decided_at
    from decisions
)

select * from final
