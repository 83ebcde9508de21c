{{ config(materialized='table') }}

with item_correctness as (
    select * from {{ ref('int_item_correctness') }}
),

counted as (
    select
        job_number,
        count(acc) as n_acc,
        count_if(acc) as k_acc,
        count(acc_norm) as n_acc_norm,
        count_if(acc_norm) as k_acc_norm,
        count(acc_bytes) as n_acc_bytes,
        count_if(acc_bytes) as k_acc_bytes,
        count(exact_match) as n_exact_match,
        count_if(exact_match) as k_exact_match
    from item_correctness
    group by job_number
),

metrics as (
    select
        job_number,
        unnest(['acc', 'acc_norm', 'acc_bytes', 'exact_match']) as metric,
        unnest([k_acc, k_acc_norm, k_acc_bytes, k_exact_match]) as n_correct,
        unnest([n_acc, n_acc_norm, n_acc_bytes, n_exact_match]) as n_items
    from counted
),

final as (
    select * from metrics
    where n_items > 0
)

select * from final
