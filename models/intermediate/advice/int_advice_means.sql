{{ config(materialized='table') }}

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

advice_items as (
    select * from {{ ref('int_advice_items') }}
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
        coalesce(1e4 * transfer_cells.from_items, pow(transfer_cells.delta_se, 2)) as items_pp2,
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
    where role_grid.scope = 'all' and role_grid.is_in_complete_grid
),

-- Who may be left out: nobody, a model, a family.
folds as (
    select distinct
        {{ pool }},
        unnest(['none', 'model', 'family']) as held_out_kind,
        unnest([null, model, family]) as held_out
    from cells
),

kept as (
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
),

over_models as (
    select
        {{ pool }},
        held_out_kind,
        held_out,
        source_task,
        source_language,
        target_task,
        target_language,
        regime,
        count(*) as n_models,
        avg(delta_pp) as mean_pp,
        var_samp(delta_pp) as between_models_pp2,
        cast(count_if(is_harm) as bigint) as n_harms,
        case when count(items_pp2) = count(*) then avg(items_pp2) end as items_pp2,
        avg(runs_pp2) as runs_pp2,
        case when count(shared_pp2) = count(*) then avg(shared_pp2) else 0 end as shared_pp2,
        sum(coalesce(degrees_of_freedom, 1)) as degrees_of_freedom
    from kept
    group by all
),

all_models as (
    select
        over_models.study,
        over_models.variant,
        over_models.prompt_pool,
        over_models.source_task,
        over_models.source_language,
        over_models.target_task,
        over_models.target_language,
        advice_items.items_pp2 / nullif(over_models.items_pp2 / over_models.n_models, 0) as inflation
    from over_models
    inner join advice_items
        on over_models.study = advice_items.study
        and over_models.variant = advice_items.variant
        and over_models.prompt_pool is not distinct from advice_items.prompt_pool
        and over_models.source_task = advice_items.source_task
        and over_models.source_language = advice_items.source_language
        and over_models.target_task = advice_items.target_task
        and over_models.target_language = advice_items.target_language
    where over_models.held_out_kind = 'none'
),

-- Errors of the mean. Models that answer the same items err together: as much more, or less, as all of them do.
final as (
    select
        over_models.* exclude (items_pp2, runs_pp2, shared_pp2), -- noqa: RF02
        over_models.items_pp2 + over_models.runs_pp2 as cell_error_pp2,
        coalesce(all_models.inflation, 1) * over_models.items_pp2 / over_models.n_models as items_pp2,
        over_models.runs_pp2 / over_models.n_models as runs_pp2,
        least(
            coalesce(all_models.inflation, 1) * over_models.shared_pp2 / over_models.n_models,
            0.999 * coalesce(all_models.inflation, 1) * over_models.items_pp2 / over_models.n_models
        ) as shared_pp2
    from over_models
    left join all_models
        on over_models.study = all_models.study
        and over_models.variant = all_models.variant
        and over_models.prompt_pool is not distinct from all_models.prompt_pool
        and over_models.source_task = all_models.source_task
        and over_models.source_language = all_models.source_language
        and over_models.target_task = all_models.target_task
        and over_models.target_language = all_models.target_language
)

select * from final
