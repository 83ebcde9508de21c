"""Are the questions sound: splits apart, right answers among the choices, the same questions for everyone?"""

from __future__ import annotations

from data_checks.check import Check

CHECKS = (
    Check(
        name="item_ids_in_one_split",
        severity="error",
        description="No item of a task and language stands in two of train, dev and test.",
        sql="""
            select task, language, item_id, list_sort(list(distinct split)) as splits
            from items
            group by task, language, item_id
            having count(distinct split) > 1
            order by task, language, item_id
        """,
    ),
    Check(
        name="parallel_ids_in_one_split",
        severity="error",
        description="No meaning is trained on in one language and tested in another: over all languages of a task, a "
        "parallel_id stands in one split.",
        sql="""
            select
                task,
                parallel_id,
                list_sort(list(distinct language || ' ' || split)) as seen_in
            from items
            where parallel_id is not null
            group by task, parallel_id
            having count(distinct split) > 1
            order by task, parallel_id
        """,
    ),
    Check(
        name="gold_is_a_choice",
        severity="error",
        description="Gold is an index of the choices, from 0, in items and in their scores.",
        sql="""
            select 'items' as table_name, task, language, item_id, gold, len(choices) as n_choices
            from items
            where gold not between 0 and len(choices) - 1
            union all
            select 'item_scores', target_task, target_language, item_id, gold, len(logprobs)
            from item_scores
            where gold not between 0 and len(logprobs) - 1
        """,
    ),
    Check(
        name="same_items_for_every_model",
        severity="error",
        description="All scoring jobs of a target and prompt scored the same items.",
        sql="""
            with scored as (
                select
                    job_key,
                    any_value(target_task) as target_task,
                    any_value(target_language) as target_language,
                    any_value(prompt) as prompt,
                    count(*) as n_items,
                    -- A sum of hashes says whether two sets are equal without holding them.
                    sum(hash(item_id)) as fingerprint
                from item_scores
                group by job_key
            ),

            compared as (
                select
                    *,
                    mode(fingerprint) over same_target as usual_fingerprint,
                    mode(n_items) over same_target as n_items_usual
                from scored
                window same_target as (partition by target_task, target_language, prompt)
            )

            select
                compared.target_task,
                compared.target_language,
                jobs.label,
                compared.n_items,
                compared.n_items_usual,
                compared.job_key
            from compared
            left join jobs on compared.job_key = jobs.job_key
            where compared.fingerprint != compared.usual_fingerprint
            order by compared.target_task, compared.target_language, jobs.label, compared.job_key
        """,
    ),
)
