"""Is there one thing to compare with, and does it make sense?"""

from __future__ import annotations

from data_checks.check import Check, alike

_ASKED = ("target_task", "target_language", "prompt")

CHECKS = (
    Check(
        name="one_baseline_per_target",
        severity="error",
        description="Every model, target and prompt that a tuned model was scored on has exactly one score of the base "
        "model (its own variant's, else the default one).",
        sql=f"""
            with baselines as (
                select model, variant, target_task, target_language, prompt, metric, count(*) as n_baselines
                from fct_scores
                where source_task is null and source_language is null
                group by all
            ),

            missing as (
                select distinct model, variant, target_task, target_language, prompt, 0 as n_baselines
                from fct_transfer as cells
                where origin = 'computed' and not exists (
                    select 1
                    from baselines
                    where
                        {alike("baselines", "cells", "model", *_ASKED)}
                        and baselines.variant in (cells.variant, 'default')
                )
            )

            select * from missing
            union all
            select distinct model, variant, target_task, target_language, prompt, n_baselines
            from baselines
            where n_baselines > 1
            order by all
        """,
    ),
    Check(
        name="baselines_have_no_seed",
        severity="error",
        description="The base model is scored once, not per seed: no baseline carries a seed or a control.",
        sql="""
            select distinct model, variant, target_task, target_language, prompt, seed, control
            from fct_scores
            where source_task is null and source_language is null and (seed is not null or control is not null)
            order by all
        """,
    ),
    Check(
        name="baselines_agree",
        severity="warning",
        description="A model, target and prompt has one baseline score (to 0.0001), whatever it is compared with: a "
        "base model scored again, for another seed or source, gives the same. (Computed studies are held to this by "
        "one_baseline_per_target; of an import it asks to look, since its differences stand as published.)",
        sql="""
            with baselines as (
                select model, variant, target_task, target_language, prompt, metric, baseline_score as score
                from fct_transfer
                union all
                select model, variant, target_task, target_language, prompt, metric, baseline_score
                from aggregate_scores
                where source_task is not null
                union all
                select model, variant, target_task, target_language, prompt, metric, score
                from aggregate_scores
                where source_task is null and source_language is null
            )

            select
                model, variant, target_task, target_language, prompt, metric,
                min(score) as lowest, max(score) as highest, count(distinct score) as n_different
            from baselines
            where isfinite(score)
            group by all
            having max(score) - min(score) > 0.0001
            order by all
        """,
    ),
    Check(
        name="no_target_alone_at_chance",
        severity="warning",
        description="No base model is at chance on a target (at most 2 standard errors of a guesser above it) while "
        "the median of the other languages of that task, two at least, is 20 points or more above chance.",
        sql=f"""
            with baselines as (
                select
                    model, variant, target_task, target_language, prompt, metric, score, n_items, tasks.chance
                from fct_scores as scores
                inner join tasks on scores.target_task = tasks.task and scores.metric = tasks.primary_metric
                where scores.source_task is null and scores.source_language is null
                union
                select
                    model, variant, target_task, target_language, prompt, metric, baseline_score, n_items, chance_score
                from fct_transfer
                where origin != 'computed'
            ),

            compared as (
                select
                    target.*,
                    median(sibling.score) as siblings_median,
                    count(distinct sibling.target_language) as n_siblings
                from baselines as target
                inner join baselines as sibling
                    on {alike("target", "sibling", "model", "variant", "target_task", "prompt", "metric")}
                    and target.target_language != sibling.target_language
                group by all
            )

            select
                model, target_task, target_language, prompt, score, chance, siblings_median, n_siblings, n_items, metric
            from compared
            where
                n_siblings >= 2
                and score <= chance + 2 * sqrt(chance * (1 - chance) / n_items)
                and siblings_median >= chance + 0.20
            order by all
        """,
    ),
)
