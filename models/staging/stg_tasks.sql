with tasks as (
    select * from {{ source('raw', 'tasks') }}
),

final as (
    select
        task,
        kind,
        primary_metric,
        chance as chance_score
    from tasks
)

select * from final
