{{ config(materialized='table') }}

with role_grid as (
    select * from {{ ref('int_role_grid') }}
),

-- Rounded, so that equal differences tie whatever the order in which they were added up.
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
        round(delta_pp, 9) as delta_pp
    from role_grid
    where scope = 'all' and is_in_complete_grid
),

{%- set ranking = "study, variant, prompt_pool, regime, source_task, source_language, model" %}

ranked as (
    select
        *,
        count(*) over (partition by {{ ranking }}) as n_targets,
        rank() over (partition by {{ ranking }} order by delta_pp) - 1 as n_below,
        count(*) over (partition by {{ ranking }}, delta_pp) as n_equal
    from cells
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
