{{ config(materialized='table') }}

with transfer_cells as (
    select * from {{ ref('int_transfer_cells') }}
),

role_cells as (
    select * from {{ ref('int_role_cells') }}
),

-- Each cell counts for all models and for its own, for its regime and, unless it is the trained cell, for 'transfer'.
cells_by_scope as (
    select
        *,
        unnest(['all', model]) as scope
    from transfer_cells
    where control is null and delta_pp is not null
),

cells_by_regime as (
    select
        study,
        variant,
        prompt_pool,
        scope,
        cell_number,
        unnest(case when regime = 'MT-ML' then [regime] else [regime, 'transfer'] end) as entity
    from cells_by_scope
),

regimes as (
    select
        study,
        variant,
        prompt_pool,
        'regime' as role,
        'regime' as axis,
        scope,
        entity,
        cell_number,
        1 / count(*) over (partition by study, variant, prompt_pool, scope, entity) as weight
    from cells_by_regime
),

roles as (
    select
        study,
        variant,
        prompt_pool,
        role,
        axis,
        scope,
        entity,
        cell_number,
        weight
    from role_cells
    where weight is not null
),

gains as (
    select
        study,
        variant,
        prompt_pool,
        'gain' as role,
        axis,
        scope,
        entity,
        unnest([cell_number, placebo_cell_number]) as cell_number,
        unnest([weight_with_placebo, -weight_with_placebo]) as weight
    from role_cells
    where role = 'donor' and weight_with_placebo is not null
),

means as (
    select * from regimes
    union all
    select * from roles
    union all
    select * from gains
),

numbered as (
    select
        *,
        cast(dense_rank() over (
            order by study, variant, prompt_pool, role, axis, scope, entity
        ) as integer) as mean_number
    from means
),

-- Where some cell came without items, nothing can be said of the items' part in the mean.
final as (
    select
        mean_number,
        study,
        variant,
        prompt_pool,
        role,
        axis,
        scope,
        entity,
        cell_number,
        weight
    from numbered
    qualify bool_and(cell_number is not null) over (partition by mean_number)
)

select * from final
