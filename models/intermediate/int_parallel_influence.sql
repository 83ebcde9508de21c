{{ config(materialized='table') }}

with transfer_cells as (
    select * from {{ ref('int_transfer_cells') }}
),

cell_items as (
    select * from {{ ref('int_cell_items') }}
),

items as (
    select * from {{ ref('stg_items') }}
),

study_jobs as (
    select * from {{ ref('stg_study_jobs') }}
),

cells as (
    select
        cell_number,
        n_items,
        delta_pp / 100 as mean_difference,
        study,
        variant,
        prompt_pool,
        model,
        regime,
        target_task,
        target_language,
        prompt,
        dense_rank() over (
            order by study, variant, prompt_pool, model, regime, target_task, target_language, prompt
        ) as group_number
    from transfer_cells
    where cell_number is not null and control is null and delta_pp is not null
),

groups as (
    select distinct
        group_number,
        study,
        variant,
        prompt_pool,
        model,
        regime,
        target_task,
        target_language,
        prompt
    from cells
),

-- Sources first: most of the rows are gone before any key is looked up.
by_item as (
    select
        cells.group_number,
        cell_items.item_id,
        sum(
            (cell_items.n_correct / cell_items.n_seeds - cell_items.baseline_correct - cells.mean_difference)
            / cells.n_items
        ) as influence
    from cell_items
    inner join cells on cell_items.cell_number = cells.cell_number
    group by cells.group_number, cell_items.item_id
),

parallels as (
    select
        study_jobs.study,
        items.task,
        items.language,
        items.item_id,
        items.prompt,
        min(items.parallel_id) as parallel_id
    from items
    inner join study_jobs on items.job_key = study_jobs.job_key
    group by all
),

final as (
    select
        groups.study,
        groups.variant,
        groups.prompt_pool,
        groups.model,
        groups.regime,
        groups.target_task,
        -- An item without translations is drawn alone.
        coalesce(parallels.parallel_id, groups.target_language || '/' || by_item.item_id) as parallel_id,
        sum(by_item.influence) as influence
    from by_item
    inner join groups on by_item.group_number = groups.group_number
    left join parallels
        on groups.study = parallels.study
        and groups.target_task = parallels.task
        and groups.target_language = parallels.language
        and by_item.item_id = parallels.item_id
        and groups.prompt is not distinct from parallels.prompt
    group by all
)

select * from final
