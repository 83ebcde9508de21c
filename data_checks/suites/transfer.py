"""Do the differences mean what they seem to?"""

from __future__ import annotations

from data_checks.check import Check

CHECKS = (
    Check(
        name="deltas_are_possible",
        severity="error",
        description="Differences lie between -100 and 100 percentage points.",
        sql="""
            select model, source_task, source_language, control, target_task, target_language, prompt, delta_pp
            from fct_transfer
            where delta_pp not between -100 and 100
        """,
    ),
    Check(
        name="tuning_beats_placebo",
        severity="warning",
        description="On the cell it was tuned on (MT-ML), a source gains more than its placebo (labels permuted).",
        sql="""
            select
                tuned.model,
                tuned.variant,
                tuned.source_task,
                tuned.source_language,
                tuned.prompt,
                tuned.delta_pp,
                placebo.delta_pp as placebo_delta_pp
            from fct_transfer as tuned
            inner join fct_transfer as placebo
                on tuned.model = placebo.model
                and tuned.variant = placebo.variant
                and tuned.source_task = placebo.source_task
                and tuned.source_language = placebo.source_language
                and tuned.prompt is not distinct from placebo.prompt
                and placebo.control = 'placebo'
                and placebo.regime = 'MT-ML'
            where tuned.control is null and tuned.regime = 'MT-ML' and tuned.delta_pp <= placebo.delta_pp
            order by all
        """,
    ),
    Check(
        name="trained_and_asked_alike",
        severity="warning",
        description="On the task it was tuned on, a model is asked with the prompt it was tuned with.",
        sql="""
            with trained as (
                select
                    config ->> '$.model' as model,
                    coalesce(config ->> '$.variant', 'default') as variant,
                    config ->> '$.source_task' as source_task,
                    config ->> '$.source_language' as source_language,
                    list_sort(list(distinct config ->> '$.prompt')) as prompts
                from study_jobs
                where (config ->> '$.step') = 'train' and (config ->> '$.prompt') is not null
                group by all
            )

            select distinct
                cells.model,
                cells.variant,
                cells.source_task,
                cells.source_language,
                trained.prompts as trained_with,
                cells.prompt as asked_with
            from fct_transfer as cells
            inner join trained
                on cells.model = trained.model
                and cells.variant = trained.variant
                and cells.source_task = trained.source_task
                and cells.source_language = trained.source_language
            where cells.source_task = cells.target_task and not list_contains(trained.prompts, cells.prompt)
            order by all
        """,
    ),
)
