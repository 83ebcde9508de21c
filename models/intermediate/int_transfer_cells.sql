{{ config(materialized='table') }}

with computed_cells as (
    select * from {{ ref('int_computed_cells') }}
),

imported_cells as (
    select * from {{ ref('int_imported_cells') }}
),

studies as (
    select * from {{ ref('stg_studies') }}
),

prompt_pools as (
    select * from {{ ref('int_prompt_pools') }}
),

cells as (
    select * from computed_cells
    union all by name
    select * from imported_cells
),

final as (
    select
        cells.study,
        studies.origin,
        cells.variant,
        cells.cell_number,
        cells.model,
        cells.source_task,
        cells.source_language,
        cells.target_task,
        cells.target_language,
        cells.control,
        cells.prompt,
        prompt_pools.prompt_pool,
        {{ regime() }} as regime,
        cells.metric,
        cells.n_seeds,
        cells.n_items,
        cells.baseline_score,
        cells.score,
        cells.delta_pp,
        cells.delta_se,
        cells.delta_pp > 0 as is_positive,
        cells.delta_pp <= -studies.harm_threshold_pp as is_harm,
        cells.gain_pct,
        cells.loss_pct
    from cells
    inner join studies on cells.study = studies.study
    left join prompt_pools
        on cells.study = prompt_pools.study
        and cells.variant = prompt_pools.variant
        and cells.prompt is not distinct from prompt_pools.prompt
)

select * from final
