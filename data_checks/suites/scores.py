"""Can these be scores, and did the models answer at all?"""

from __future__ import annotations

from data_checks.check import Check

CHECKS = (
    Check(
        name="logprobs_are_possible",
        severity="error",
        description="Log-probabilities are finite and at most 0 (0.0001 is left for rounding).",
        sql="""
            select job_key, target_task, target_language, item_id, logprobs
            from item_scores
            where
                list_max(logprobs) > 0.0001
                or not isfinite(list_sum(logprobs))
                or list_count(logprobs) != len(logprobs)
        """,
    ),
    Check(
        name="lengths_fit_choices",
        severity="error",
        description="Every log-probability has a length in tokens, characters and bytes.",
        sql="""
            select
                job_key, target_task, target_language, item_id,
                len(logprobs) as n_choices,
                len(token_counts) as n_token_counts,
                len(char_counts) as n_char_counts,
                len(byte_counts) as n_byte_counts
            from item_scores
            where
                len(token_counts) != len(logprobs)
                or len(char_counts) != len(logprobs)
                or len(byte_counts) != len(logprobs)
        """,
    ),
    Check(
        name="scores_are_shares",
        severity="error",
        description="Scores that are shares, before and after tuning, lie between 0 and 1; none is NULL.",
        sql="""
            select
                'fct_scores' as mart, model, source_task, source_language, target_task, target_language, metric, score,
                null as baseline_score
            from fct_scores
            where score is null or (delta_unit = 'pp' and score not between 0 and 1)
            union all
            select
                'fct_transfer', model, source_task, source_language, target_task, target_language, metric, score,
                baseline_score
            from fct_transfer
            where delta_unit = 'pp' and (score not between 0 and 1 or baseline_score not between 0 and 1)
        """,
    ),
    Check(
        name="answers_vary",
        severity="warning",
        description="No scoring job gives one index for 95 % of its items or more while at most 75 % of the gold "
        "answers are that one (jobs of 20 items or more; placebos apart, which may well learn nothing else).",
        sql="""
            with answered as (
                select
                    job_key,
                    list_position(logprobs, list_max(logprobs)) - 1 as answer,
                    gold,
                    count(*) as n
                from item_scores
                where logprobs is not null and control is null
                group by all
            ),

            by_answer as (
                select job_key, answer, sum(n) as n_answered
                from answered
                group by job_key, answer
            ),

            constant as (
                select
                    job_key,
                    arg_max(answer, n_answered) as usual_answer,
                    max(n_answered) as n_answered,
                    sum(n_answered) as n_items
                from by_answer
                group by job_key
                having sum(n_answered) >= 20 and max(n_answered) >= 0.95 * sum(n_answered)
            ),

            shared as (
                select
                    constant.job_key,
                    constant.usual_answer,
                    100 * constant.n_answered / constant.n_items as answered_pct,
                    100 * coalesce(sum(answered.n) filter (where answered.gold = constant.usual_answer), 0)
                    / constant.n_items as gold_pct,
                    constant.n_items
                from constant
                inner join answered on constant.job_key = answered.job_key
                group by constant.job_key, constant.usual_answer, constant.n_answered, constant.n_items
            )

            select jobs.label, shared.* exclude (job_key), shared.job_key
            from shared
            left join jobs on shared.job_key = jobs.job_key
            where shared.gold_pct <= 75
            order by jobs.label, shared.job_key
        """,
    ),
)
