{%- set in_grid = 'role_grid.is_in_complete_grid' %}

with role_grid as (
    select * from {{ ref('int_role_grid') }}
),

studies as (
    select * from {{ ref('stg_studies') }}
),

-- Over a model's complete sub-grid, so that no source wins by a target that it lacks.
sources as (
    select
        role_grid.study,
        studies.origin,
        role_grid.variant,
        role_grid.prompt_pool,
        role_grid.model,
        role_grid.source_task,
        role_grid.source_language,
        {{ in_order('avg', 'role_grid.delta_pp', in_grid ~ " and role_grid.regime = 'MT-CL'") }} as on_task_pp,
        {{ in_order('avg', 'role_grid.delta_pp', in_grid ~ " and role_grid.regime in ('CT-ML', 'CT-CL')") }}
            as off_task_pp,
        count_if(role_grid.is_in_complete_grid) as n_cells,
        nullif(count_if(role_grid.is_planned), 0) as n_planned
    from role_grid
    inner join studies on role_grid.study = studies.study
    where role_grid.scope = role_grid.model and role_grid.regime != 'MT-ML'
    group by all
    having count(role_grid.delta_pp) > 0
),

-- To nine decimals: equal means may differ in their last bit, by the order in which they were added up.
dominated as (
    select distinct
        sources.study,
        sources.variant,
        sources.prompt_pool,
        sources.model,
        sources.source_task,
        sources.source_language
    from sources
    inner join sources as rivals
        on sources.study = rivals.study
        and sources.variant = rivals.variant
        and sources.prompt_pool is not distinct from rivals.prompt_pool
        and sources.model = rivals.model
        and round(sources.on_task_pp, 9) <= round(rivals.on_task_pp, 9)
        and round(sources.off_task_pp, 9) <= round(rivals.off_task_pp, 9)
        and (
            round(sources.on_task_pp, 9) < round(rivals.on_task_pp, 9)
            or round(sources.off_task_pp, 9) < round(rivals.off_task_pp, 9)
        )
),

final as (
    select
        sources.study,
        sources.origin,
        sources.variant,
        sources.prompt_pool as prompt,
        sources.prompt_pool,
        sources.model,
        sources.source_task,
        sources.source_language,
        sources.on_task_pp,
        sources.off_task_pp,
        case
            when sources.on_task_pp is not null and sources.off_task_pp is not null
                then dominated.study is null
        end as is_pareto,
        cast(sources.n_cells as bigint) as n_cells,
        cast(sources.n_planned as bigint) as n_planned
    from sources
    left join dominated
        on sources.study = dominated.study
        and sources.variant = dominated.variant
        and sources.prompt_pool is not distinct from dominated.prompt_pool
        and sources.model = dominated.model
        and sources.source_task = dominated.source_task
        and sources.source_language = dominated.source_language
)

select * from final
