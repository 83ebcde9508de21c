with predictions as (
    select * from {{ ref('stg_predictions') }}
),

digests as (
    select * from {{ ref('int_prediction_digests') }}
),

cells as (
    select * from {{ ref('int_prediction_cells') }}
),

studies as (
    select * from {{ ref('stg_studies') }}
),

final as (
    select
        predictions.study,
        studies.origin,
        predictions.variant,
        predictions.prompt,
        predictions.model,
        predictions.source_task,
        predictions.source_language,
        predictions.target_task,
        predictions.target_language,
        {{ regime('predictions') }} as regime,
        predictions.expected_pp,
        predictions.expected_se,
        predictions.measured_se,
        predictions.degrees_of_freedom,
        predictions.low_50,
        predictions.high_50,
        predictions.low_95,
        predictions.high_95,
        coalesce(predictions.fitted_to != digests.digest, true) as is_stale,
        cells.delta_pp as measured_pp,
        cells.delta_pp >= predictions.low_95 and cells.delta_pp <= predictions.high_95 as is_within_95
    from predictions
    inner join studies on predictions.study = studies.study
    left join digests on predictions.study = digests.study
    left join cells
        on predictions.study = cells.study
        and predictions.variant = cells.variant
        and predictions.prompt is not distinct from cells.prompt_pool
        and predictions.model = cells.model
        and predictions.source_task = cells.source_task
        and predictions.source_language = cells.source_language
        and predictions.target_task = cells.target_task
        and predictions.target_language = cells.target_language
)

select * from final
