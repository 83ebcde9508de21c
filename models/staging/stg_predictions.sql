with predictions as (
    select * from {{ source('raw', 'predictions') }}
),

final as (
    select
        study,
        variant,
        prompt,
        model,
        source_task,
        source_language,
        target_task,
        target_language,
        expected_pp,
        expected_se,
        measured_se,
        degrees_of_freedom,
        low_50,
        high_50,
        low_95,
        high_95,
        fitted_to
    from predictions
)

select * from final
