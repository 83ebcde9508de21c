{{ config(materialized='table') }}

with item_scores as (
    select * from {{ ref('stg_item_scores') }}
),

scoring_jobs as (
    select * from {{ ref('int_scoring_jobs') }}
),

tasks as (
    select * from {{ ref('stg_tasks') }}
),

metrics as (
    select
        scoring_jobs.job_key,
        scoring_jobs.job_number,
        coalesce(tasks.primary_metric, 'acc') as metric
    from scoring_jobs
    left join tasks on scoring_jobs.target_task = tasks.task
),

numbered as (
    select
        item_scores.*,
        metrics.job_number,
        metrics.metric
    from item_scores
    inner join metrics on item_scores.job_key = metrics.job_key
),

-- Log-probability per character and per byte, in double precision as lm-evaluation-harness divides. An empty choice
-- has no length to divide by and can never win. (Zipped lists: a lambda that reaches for a second list takes twice the
-- time. sqlfluff cannot parse DuckDB's lambdas.)
normalized as (
    select
        job_number,
        item_id,
        metric,
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

-- The scores that the task's primary metric compares.
compared as (
    select
        *,
        case metric
            when 'acc' then logprobs
            when 'acc_norm' then logprobs_per_char
            when 'acc_bytes' then logprobs_per_byte
        end as scores,
        case
            when isfinite(list_max(scores)) then list_max(scores)
            else list_max(list_filter(scores, lambda score: isfinite(score)))
        end as highest
    from normalized
),

weighed as (
    select
        *,
        case when highest is not null then {{ choice_weights('scores', 'highest') }} end as weights,
        list_sum(weights) as sum_weights
    from compared
),

final as (
    select
        job_number,
        item_id,
        {{ picks_gold('logprobs', 'gold_position') }} as acc,
        {{ picks_gold('logprobs_per_char', 'gold_position') }} as acc_norm,
        {{ picks_gold('logprobs_per_byte', 'gold_position') }} as acc_bytes,
        correct as exact_match,
        cast(weights[gold_position] / sum_weights as float) as gold_probability,
        cast(
            list_inner_product(weights, weights) / pow(sum_weights, 2) - 2 * weights[gold_position] / sum_weights + 1
            as float
        ) as brier
    from weighed
)

select * from final
