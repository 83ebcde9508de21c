{{ config(materialized='table') }}

with mixture_rows as (
    select * from {{ ref('int_mixture_rows') }}
),

-- Means over a row's cells; `added` is what the parts would do together if each gave what its share of its items gives.
by_cell as (
    select
        mixture_row,
        mixture_cell_number,
        any_value(delta_pp) as delta_pp,
        {{ in_order('sum', 'dose * part_pp') }} as added_pp
    from mixture_rows
    group by mixture_row, mixture_cell_number
),

of_parts as (
    select
        mixture_rows.mixture_row,
        mixture_rows.part,
        {{ in_order('avg', 'mixture_rows.part_pp') }} as other_pp,
        {{ in_order('avg', 'mixture_rows.delta_pp - mixture_rows.part_pp') }} as difference_pp
    from mixture_rows
    group by mixture_rows.mixture_row, mixture_rows.part
),

of_sums as (
    select
        mixture_row,
        cast(null as varchar) as part,
        {{ in_order('avg', 'added_pp') }} as other_pp,
        {{ in_order('avg', 'delta_pp - added_pp') }} as difference_pp
    from by_cell
    group by mixture_row
),

compared as (
    select * from of_parts
    union all by name
    select * from of_sums
),

final as (
    select
        cast(row_number() over (order by mixture_row, part) as integer) as statistic_number,
        *
    from compared
)

select * from final
