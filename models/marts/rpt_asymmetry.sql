with transfer_cells as (
    select * from {{ ref('int_transfer_cells') }}
),

sources as (
    select
        study,
        origin,
        variant,
        prompt_pool as prompt,
        model,
        source_task,
        source_language,
        avg(delta_pp) filter (where regime = 'MT-CL') as on_task_pp,
        avg(delta_pp) filter (where regime in ('CT-ML', 'CT-CL')) as off_task_pp
    from transfer_cells
    where control is null and delta_pp is not null
    group by all
),

-- To nine decimals: equal means may differ in their last bit, by the order in which they were added up.
dominated as (
    select distinct
        sources.study,
        sources.variant,
        sources.prompt,
        sources.model,
        sources.source_task,
        sources.source_language
    from sources
    inner join sources as rivals
        on sources.study = rivals.study
        and sources.variant = rivals.variant
        and sources.prompt is not distinct from rivals.prompt
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
        sources.prompt,
        sources.model,
        sources.source_task,
        sources.source_language,
        sources.on_task_pp,
        sources.off_task_pp,
        case
            when sources.on_task_pp is not null and sources.off_task_pp is not null
                then dominated.study is null
        end as is_pareto
    from sources
    left join dominated
        on sources.study = dominated.study
        and sources.variant = dominated.variant
        and sources.prompt is not distinct from dominated.prompt
        and sources.model = dominated.model
        and sources.source_task = dominated.source_task
        and sources.source_language = dominated.source_language
)

select * from final
