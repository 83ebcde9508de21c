with transfer_cells as (
    select * from {{ ref('int_transfer_cells') }}
),

models as (
    select * from {{ ref('stg_models') }}
),

tasks as (
    select * from {{ ref('stg_tasks') }}
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
        transfer_cells.delta_pp,
        transfer_cells.delta_se,
        cast(null as double) as ci_low,
        cast(null as double) as ci_high,
        cast(null as double) as p_value,
        cast(null as double) as q_value,
        transfer_cells.is_positive,
        transfer_cells.is_harm,
        transfer_cells.gain_pct,
        transfer_cells.loss_pct,
        tasks.chance_score,
        transfer_cells.delta_pp / nullif(100 * (1 - transfer_cells.baseline_score), 0) as headroom_gain
    from transfer_cells
    left join models on transfer_cells.model = models.model
    left join tasks on transfer_cells.target_task = tasks.task
)

select * from final
