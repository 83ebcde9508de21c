{{ config(materialized='table') }}

with computed_cells as (
    select * from {{ ref('int_computed_cells') }}
),

cell_seeds as (
    select * from {{ ref('int_cell_seeds') }}
),

cell_items as (
    select * from {{ ref('int_cell_items') }}
),

parallel_items as (
    select * from {{ ref('int_parallel_items') }}
),

seeds as (
    select
        cell_number,
        sum(pow(n_correct - n_baseline_correct, 2)) as sum_squared_seed_difference
    from cell_seeds
    group by cell_number
),

-- Targets several of whose items share a parallel id: questions on one passage are drawn together.
passages as (
    select
        study,
        target_task,
        target_language,
        prompt
    from parallel_items
    group by all
    having count(*) > count(distinct parallel_number)
),

by_passage as (
    select
        cell_items.cell_number,
        cell_items.parallel_number,
        any_value(computed_cells.n_items * computed_cells.n_seeds) as n_answers,
        sum(cell_items.n_correct - cell_items.n_seeds * cell_items.baseline_correct)
        - count(*) * any_value(computed_cells.sum_difference / computed_cells.n_items) as deviation
    from cell_items
    inner join computed_cells on cell_items.cell_number = computed_cells.cell_number
    inner join passages
        on computed_cells.study = passages.study
        and computed_cells.target_task = passages.target_task
        and computed_cells.target_language = passages.target_language
        and computed_cells.prompt is not distinct from passages.prompt
    group by cell_items.cell_number, cell_items.parallel_number
),

clustered as (
    select
        cell_number,
        count(*) as n_passages,
        {{ exact_sum('pow(deviation / n_answers, 2)') }} * count(*) / nullif(count(*) - 1, 0) as from_passages
    from by_passage
    group by cell_number
),

-- Mean squares of the two-way layout items x seeds, from sums of integers.
mean_squares as (
    select
        computed_cells.cell_number,
        computed_cells.n_items as n,
        computed_cells.n_seeds as s,
        computed_cells.sum_difference as total,
        computed_cells.sum_squared_difference as squares,
        computed_cells.n_items_up + computed_cells.n_items_down as n_changed,
        least(computed_cells.n_items_up, computed_cells.n_items_down) as n_fewer,
        (squares / pow(s, 2) - pow(total / s, 2) / n) / nullif(n - 1, 0) as between_items,
        greatest(
            0,
            (seeds.sum_squared_seed_difference / pow(n, 2) - pow(total / n, 2) / s) / nullif(s - 1, 0)
        ) as between_seeds,
        greatest(
            0,
            (
                computed_cells.n_changed_answers
                - squares / s
                - seeds.sum_squared_seed_difference / n
                + pow(total, 2) / (n * s)
            ) / nullif((n - 1) * (s - 1), 0)
        ) as residual,
        -- One more answer right and one more wrong: no accuracy is 0 or 1.
        (computed_cells.score * n * s + 1) / (n * s + 2) as accuracy
    from computed_cells
    inner join seeds on computed_cells.cell_number = seeds.cell_number
    where computed_cells.sum_difference is not null
),

-- With half an item won in every seed, half an item lost and one unchanged, no item variance is 0.
final as (
    select
        mean_squares.cell_number,
        mean_squares.n as n_items,
        mean_squares.s as n_seeds,
        mean_squares.total as sum_difference,
        mean_squares.n_changed,
        mean_squares.n_fewer,
        coalesce(clustered.n_passages, mean_squares.n) as n_drawn,
        case
            when clustered.from_passages > mean_squares.between_items / mean_squares.n then clustered.from_passages
            else mean_squares.between_items / mean_squares.n
        end as from_items,
        from_items - mean_squares.between_items / mean_squares.n
        + (
            mean_squares.squares / pow(mean_squares.s, 2)
            + 1
            - pow(mean_squares.total / mean_squares.s, 2) / (mean_squares.n + 2)
        ) / ((mean_squares.n + 2) * (mean_squares.n + 1)) as from_items_widened,
        mean_squares.between_seeds,
        mean_squares.residual / mean_squares.n as seed_noise,
        pow(4 * mean_squares.accuracy * (1 - mean_squares.accuracy), 2) as luck_scale
    from mean_squares
    left join clustered on mean_squares.cell_number = clustered.cell_number
)

select * from final
