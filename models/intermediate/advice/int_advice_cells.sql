{%- set pool = "study, variant, prompt_pool" %}

with role_grid as (
    select * from {{ ref('int_role_grid') }}
),

transfer_cells as (
    select * from {{ ref('int_transfer_cells') }}
),

sampling_covariance as (
    select * from {{ ref('int_sampling_covariance') }}
),

models as (
    select * from {{ ref('stg_models') }}
),

cells as (
    select
        role_grid.study,
        role_grid.variant,
        role_grid.prompt_pool,
        role_grid.model,
        models.family,
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
        coalesce(1e4 * transfer_cells.from_runs, 0) as runs_pp2,
        greatest(0, sampling_covariance.covariance_pp2) as shared_pp2,
        transfer_cells.degrees_of_freedom
    from role_grid
    left join models on role_grid.model = models.model
    left join transfer_cells
        on role_grid.study = transfer_cells.study
        and role_grid.variant = transfer_cells.variant
        and role_grid.prompt_pool is not distinct from transfer_cells.prompt_pool
        and role_grid.model = transfer_cells.model
        and role_grid.source_task = transfer_cells.source_task
        and role_grid.source_language = transfer_cells.source_language
        and role_grid.target_task = transfer_cells.target_task
        and role_grid.target_language = transfer_cells.target_language
        and transfer_cells.control is null
    left join sampling_covariance
        on role_grid.study = sampling_covariance.study
        and role_grid.variant = sampling_covariance.variant
        and role_grid.prompt_pool is not distinct from sampling_covariance.prompt_pool
        and role_grid.model = sampling_covariance.model
        and role_grid.target_task = sampling_covariance.target_task
        and role_grid.target_language = sampling_covariance.target_language
    where role_grid.scope = 'all' and role_grid.delta_pp is not null
),

-- Who may be left out: nobody, a model, a family.
folds as (
    select distinct
        {{ pool }},
        unnest(['none', 'model', 'family']) as held_out_kind,
        unnest([null, model, family]) as held_out
    from cells
),

final as (
    select
        cells.*,
        folds.held_out_kind,
        folds.held_out
    from cells
    inner join folds
        on cells.study = folds.study
        and cells.variant = folds.variant
        and cells.prompt_pool is not distinct from folds.prompt_pool
        and case folds.held_out_kind
            when 'none' then true
            when 'model' then cells.model != folds.held_out
            when 'family' then folds.held_out is not null and cells.family is distinct from folds.held_out
        end
)

select * from final
