{{ config(materialized='table') }}

with mean_squares as (
    select * from {{ ref('int_probability_mean_squares') }}
),

cell_luck as (
    select * from {{ ref('int_cell_luck') }}
    where outcome = 'probability'
),

with_luck as (
    select
        mean_squares.*,
        cell_luck.from_runs,
        cell_luck.from_runs_spread
    from mean_squares
    inner join cell_luck on mean_squares.cell_number = cell_luck.cell_number
),

-- Satterthwaite's degrees of freedom.
with_variance as (
    select
        *,
        from_items + coalesce(from_runs, 0) as variance,
        greatest(1, pow(variance, 2) / nullif(
            pow(from_items, 2) / nullif(n_drawn - 1, 0) + coalesce(from_runs_spread, 0), 0
        )) as degrees_of_freedom
    from with_luck
    where from_items is not null
),

standardised as (
    select
        *,
        sqrt(variance) as error,
        difference / nullif(error, 0) as t,
        {{ t_quantile_975('degrees_of_freedom') }} * error as half_width
    from with_variance
    where variance > 0
),

final as (
    select
        with_luck.cell_number,
        with_luck.n_items,
        with_luck.baseline_score,
        with_luck.score,
        100 * with_luck.difference as delta_pp,
        100 * standardised.error as delta_se,
        standardised.degrees_of_freedom,
        greatest(-100, 100 * (with_luck.difference - standardised.half_width)) as ci_low,
        least(100, 100 * (with_luck.difference + standardised.half_width)) as ci_high,
        {{ two_sided_p('standardised.t', 'standardised.degrees_of_freedom') }} as p_value,
        case when with_luck.from_runs is null then 'this run' else 'tuning' end as error_of
    from with_luck
    left join standardised on with_luck.cell_number = standardised.cell_number
)

select * from final
