{{ config(materialized='table') }}

with mixture_rows as (
    select * from {{ ref('int_mixture_rows') }}
),

comparisons as (
    select * from {{ ref('int_mixture_comparisons') }}
),

sizes as (
    select
        mixture_row,
        count(distinct mixture_cell_number) as n_cells
    from mixture_rows
    group by mixture_row
),

-- The mixture's cells, once each.
of_mixture as (
    select distinct
        comparisons.statistic_number,
        mixture_rows.mixture_cell_number as cell_number,
        1 / sizes.n_cells as weight
    from comparisons
    inner join mixture_rows on comparisons.mixture_row = mixture_rows.mixture_row
    inner join sizes on comparisons.mixture_row = sizes.mixture_row
),

-- One part's, or those of all parts, each as much as the mixture has of it.
of_parts as (
    select
        comparisons.statistic_number,
        mixture_rows.part_cell_number as cell_number,
        -case when comparisons.part is null then mixture_rows.dose else 1 end / sizes.n_cells as weight
    from comparisons
    inner join mixture_rows
        on comparisons.mixture_row = mixture_rows.mixture_row
        and coalesce(comparisons.part, mixture_rows.part) = mixture_rows.part
    inner join sizes on comparisons.mixture_row = sizes.mixture_row
),

statistic_cells as (
    select * from of_mixture
    union all
    select * from of_parts
),

{{ statistic_errors() }}

select * from statistic_errors
