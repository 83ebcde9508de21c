{{ config(materialized='table') }}

{#- Units dropped at most; a grid with more that miss cells keeps a whole-axis drop (int_role_grid). -#}
{%- set most_drops = 250 %}
{%- set grid = "study, variant, prompt_pool, scope" %}

with recursive expected_cells as (
    select * from {{ ref('int_expected_cells') }}
),

model_scopes as (
    select * from {{ ref('int_model_scopes') }}
),

arms as (
    select
        expected_cells.study,
        expected_cells.variant,
        expected_cells.prompt_pool,
        model_scopes.scope,
        expected_cells.model_unit,
        expected_cells.source_unit,
        expected_cells.target_unit,
        unnest(['tuned', 'paired']) as arm,
        unnest([expected_cells.delta_pp is not null, expected_cells.placebo_pp is not null]) as is_present
    from expected_cells
    inner join model_scopes on expected_cells.model = model_scopes.model
    where expected_cells.regime != 'MT-ML'
),

-- Grids that miss some of their cells, not all.
cells as (
    select
        *,
        dense_rank() over (order by {{ grid }}, arm) as grid_number
    from arms
    qualify
        not bool_and(is_present) over (partition by {{ grid }}, arm)
        and bool_or(is_present) over (partition by {{ grid }}, arm)
),

-- Again and again the model, source or target that misses most per present cell; ties by name.
drops as (
    select distinct
        grid_number,
        0 as step,
        cast([] as integer[]) as dropped
    from cells
    union all
    select
        grid_number,
        step + 1 as step,
        list_append(dropped, worst) as dropped
    from (
        select
            grid_number,
            any_value(step) as step,
            any_value(dropped) as dropped,
            arg_min(unit, (-missing_per_present, unit)) as worst
        from (
            select
                grid_number,
                unit,
                any_value(step) as step,
                any_value(dropped) as dropped,
                count_if(not is_present) as n_missing,
                coalesce(n_missing / nullif(count_if(is_present), 0), 1e9) as missing_per_present
            from (
                select
                    drops.grid_number,
                    drops.step,
                    drops.dropped,
                    cells.is_present,
                    unnest([cells.model_unit, cells.source_unit, cells.target_unit]) as unit
                from drops
                inner join cells on drops.grid_number = cells.grid_number
                where
                    not list_contains(drops.dropped, cells.model_unit)
                    and not list_contains(drops.dropped, cells.source_unit)
                    and not list_contains(drops.dropped, cells.target_unit)
            ) as alive
            group by grid_number, unit
        ) as counted
        group by grid_number
        having sum(n_missing) > 0
    ) as incomplete
    where step < {{ most_drops }}
),

last_steps as (
    select
        grid_number,
        arg_max(dropped, step) as dropped
    from drops
    group by grid_number
),

numbers as (
    select distinct
        grid_number,
        {{ grid }},
        arm
    from cells
),

final as (
    select
        numbers.* exclude (grid_number), -- noqa: RF02
        last_steps.dropped
    from last_steps
    inner join numbers on last_steps.grid_number = numbers.grid_number
)

select * from final
