{{ config(materialized='table') }}

with role_grid as (
    select * from {{ ref('int_role_grid') }}
),

-- Rounded, so that equal differences tie whatever the order in which they were added up.
centred as (
    select
        *,
        delta_pp - avg(delta_pp order by delta_pp) over (
            partition by study, variant, prompt_pool, model, target_task, target_language
        ) as specific_pp
    from role_grid
    where scope = 'all' and is_in_complete_grid and regime != 'MT-ML'
),

-- The targets of a source are ranked by what it does to them, and by that less what all sources do to them.
cells as (
    select
        study,
        variant,
        prompt_pool,
        unnest([regime, 'transfer']) as regime,
        source_task,
        source_language,
        model,
        target_task,
        target_language,
        round(delta_pp, 9) as delta_pp,
        round(specific_pp, 9) as specific_pp
    from centred
),

ranked_by as (
    select
        * exclude (delta_pp, specific_pp),
        unnest(['delta', 'specific']) as outcome,
        unnest([delta_pp, specific_pp]) as delta_pp
    from cells
),

{%- set ranking = "outcome, study, variant, prompt_pool, regime, source_task, source_language, model" %}

ranked as (
    select
        *,
        count(*) over (partition by {{ ranking }}) as n_targets,
        rank() over (partition by {{ ranking }} order by delta_pp) - 1 as n_below,
        count(*) over (partition by {{ ranking }}, delta_pp) as n_equal
    from ranked_by
),

final as (
    select
        {{ ranking }},
        n_targets,
        list(delta_pp order by target_task, target_language) as deltas,
        cast(sum(n_below) as bigint) as n_untied,
        sum(pow(2 * n_below + n_equal - n_targets, 2)) as sum_squared_lead
    from ranked
    group by all
)

select * from final
