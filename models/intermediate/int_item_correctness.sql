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

-- Log-probability per character and per byte, in double precision as lm-evaluation-harness divides.
-- An empty choice has no length to divide by and can never win. (sqlfluff cannot parse DuckDB's lambdas.)
normalised as (
    select
        job_number,
        item_id,
        gold + 1 as gold_position,
        correct,
        logprobs,
        list_transform( -- noqa: PRS
            logprobs, lambda logprob, i: cast(logprob as double) / nullif(char_counts[i], 0)
        ) as logprobs_per_char,
        list_transform(
            logprobs, lambda logprob, i: cast(logprob as double) / nullif(byte_counts[i], 0)
        ) as logprobs_per_byte
    from numbered
),

-- list_position finds the first of equal values: ties go to the first choice.
final as (
    select
        job_number,
        item_id,
        list_position(logprobs, list_max(logprobs)) = gold_position as acc,
        list_position(logprobs_per_char, list_max(logprobs_per_char)) = gold_position as acc_norm,
        list_position(logprobs_per_byte, list_max(logprobs_per_byte)) = gold_position as acc_bytes,
        correct as exact_match
    from normalised
)

select * from final
