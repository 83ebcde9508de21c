{{ config(materialized='table') }}

with role_grid as (
    select * from {{ ref('int_role_grid') }}
),

-- One cell makes its source a donor and its target a recipient: of languages where the task is matched, of tasks
-- where the language is, of cells always.
parts as (
    select
        *,
        unnest([
            {
                'axis': 'language',
                'donor': source_language,
                'recipient': target_language,
                'counts': regime = 'MT-CL'
            },
            {
                'axis': 'task',
                'donor': source_task,
                'recipient': target_task,
                'counts': regime = 'CT-ML'
            },
            {
                'axis': 'cell',
                'donor': source_task || '/' || source_language,
                'recipient': target_task || '/' || target_language,
                'counts': true
            }
        ]) as part
    from role_grid
),

roles as (
    select
        study,
        variant,
        prompt_pool,
        scope,
        model,
        part.axis,
        unnest(['donor', 'recipient']) as role,
        unnest([part.donor, part.recipient]) as entity,
        source_task,
        source_language,
        target_task,
        target_language,
        is_planned,
        is_in_complete_grid,
        cell_number,
        delta_pp,
        is_harm,
        placebo_cell_number,
        placebo_pp,
        placebo_is_harm
    from parts
    where part.counts
),

-- Cells weigh the same within a model, and models the same.
parted as (
    select
        *,
        case
            when is_in_complete_grid
                then 1 / count(*) filter (where is_in_complete_grid) over (
                    partition by study, variant, prompt_pool, scope, axis, role, entity, model
                )
        end as part,
        case
            when is_in_complete_grid and placebo_pp is not null
                then 1 / count(*) filter (where is_in_complete_grid and placebo_pp is not null) over (
                    partition by study, variant, prompt_pool, scope, axis, role, entity, model
                )
        end as part_with_placebo
    from roles
),

final as (
    select
        * exclude (part, part_with_placebo),
        part / sum(part) over (
            partition by study, variant, prompt_pool, scope, axis, role, entity
        ) as weight,
        part_with_placebo / sum(part_with_placebo) over (
            partition by study, variant, prompt_pool, scope, axis, role, entity
        ) as weight_with_placebo
    from parted
)

select * from final
