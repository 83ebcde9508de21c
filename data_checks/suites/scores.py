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
                select job_key, list_position(logprobs, list_max(logprobs)) - 1 as answer, gold
                from item_scores
                where logprobs is not null and control is null
            ),

            shared as (
                select
                    job_key,
                    mode(answer) as usual_answer,
                    100 * list_max(map_values(histogram(answer))) / count(*) as answered_pct,
                    100 * coalesce(histogram(gold)[mode(answer)], 0) / count(*) as gold_pct,
                    count(*) as n_items
                from answered
                group by job_key
                having count(*) >= 20 and answered_pct >= 95 and gold_pct <= 75
            )

            select jobs.label, shared.* exclude (job_key), shared.job_key
            from shared
            left join jobs on shared.job_key = jobs.job_key
            order by jobs.label, shared.job_key
        """,
    ),
)
