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
    where control is null and regime is not null and delta_pp is not null
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
        delta_pp as placebo_pp
    from transfer_cells
    where control = 'placebo' and delta_pp is not null
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

-- A plan may be ragged, and an import has none: every source is expected on every target, for every model.
seen as (
    select * exclude (regime, cell_number, delta_pp, is_harm) from landed
    union
    select * exclude (regime) from planned
),

models as (
    select distinct
        study,
        variant,
        prompt_pool,
        model
    from seen
),

sources as (
    select distinct
        study,
        variant,
        prompt_pool,
        source_task,
        source_language
    from seen
),

targets as (
    select distinct
        study,
        variant,
        prompt_pool,
        target_task,
        target_language
    from seen
),

product as (
    select
        models.*,
        sources.source_task,
        sources.source_language,
        targets.target_task,
        targets.target_language,
        {{ regime() }} as regime
    from models
    inner join sources
        on models.study = sources.study
        and models.variant = sources.variant
        and models.prompt_pool is not distinct from sources.prompt_pool
    inner join targets
        on models.study = targets.study
        and models.variant = targets.variant
        and models.prompt_pool is not distinct from targets.prompt_pool
),

final as (
    select
        product.*,
        planned.study is not null as is_planned,
        landed.cell_number,
        landed.delta_pp,
        landed.is_harm,
        placebos.placebo_cell_number,
        placebos.placebo_pp,
        -- Numbers in the order of names; a model's, a source's and a target's never are the same.
        cast(3 * dense_rank() over (order by product.model) as integer) as model_unit,
        cast(3 * dense_rank() over (order by product.source_task, product.source_language) + 1 as integer)
            as source_unit,
        cast(3 * dense_rank() over (order by product.target_task, product.target_language) + 2 as integer)
            as target_unit
    from product
    left join planned
        on product.study = planned.study
        and product.variant = planned.variant
        and product.prompt_pool is not distinct from planned.prompt_pool
        and product.model = planned.model
        and product.source_task = planned.source_task
        and product.source_language = planned.source_language
        and product.target_task = planned.target_task
        and product.target_language = planned.target_language
    left join landed
        on product.study = landed.study
        and product.variant = landed.variant
        and product.prompt_pool is not distinct from landed.prompt_pool
        and product.model = landed.model
        and product.source_task = landed.source_task
        and product.source_language = landed.source_language
        and product.target_task = landed.target_task
        and product.target_language = landed.target_language
    left join placebos
        on landed.study = placebos.study
        and landed.variant = placebos.variant
        and landed.prompt_pool is not distinct from placebos.prompt_pool
        and landed.model = placebos.model
        and landed.source_task = placebos.source_task
        and landed.source_language = placebos.source_language
        and landed.target_task = placebos.target_task
        and landed.target_language = placebos.target_language
    where product.regime is not null
)

select * from final
