{{ config(materialized='table') }}

with statistic_terms as (
    select * from {{ ref('int_statistic_terms') }}
),

mean_cells as (
    select * from {{ ref('int_mean_cells') }}
),

final as (
    select
        statistic_terms.statistic_number,
        mean_cells.cell_number,
        {{ exact_sum('statistic_terms.coefficient * mean_cells.weight') }} as weight
    from statistic_terms
    inner join mean_cells on statistic_terms.mean_number = mean_cells.mean_number
    group by statistic_terms.statistic_number, mean_cells.cell_number
)

select * from final
