{{ config(materialized='table') }}

with contrast_rows as (
    select * from {{ ref('int_contrast_rows') }}
),

signed as (
    select
        statistic_number,
        unnest([a_cell_number, b_cell_number]) as cell_number,
        unnest([1, -1]) / count(*) over (partition by statistic_number) as weight
    from contrast_rows
    qualify bool_and(a_cell_number is not null and b_cell_number is not null) over (partition by statistic_number)
),

statistic_cells as (
    select
        statistic_number,
        cell_number,
        {{ exact_sum('weight') }} as weight
    from signed
    group by statistic_number, cell_number
),

{{ statistic_errors() }}

select * from statistic_errors
