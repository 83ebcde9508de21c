with fits as (
    select * from {{ ref('stg_prediction_fits') }}
),

predictions as (
    select
        *,
        regime = 'MT-ML' as is_trained_cell
    from {{ ref('rpt_predictions') }}
),

digests as (
    select * from {{ ref('int_prediction_digests') }}
),

studies as (
    select * from {{ ref('stg_studies') }}
),

since as (
    select
        study,
        variant,
        prompt,
        is_trained_cell,
        count(measured_pp) as n_measured_since,
        avg(cast(is_within_95 as double)) as coverage_95_since
    from predictions
    group by all
),

final as (
    select
        fits.study,
        studies.origin,
        fits.variant,
        fits.prompt,
        fits.is_trained_cell,
        fits.version,
        fits.fitted_at,
        coalesce(fits.fitted_to != digests.digest, true) as is_stale,
        fits.n_measured,
        fits.n_predicted,
        fits.n_validated,
        fits.r2,
        fits.coverage_50,
        fits.coverage_95,
        coalesce(since.n_measured_since, 0) as n_measured_since,
        since.coverage_95_since,
        fits.variances,
        fits.asked
    from fits
    inner join studies on fits.study = studies.study
    left join digests on fits.study = digests.study
    left join since
        on fits.study = since.study
        and fits.variant = since.variant
        and fits.prompt is not distinct from since.prompt
        and fits.is_trained_cell = since.is_trained_cell
)

select * from final
