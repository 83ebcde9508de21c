with transfer_cells as (
    select * from {{ ref('int_transfer_cells') }}
),

models as (
    select * from {{ ref('stg_models') }}
),

tasks as (
    select * from {{ ref('stg_tasks') }}
),

placebos as (
    select * from transfer_cells
    where control = 'placebo'
),

final as (
    select
        transfer_cells.study,
        transfer_cells.origin,
        transfer_cells.variant,
        transfer_cells.model,
        models.family,
        models.parameters,
        transfer_cells.source_task,
        transfer_cells.source_language,
        transfer_cells.source_name as source, -- noqa: RF04
        transfer_cells.is_mixture,
        transfer_cells.target_task,
        transfer_cells.target_language,
        transfer_cells.control,
        transfer_cells.prompt,
        transfer_cells.regime,
        transfer_cells.metric,
        cast(transfer_cells.n_seeds as bigint) as n_seeds,
        cast(transfer_cells.n_items as bigint) as n_items,
        transfer_cells.baseline_score,
        transfer_cells.score,
        transfer_cells.delta,
        transfer_cells.delta_unit,
        transfer_cells.higher_is_better,
        transfer_cells.delta_pp,
        transfer_cells.delta_se,
        transfer_cells.ci_low,
        transfer_cells.ci_high,
        transfer_cells.p_value,
        transfer_cells.q_value,
        transfer_cells.q_harm,
        transfer_cells.is_positive,
        transfer_cells.is_harm,
        transfer_cells.verdict,
        transfer_cells.error_of,
        transfer_cells.gain_pct,
        transfer_cells.loss_pct,
        tasks.chance_score,
        case
            when transfer_cells.delta_pp >= 0
                then transfer_cells.delta_pp / nullif(100 * (1 - transfer_cells.baseline_score), 0)
            when transfer_cells.baseline_score > tasks.chance_score
                then transfer_cells.delta_pp / (100 * (transfer_cells.baseline_score - tasks.chance_score))
        end as headroom_gain,
        case when transfer_cells.control is null then placebos.delta_pp end as placebo_pp
    from transfer_cells
    left join models on transfer_cells.model = models.model
    left join tasks on transfer_cells.target_task = tasks.task
    left join placebos
        on transfer_cells.study = placebos.study
        and transfer_cells.variant = placebos.variant
        and transfer_cells.model = placebos.model
        and transfer_cells.source = placebos.source
        and transfer_cells.target_task = placebos.target_task
        and transfer_cells.target_language = placebos.target_language
        and transfer_cells.prompt is not distinct from placebos.prompt
)

select * from final
