{{ config(materialized='table') }}

with role_grid as (
    select * from {{ ref('int_role_grid') }}
    where scope = 'all' and delta_pp is not null
),

transfer_cells as (
    select * from {{ ref('int_transfer_cells') }}
    where control is null
),

sampling_covariance as (
    select * from {{ ref('int_sampling_covariance') }}
),

-- Published errors are of items and runs, and cannot be told apart.
final as (
    select
        role_grid.study,
        role_grid.variant,
        role_grid.prompt_pool,
        role_grid.model,
        role_grid.source_task,
        role_grid.source_language,
        role_grid.target_task,
        role_grid.target_language,
        role_grid.regime,
        role_grid.delta_pp,
        role_grid.is_harm,
        role_grid.is_in_complete_grid,
        transfer_cells.verdict,
        transfer_cells.null_harm_probability,
        coalesce(1e4 * transfer_cells.from_items, pow(transfer_cells.delta_se, 2)) as items_pp2,
        coalesce(1e4 * transfer_cells.from_items_widened, pow(transfer_cells.delta_se, 2)) as widened_pp2,
        1e4 * transfer_cells.from_runs as runs_pp2,
        sampling_covariance.covariance_pp2,
        transfer_cells.degrees_of_freedom
    from role_grid
    left join transfer_cells
        on role_grid.study = transfer_cells.study
        and role_grid.variant = transfer_cells.variant
        and role_grid.prompt_pool is not distinct from transfer_cells.prompt_pool
        and role_grid.model = transfer_cells.model
        and role_grid.source_task = transfer_cells.source_task
        and role_grid.source_language = transfer_cells.source_language
        and role_grid.target_task = transfer_cells.target_task
        and role_grid.target_language = transfer_cells.target_language
    left join sampling_covariance
        on role_grid.study = sampling_covariance.study
        and role_grid.variant = sampling_covariance.variant
        and role_grid.prompt_pool is not distinct from sampling_covariance.prompt_pool
        and role_grid.model = sampling_covariance.model
        and role_grid.target_task = sampling_covariance.target_task
        and role_grid.target_language = sampling_covariance.target_language
)

select * from final
