with cells as (
    select * from {{ ref('fct_transfer_probability') }}
    where control is null and regime is not null and 'mul' not in (source_task, source_language)
),

accuracy as (
    select * from {{ ref('fct_transfer') }}
),

both_outcomes as (
    select
        cells.*,
        accuracy.q_value as accuracy_q_value,
        accuracy.delta_pp as accuracy_pp
    from cells
    inner join accuracy
        on cells.study = accuracy.study
        and cells.variant = accuracy.variant
        and cells.model = accuracy.model
        and cells.source = accuracy.source
        and cells.target_task = accuracy.target_task
        and cells.target_language = accuracy.target_language
        and cells.prompt is not distinct from accuracy.prompt
        and accuracy.control is null
),

final as (
    select
        study,
        any_value(origin) as origin,
        variant,
        regime,
        count(*) as n_cells,
        count(*) filter (where accuracy_q_value <= 0.05) as n_by_accuracy,
        count(*) filter (where q_value <= 0.05) as n_by_probability,
        count(*) filter (where accuracy_pp > 0 and delta_pp < 0) as n_gain_less_probable,
        count(*) filter (where accuracy_pp < 0 and delta_pp > 0) as n_loss_more_probable
    from both_outcomes
    group by study, variant, regime
)

select * from final
