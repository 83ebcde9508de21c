{{ config(materialized='table') }}

with item_scores as (
    select * from {{ ref('stg_item_scores') }}
),

scoring_jobs as (
    select * from {{ ref('int_scoring_jobs') }}
),

numbered as (
    select
        item_scores.*,
        scoring_jobs.job_number
    from item_scores
    inner join scoring_jobs on item_scores.job_key = scoring_jobs.job_key
),

-- Log-probability per character and per byte, in double precision as lm-evaluation-harness divides. An empty choice
-- has no length to divide by and can never win. (Zipped lists: a lambda that reaches for a second list takes twice the
-- time. sqlfluff cannot parse DuckDB's lambdas.)
normalised as (
    select
        job_number,
        item_id,
        gold + 1 as gold_position,
        correct,
        logprobs,
        list_transform( -- noqa: PRS
            list_zip(logprobs, char_counts), lambda choice: cast(choice[1] as double) / nullif(choice[2], 0)
        ) as logprobs_per_char,
        list_transform(
            list_zip(logprobs, byte_counts), lambda choice: cast(choice[1] as double) / nullif(choice[2], 0)
        ) as logprobs_per_byte
    from numbered
),

final as (
    select
        job_number,
        item_id,
        {{ picks_gold('logprobs', 'gold_position') }} as acc,
        {{ picks_gold('logprobs_per_char', 'gold_position') }} as acc_norm,
        {{ picks_gold('logprobs_per_byte', 'gold_position') }} as acc_bytes,
        correct as exact_match
    from normalised
)

select * from final
