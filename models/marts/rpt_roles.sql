with role_grid as (
    select * from {{ ref('int_role_grid') }}
),

transfer_cells as (
    select * from {{ ref('int_transfer_cells') }}
),

studies as (
    select * from {{ ref('stg_studies') }}
),

with_placebo as (
    select
        role_grid.*,
        placebos.delta_pp as placebo_pp
    from role_grid
    left join transfer_cells as placebos
        on role_grid.study = placebos.study
        and role_grid.variant = placebos.variant
        and role_grid.prompt_pool is not distinct from placebos.prompt_pool
        and role_grid.model = placebos.model
        and role_grid.source_task = placebos.source_task
        and role_grid.source_language = placebos.source_language
        and role_grid.target_task = placebos.target_task
        and role_grid.target_language = placebos.target_language
        and placebos.control = 'placebo'
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
    from with_placebo
),

roles as (
    select
        study,
        variant,
        prompt_pool,
        scope,
        model,
        part.axis,
        unnest([part.donor, part.recipient]) as entity,
        unnest(['donor', 'recipient']) as role,
        delta_pp,
        placebo_pp,
        is_planned,
        is_in_complete_grid
    from parts
    where part.counts
),

by_model as (
    select
        study,
        variant,
        prompt_pool,
        scope,
        axis,
        entity,
        avg(delta_pp) filter (where is_in_complete_grid and role = 'donor') as donor_pp,
        avg(delta_pp) filter (where is_in_complete_grid and role = 'recipient') as recipient_pp,
        avg(placebo_pp) filter (where is_in_complete_grid and role = 'donor') as placebo_pp,
        count_if(is_in_complete_grid) as n_cells,
        count_if(is_planned) as n_planned
    from roles
    group by study, variant, prompt_pool, scope, model, axis, entity
),

over_models as (
    select
        study,
        variant,
        prompt_pool,
        scope,
        axis,
        entity,
        avg(donor_pp) as donor_pp,
        avg(recipient_pp) as recipient_pp,
        avg(placebo_pp) as placebo_pp,
        sum(n_cells) as n_cells,
        sum(n_planned) as n_planned
    from by_model
    group by all
),

-- Ranks see nine decimals: equal means may differ in their last bit, by the order in which they were added up.
final as (
    select
        over_models.study,
        studies.origin,
        over_models.variant,
        over_models.prompt_pool as prompt,
        over_models.scope,
        over_models.axis,
        over_models.entity,
        over_models.donor_pp,
        cast(null as double) as donor_ci_low,
        cast(null as double) as donor_ci_high,
        case
            when over_models.donor_pp is not null
                then rank() over (
                    partition by
                        over_models.study, over_models.variant, over_models.prompt_pool, over_models.scope,
                        over_models.axis
                    order by round(over_models.donor_pp, 9) desc nulls last
                )
        end as donor_rank,
        over_models.recipient_pp,
        cast(null as double) as recipient_ci_low,
        cast(null as double) as recipient_ci_high,
        case
            when over_models.recipient_pp is not null
                then rank() over (
                    partition by
                        over_models.study, over_models.variant, over_models.prompt_pool, over_models.scope,
                        over_models.axis
                    order by round(over_models.recipient_pp, 9) desc nulls last
                )
        end as recipient_rank,
        over_models.placebo_pp,
        cast(null as double) as p_top,
        cast(null as boolean) as is_hub,
        cast(null as boolean) as is_brittle,
        cast(over_models.n_cells as bigint) as n_cells,
        cast(nullif(over_models.n_planned, 0) as bigint) as n_planned
    from over_models
    inner join studies on over_models.study = studies.study
)

select * from final
