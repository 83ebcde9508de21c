with predictor_values as (
    select * from {{ source('raw', 'predictor_values') }}
),

final as (
    select
        study,
        variant,
        prompt,
        predictor,
        model,
        source_task,
        source_language,
        target_task,
        target_language,
        value,
        fitted_to
    from predictor_values
)

select * from final
