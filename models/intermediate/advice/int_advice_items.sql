{{ config(materialized='table') }}

{%- set pair = "study, variant, prompt_pool, source_task, source_language, target_task, target_language" %}

with role_grid as (
    select * from {{ ref('int_role_grid') }}
),

cell_items as (
    select * from {{ ref('int_cell_items') }}
),

transfer_cells as (
    select * from {{ ref('int_transfer_cells') }}
),

cells as (
    select
        role_grid.* exclude (delta_pp), -- noqa: RF02
        transfer_cells.n_items * transfer_cells.n_seeds as n_answers,
        1e4 * transfer_cells.from_items as items_pp2
    from role_grid
    inner join transfer_cells on role_grid.cell_number = transfer_cells.cell_number
    where role_grid.scope = 'all' and role_grid.delta_pp is not null
),

numbered as (
    select
        cell_number,
        n_answers,
        count(*) over (partition by {{ pair }}) as n_models,
        avg(items_pp2 order by items_pp2) over (partition by {{ pair }}) as cell_items_pp2,
        cast(dense_rank() over (order by {{ pair }}) as integer) as pair_number,
        {{ pair }}
    from cells
),

{%- set change = '(cell_items.n_correct - cell_items.n_seeds * cell_items.baseline_correct)' %}

-- What a parallel item adds to the mean over models: models answer the same items, and err together.
by_parallel as (
    select
        numbered.pair_number,
        cell_items.parallel_number,
        {{ exact_sum(change ~ ' / numbered.n_answers / numbered.n_models') }} as difference
    from cell_items
    inner join numbered on cell_items.cell_number = numbered.cell_number
    group by numbered.pair_number, cell_items.parallel_number
),

variances as (
    select
        pair_number,
        1e4 * {{ in_order('var_samp', 'difference') }} * count(*) as items_pp2
    from by_parallel
    group by pair_number
),

pairs as (
    select distinct
        pair_number,
        n_models,
        cell_items_pp2,
        {{ pair }}
    from numbered
),

final as (
    select
        pairs.* exclude (pair_number, n_models, cell_items_pp2), -- noqa: RF02
        variances.items_pp2 / nullif(pairs.cell_items_pp2 / pairs.n_models, 0) as inflation
    from variances
    inner join pairs on variances.pair_number = pairs.pair_number
)

select * from final
