{{ config(materialized='table') }}

with computed_cells as (
    select * from {{ ref('int_computed_cells') }}
),

cell_seeds as (
    select * from {{ ref('int_cell_seeds') }}
),

sign_tests as (
    select * from {{ ref('int_sign_tests') }}
),

seeds as (
    select
        cell_number,
        sum(pow(n_correct - n_baseline_correct, 2)) as sum_squared_seed_difference
    from cell_seeds
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
        (seeds.sum_squared_seed_difference / pow(n, 2) - pow(total / n, 2) / s) / nullif(s - 1, 0) as between_seeds,
        greatest(
            0,
            (
                computed_cells.n_changed_answers
                - squares / s
                - seeds.sum_squared_seed_difference / n
                + pow(total, 2) / (n * s)
            ) / nullif((n - 1) * (s - 1), 0)
        ) as residual
    from computed_cells
    inner join seeds on computed_cells.cell_number = seeds.cell_number
    where computed_cells.sum_difference is not null
),

-- What each source of variation adds to the variance of the mean; seeds nothing where the residual explains them.
-- With half an item won in every seed, half an item lost and one unchanged, no item variance is 0.
parts as (
    select
        *,
        between_items / n as from_items,
        (squares / pow(s, 2) + 1 - pow(total / s, 2) / (n + 2)) / ((n + 2) * (n + 1)) as from_items_widened,
        -- (Equal up to rounding is equal.)
        case when between_seeds > (1 + 1e-9) * residual / n then between_seeds / s end as from_seeds,
        case when s > 1 then residual / (n * s) end as from_residual
    from mean_squares
),

with_variance as (
    select
        *,
        from_items + coalesce(from_seeds - from_residual, 0) as variance,
        case
            when from_seeds is null or n = 1 then nullif(n - 1, 0)
            else greatest(
                1,
                pow(variance, 2) / (
                    pow(from_items, 2) / (n - 1)
                    + pow(from_seeds, 2) / (s - 1)
                    + pow(from_residual, 2) / ((n - 1) * (s - 1))
                )
            )
        end as degrees_of_freedom
    from parts
),

standardised as (
    select
        *,
        total / (n * s) / nullif(sqrt(variance), 0) as t,
        total / s / (n + 2) as centre,
        {{ t_quantile_975('degrees_of_freedom') }}
        * sqrt(from_items_widened + coalesce(from_seeds - from_residual, 0)) as half_width
    from with_variance
),

tested as (
    select
        *,
        {{ two_sided_p('standardised.t', 'standardised.degrees_of_freedom') }} as t_p_value
    from standardised
),

final as (
    select
        tested.cell_number,
        100 * sqrt(tested.variance) as delta_se,
        tested.degrees_of_freedom,
        case when tested.half_width is not null then greatest(-100, 100 * (tested.centre - tested.half_width)) end
            as ci_low,
        case when tested.half_width is not null then least(100, 100 * (tested.centre + tested.half_width)) end
            as ci_high,
        case
            when tested.s = 1 or tested.t is null then sign_tests.p_value
            when tested.n_changed < 25 then greatest(sign_tests.p_value, tested.t_p_value)
            else tested.t_p_value
        end as p_value,
        tested.from_residual as residual_variance
    from tested
    inner join sign_tests
        on tested.n_changed = sign_tests.n_changed
        and tested.n_fewer = sign_tests.n_fewer
)

select * from final
