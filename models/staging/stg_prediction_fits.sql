with prediction_fits as (
    select * from {{ source('raw', 'prediction_fits') }}
),

final as (
    select
        study,
        variant,
        prompt,
        is_trained_cell,
        fitted_to,
        version,
        n_measured,
        n_predicted,
        variances,
        n_validated,
        r2,
        coverage_50,
        coverage_95,
        asked,
        fitted_at
    from prediction_fits
)

select * from final
