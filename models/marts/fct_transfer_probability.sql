with transfer_cells as (
    select * from {{ ref('int_transfer_cells') }}
),

probability_errors as (
    select * from {{ ref('int_probability_errors') }}
),

models as (
    select * from {{ ref('stg_models') }}
),

cells as (
    select
        transfer_cells.study,
        transfer_cells.origin,
        transfer_cells.variant,
        transfer_cells.model,
        transfer_cells.source_task,
        transfer_cells.source_language,
        transfer_cells.source_name as source, -- noqa: RF04
        transfer_cells.target_task,
        transfer_cells.target_language,
        transfer_cells.control,
        transfer_cells.prompt,
        transfer_cells.regime,
        coalesce(transfer_cells.regime = 'MT-ML', false) as is_trained_cell,
        transfer_cells.metric,
        transfer_cells.n_seeds,
        transfer_cells.delta_pp as accuracy_delta_pp,
        probability_errors.n_items,
        probability_errors.baseline_score,
        probability_errors.score,
        probability_errors.delta_pp,
        probability_errors.delta_se,
        probability_errors.ci_low,
        probability_errors.ci_high,
        probability_errors.p_value,
        probability_errors.error_of
    from transfer_cells
    inner join probability_errors on transfer_cells.cell_number = probability_errors.cell_number
),

-- The families of fct_transfer.
adjusted as (
    {{ false_discovery_rates('cells', 'study, control, is_trained_cell', {'p_value': 'q_value'}) }}
),

final as (
    select
        adjusted.study,
        adjusted.origin,
        adjusted.variant,
        adjusted.model,
        models.family,
        models.parameters,
        adjusted.source_task,
        adjusted.source_language,
        adjusted.source,
        adjusted.target_task,
        adjusted.target_language,
        adjusted.control,
        adjusted.prompt,
        adjusted.regime,
        'gold_probability' as metric,
        adjusted.metric as normalized_as,
        'exploratory' as standing,
        cast(adjusted.n_seeds as bigint) as n_seeds,
        cast(adjusted.n_items as bigint) as n_items,
        adjusted.baseline_score,
        adjusted.score,
        adjusted.delta_pp,
        adjusted.delta_se,
        adjusted.ci_low,
        adjusted.ci_high,
        adjusted.p_value,
        adjusted.q_value,
        adjusted.error_of,
        adjusted.accuracy_delta_pp,
        sign(adjusted.delta_pp) * sign(adjusted.accuracy_delta_pp) < 0 as is_at_odds
    from adjusted
    left join models on adjusted.model = models.model
)

select * from final
