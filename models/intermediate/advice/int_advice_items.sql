{{ config(materialized='table') }}

{%- set pair = "study, variant, prompt_pool, source_task, source_language, target_task, target_language" %}

with role_grid as (
    select * from {{ ref('int_role_grid') }}
),

cell_items as (
    select * from {{ ref('int_cell_items') }}
),

computed_cells as (
    select * from {{ ref('int_computed_cells') }}
),

cells as (
    select
        role_grid.* exclude (delta_pp), -- noqa: RF02
        computed_cells.n_items * computed_cells.n_seeds as n_answers
    from role_grid
    inner join computed_cells on role_grid.cell_number = computed_cells.cell_number
    where role_grid.scope = 'all' and role_grid.is_in_complete_grid and role_grid.regime != 'MT-ML'
),

numbered as (
    select
        cell_number,
        n_answers,
        count(*) over (partition by {{ pair }}) as n_models,
        cast(dense_rank() over (order by {{ pair }}) as integer) as pair_number,
        {{ pair }}
    from cells
),

-- What a parallel item adds to the mean over models: models answer the same items, and err together.
by_parallel as (
    select
        numbered.pair_number,
        cell_items.parallel_number,
        sum(
            (cell_items.n_correct - cell_items.n_seeds * cell_items.baseline_correct)
            / numbered.n_answers
            / numbered.n_models
        ) as difference
    from cell_items
    inner join numbered on cell_items.cell_number = numbered.cell_number
    group by numbered.pair_number, cell_items.parallel_number
),

variances as (
    select
        pair_number,
        1e4 * var_samp(difference) * count(*) as items_pp2
    from by_parallel
    group by pair_number
),

pairs as (
    select distinct
        pair_number,
        {{ pair }}
    from numbered
),

final as (
    select
        pairs.* exclude (pair_number), -- noqa: RF02
        variances.items_pp2
    from variances
    inner join pairs on variances.pair_number = pairs.pair_number
)

select * from final
