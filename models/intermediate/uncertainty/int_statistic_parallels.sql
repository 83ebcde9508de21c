{{ config(materialized='table') }}

with statistic_terms as (
    select * from {{ ref('int_statistic_terms') }}
),

mean_parallels as (
    select * from {{ ref('int_mean_parallels') }}
),

final as (
    select
        statistic_terms.statistic_number,
        mean_parallels.target_task,
        mean_parallels.parallel_number,
        {{ exact_sum('statistic_terms.coefficient * mean_parallels.influence') }} as influence
    from statistic_terms
    inner join mean_parallels on statistic_terms.mean_number = mean_parallels.mean_number
    group by statistic_terms.statistic_number, mean_parallels.target_task, mean_parallels.parallel_number
)

select * from final
