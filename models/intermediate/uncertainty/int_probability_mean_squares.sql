{{ config(materialized='table') }}

with cell_items as (
    select * from {{ ref('int_cell_items') }}
),

cell_seeds as (
    select * from {{ ref('int_cell_seeds') }}
),

-- Per item the sum over seeds of after - before, and of its square.
items as (
    select
        cell_number,
        parallel_number,
        n_seeds,
        baseline_probability,
        sum_probability,
        sum_probability - n_seeds * baseline_probability as difference,
        sum_squared_probability - 2 * baseline_probability * sum_probability
        + n_seeds * baseline_probability * baseline_probability as squared_difference
    from cell_items
),

counted as (
    select
        cell_number,
        count(*) as n,
        any_value(n_seeds) as s,
        {{ exact_sum('baseline_probability') }} as sum_baseline,
        {{ exact_sum('sum_probability') }} as sum_probability,
        {{ exact_sum('difference') }} as total,
        {{ exact_sum('difference * difference') }} as squares,
        {{ exact_sum('squared_difference') }} as all_squares
    from items
    group by cell_number
    having count(difference) = count(*)
),

-- Questions on one passage are drawn together.
by_passage as (
    select
        items.cell_number,
        items.parallel_number,
        {{ exact_sum('items.difference') }} - count(*) * any_value(counted.total / counted.n) as deviation
    from items
    inner join counted on items.cell_number = counted.cell_number
    group by items.cell_number, items.parallel_number
),

passages as (
    select
        cell_number,
        count(*) as n_drawn,
        {{ exact_sum('deviation * deviation') }} * count(*) / nullif(count(*) - 1, 0) as squares
    from by_passage
    group by cell_number
),

{%- set deviation = 'cell_seeds.sum_probability - counted.sum_baseline - counted.total / counted.s' %}

seeds as (
    select
        cell_seeds.cell_number,
        {{ in_order('sum', 'pow(' ~ deviation ~ ', 2)') }} as squares
    from cell_seeds
    inner join counted on cell_seeds.cell_number = counted.cell_number
    group by cell_seeds.cell_number
    having count(cell_seeds.sum_probability) = count(*)
),

final as (
    select
        counted.cell_number,
        counted.n as n_items,
        counted.s as n_seeds,
        passages.n_drawn,
        counted.sum_baseline / counted.n as baseline_score,
        counted.sum_probability / (counted.n * counted.s) as score,
        counted.total / (counted.n * counted.s) as difference,
        passages.squares / pow(counted.n * counted.s, 2) as from_items,
        seeds.squares / pow(counted.n, 2) / nullif(counted.s - 1, 0) as between_seeds,
        greatest(
            0,
            counted.all_squares - counted.squares / counted.s - seeds.squares / counted.n
        ) / nullif((counted.n - 1) * (counted.s - 1), 0) / counted.n as seed_noise,
        pow(4 * score * (1 - score), 2) as luck_scale
    from counted
    inner join passages on counted.cell_number = passages.cell_number
    inner join seeds on counted.cell_number = seeds.cell_number
)

select * from final
