with models as (
    select * from {{ source('raw', 'models') }}
),

final as (
    select
        model,
        family,
        parameters
    from models
)

select * from final
