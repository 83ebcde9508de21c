{{ config(materialized='table') }}

with transfer_cells as (
    select * from {{ ref('int_transfer_cells') }}
),

study_jobs as (
    select * from {{ ref('stg_study_jobs') }}
),

prompt_pools as (
    select * from {{ ref('int_prompt_pools') }}
),

model_scopes as (
    select * from {{ ref('int_model_scopes') }}
),

landed as (
    select
        study,
        variant,
        prompt_pool,
        model,
        source_task,
        source_language,
        target_task,
        target_language,
        regime,
        cell_number,
        delta_pp,
        is_harm
    from transfer_cells
    where control is null and regime != 'MT-ML' and delta_pp is not null
),

placebos as (
    select
        study,
        variant,
        prompt_pool,
        model,
        source_task,
        source_language,
        target_task,
        target_language,
        cell_number as placebo_cell_number,
        delta_pp as placebo_pp,
        is_harm as placebo_is_harm
    from transfer_cells
    where control = 'placebo' and regime != 'MT-ML' and delta_pp is not null
),

planned as (
    select distinct
        study_jobs.study,
        study_jobs.variant,
        prompt_pools.prompt_pool,
        study_jobs.model,
        study_jobs.source_task,
        study_jobs.source_language,
        study_jobs.target_task,
        study_jobs.target_language,
        {{ regime() }} as regime
    from study_jobs
    inner join prompt_pools
        on study_jobs.study = prompt_pools.study
        and study_jobs.variant = prompt_pools.variant
        and study_jobs.prompt is not distinct from prompt_pools.prompt
    where
        study_jobs.source_task is not null
        and study_jobs.target_task is not null
        and study_jobs.control is null
),

-- Where the plan does not name its cells (imports), every source is expected on every target, for every model.
unplanned as (
    select landed.*
    from landed
    anti join planned
        on landed.study = planned.study
        and landed.variant = planned.variant
        and landed.prompt_pool is not distinct from planned.prompt_pool
),

unplanned_models as (
    select distinct
        study,
        variant,
        prompt_pool,
        model
    from unplanned
),

unplanned_sources as (
    select distinct
        study,
        variant,
        prompt_pool,
        source_task,
        source_language
    from unplanned
),

unplanned_targets as (
    select distinct
        study,
        variant,
        prompt_pool,
        target_task,
        target_language
    from unplanned
),

product as (
    select
        unplanned_models.*,
        unplanned_sources.source_task,
        unplanned_sources.source_language,
        unplanned_targets.target_task,
        unplanned_targets.target_language,
        {{ regime() }} as regime
    from unplanned_models
    inner join unplanned_sources
        on unplanned_models.study = unplanned_sources.study
        and unplanned_models.variant = unplanned_sources.variant
        and unplanned_models.prompt_pool is not distinct from unplanned_sources.prompt_pool
    inner join unplanned_targets
        on unplanned_models.study = unplanned_targets.study
        and unplanned_models.variant = unplanned_targets.variant
        and unplanned_models.prompt_pool is not distinct from unplanned_targets.prompt_pool
),

expected as (
    select
        *,
        true as is_planned
    from planned
    where regime != 'MT-ML'
    union all
    select
        *,
        false as is_planned
    from product
    where regime != 'MT-ML'
),

grid as (
    select
        expected.*,
        landed.cell_number,
        landed.delta_pp,
        landed.is_harm,
        placebos.placebo_cell_number,
        placebos.placebo_pp,
        placebos.placebo_is_harm
    from expected
    left join landed
        on expected.study = landed.study
        and expected.variant = landed.variant
        and expected.prompt_pool is not distinct from landed.prompt_pool
        and expected.model = landed.model
        and expected.source_task = landed.source_task
        and expected.source_language = landed.source_language
        and expected.target_task = landed.target_task
        and expected.target_language = landed.target_language
    left join placebos
        on landed.study = placebos.study
        and landed.variant = placebos.variant
        and landed.prompt_pool is not distinct from placebos.prompt_pool
        and landed.model = placebos.model
        and landed.source_task = placebos.source_task
        and landed.source_language = placebos.source_language
        and landed.target_task = placebos.target_task
        and landed.target_language = placebos.target_language
),

scoped as (
    select
        grid.*,
        model_scopes.scope
    from grid
    inner join model_scopes on grid.model = model_scopes.model
),

judged as (
    select
        *,
        bool_and(delta_pp is not null) over (
            partition by study, variant, prompt_pool, scope, source_task, source_language
        ) as is_source_complete,
        bool_and(delta_pp is not null) over (
            partition by study, variant, prompt_pool, scope, model
        ) as is_model_complete,
        bool_and(delta_pp is not null) over (
            partition by study, variant, prompt_pool, scope, target_task, target_language
        ) as is_target_complete
    from scoped
),

sized as (
    select
        *,
        count_if(is_source_complete) over (partition by study, variant, prompt_pool, scope) as n_by_source,
        count_if(is_model_complete) over (partition by study, variant, prompt_pool, scope) as n_by_model,
        count_if(is_target_complete) over (partition by study, variant, prompt_pool, scope) as n_by_target
    from judged
),

final as (
    select
        study,
        variant,
        prompt_pool,
        scope,
        model,
        source_task,
        source_language,
        target_task,
        target_language,
        regime,
        is_planned,
        cell_number,
        delta_pp,
        is_harm,
        placebo_cell_number,
        placebo_pp,
        placebo_is_harm,
        case
            when n_by_source >= greatest(n_by_model, n_by_target) then is_source_complete
            when n_by_model >= n_by_target then is_model_complete
            else is_target_complete
        end as is_in_complete_grid
    from sized
)

select * from final
