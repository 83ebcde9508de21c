{{ config(materialized='table') }}

with computed_cells as (
    select * from {{ ref('int_computed_cells') }}
),

counts as (
    select distinct
        n_items_up + n_items_down as n_changed,
        least(n_items_up, n_items_down) as n_fewer
    from computed_cells
    where sum_difference is not null
),

-- Terms more than 12 standard deviations out do not move the sum's last digit.
terms as (
    select
        n_changed,
        n_fewer,
        unnest(range(greatest(0, n_fewer - 6 * cast(ceil(sqrt(n_changed)) as bigint)), n_fewer + 1)) as k
    from counts
),

probabilities as (
    select
        *,
        exp(lgamma(n_changed + 1) - lgamma(k + 1) - lgamma(n_changed - k + 1) - n_changed * ln(2)) as probability
    from terms
),

final as (
    select
        n_changed,
        n_fewer,
        least(1, 2 * {{ in_order('sum', 'probability') }}) as p_value
    from probabilities
    group by n_changed, n_fewer
)

select * from final
