{{ config(materialized='table') }}

with role_grid as (
    select * from {{ ref('int_role_grid') }}
),

role_sums as (
    select * from {{ ref('int_role_sums') }}
),

-- A cell counts for its regime and, unless it is the trained cell, for 'transfer'.
cells_by_regime as (
    select
        study,
        variant,
        prompt_pool,
        scope,
        cell_number,
        unnest(case when regime = 'MT-ML' then [regime] else [regime, 'transfer'] end) as entity
    from role_grid
    where is_in_complete_grid and (scope = 'all' or scope = model)
),

regimes as (
    select
        study,
        variant,
        prompt_pool,
        scope,
        'tuned' as arm,
        'regime' as axis,
        'all' as block,
        'regime' as part,
        entity,
        cell_number,
        1 / count(*) over (partition by study, variant, prompt_pool, scope, entity) as weight
    from cells_by_regime
),

-- What is paired has a cell and, with the opposite sign, its placebo.
parts as (
    select
        * exclude (cell_numbers, placebo_cell_numbers, weight, sum_pp), -- noqa: RF02
        unnest(
            case when arm = 'paired' then list_concat(cell_numbers, placebo_cell_numbers) else cell_numbers end
        ) as cell_number,
        unnest(list_transform( -- noqa: PRS
            range(case when arm = 'paired' then 2 else 1 end * len(cell_numbers)),
            lambda i: case when i < len(cell_numbers) then weight else -weight end
        )) as weight
    from role_sums
),

means as (
    select * from regimes
    union all by name
    select * from parts
),

numbered as (
    select
        *,
        cast(dense_rank() over (
            order by study, variant, prompt_pool, scope, arm, axis, block, part, entity
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
        scope,
        arm,
        axis,
        block,
        part,
        entity,
        cell_number,
        weight
    from numbered
    qualify bool_and(cell_number is not null) over (partition by mean_number)
)

select * from final
