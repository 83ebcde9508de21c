{{ config(materialized='table') }}

with item_correctness as (
    select * from {{ ref('int_item_correctness') }}
),

final as (
    select
        job_number,
        count(gold_probability) as n_items,
        count(*) as n_scored,
        {{ exact_sum('cast(gold_probability as double)') }} as sum_probability,
        {{ exact_avg('cast(brier as double)') }} as brier
    from item_correctness
    group by job_number
    having count(gold_probability) > 0
)

select * from final
