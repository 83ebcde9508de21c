{{ config(materialized='table') }}

with expected_cells as (
    select * from {{ ref('int_expected_cells') }}
),

transfer_cells as (
    select * from {{ ref('int_transfer_cells') }}
    where control is null
),

models as (
    select * from {{ ref('stg_models') }}
),

baselines as (
    select
        study,
        variant,
        prompt_pool,
        model,
        target_task,
        target_language,
        median(baseline_score) as baseline_score
    from transfer_cells
    group by all
),

-- Rounded, so that a digest of these rows is the same whatever the order in which sums were taken.
final as (
    select
        expected_cells.study,
        expected_cells.variant,
        expected_cells.prompt_pool,
        expected_cells.model,
        models.family,
        models.parameters,
        expected_cells.source_task,
        expected_cells.source_language,
        expected_cells.target_task,
        expected_cells.target_language,
        expected_cells.regime,
        expected_cells.cell_number,
        round(expected_cells.delta_pp, 6) as delta_pp,
        round(transfer_cells.delta_se, 6) as delta_se,
        round(baselines.baseline_score, 6) as baseline_score
    from expected_cells
    left join models on expected_cells.model = models.model
    left join transfer_cells
        on expected_cells.study = transfer_cells.study
        and expected_cells.variant = transfer_cells.variant
        and expected_cells.prompt_pool is not distinct from transfer_cells.prompt_pool
        and expected_cells.model = transfer_cells.model
        and expected_cells.source_task = transfer_cells.source_task
        and expected_cells.source_language = transfer_cells.source_language
        and expected_cells.target_task = transfer_cells.target_task
        and expected_cells.target_language = transfer_cells.target_language
        and expected_cells.cell_number is not distinct from transfer_cells.cell_number
    left join baselines
        on expected_cells.study = baselines.study
        and expected_cells.variant = baselines.variant
        and expected_cells.prompt_pool is not distinct from baselines.prompt_pool
        and expected_cells.model = baselines.model
        and expected_cells.target_task = baselines.target_task
        and expected_cells.target_language = baselines.target_language
)

select * from final
