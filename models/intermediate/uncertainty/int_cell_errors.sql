{{ config(materialized='table') }}

with mean_squares as (
    select * from {{ ref('int_cell_mean_squares') }}
),

cell_luck as (
    select * from {{ ref('int_cell_luck') }}
    where outcome = 'accuracy'
),

studies as (
    select * from {{ ref('stg_studies') }}
),

sign_tests as (
    select * from {{ ref('int_sign_tests') }}
),

with_luck as (
    select
        mean_squares.*,
        cell_luck.study,
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
        from_items_widened + coalesce(from_runs, 0) as variance_widened,
        case
            when n_drawn > 1
                then greatest(1, pow(variance_widened, 2) / (
                    pow(from_items_widened, 2) / (n_drawn - 1) + coalesce(from_runs_spread, 0)
                ))
        end as degrees_of_freedom
    from with_luck
),

with_threshold as (
    select
        with_variance.*,
        studies.harm_threshold_pp
    from with_variance
    inner join studies on with_variance.study = studies.study
    where with_variance.n_drawn > 1
),

standardised as (
    select
        *,
        sum_difference / n_seeds / (n_items + 2) as centre,
        sqrt(variance_widened) as error,
        centre / error as t,
        (centre + harm_threshold_pp / 100) / error as t_of_harm,
        {{ t_quantile_975('degrees_of_freedom') }} * error as half_width
    from with_threshold
),

tested as (
    select
        *,
        {{ two_sided_p('standardised.t', 'standardised.degrees_of_freedom') }} as t_p_value,
        {{ two_sided_p('standardised.t_of_harm', 'standardised.degrees_of_freedom') }} / 2 as p_of_distance
    from standardised
),

final as (
    select
        with_variance.cell_number,
        case when with_variance.from_runs is null then 'this run' else 'tuning' end as error_of,
        100 * sqrt(with_variance.variance) as delta_se,
        tested.degrees_of_freedom,
        case when tested.half_width is not null then greatest(-100, 100 * (tested.centre - tested.half_width)) end
            as ci_low,
        case when tested.half_width is not null then least(100, 100 * (tested.centre + tested.half_width)) end
            as ci_high,
        case
            when tested.cell_number is null then sign_tests.p_value
            when with_variance.from_runs is not null then tested.t_p_value
            when with_variance.n_drawn < with_variance.n_items then greatest(sign_tests.p_value, tested.t_p_value)
            else sign_tests.p_value
        end as p_value,
        case when tested.t_of_harm < 0 then tested.p_of_distance else 1 - tested.p_of_distance end as harm_p_value,
        with_variance.from_items,
        with_variance.from_items_widened,
        with_variance.from_runs
    from with_variance
    inner join sign_tests
        on with_variance.n_changed = sign_tests.n_changed
        and with_variance.n_fewer = sign_tests.n_fewer
    left join tested on with_variance.cell_number = tested.cell_number
)

select * from final
