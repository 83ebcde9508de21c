"""Do the differences mean what they seem to?"""

from __future__ import annotations

from data_checks.check import Check, alike

_SOURCE = ("model", "variant", "source", "prompt")
_TARGET = ("target_task", "target_language")

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
        sql=f"""
            select
                tuned.model,
                tuned.variant,
                tuned.source,
                tuned.prompt,
                tuned.delta_pp,
                placebo.delta_pp as placebo_delta_pp
            from fct_transfer as tuned
            inner join fct_transfer as placebo
                on {alike("tuned", "placebo", *_SOURCE)}
                and placebo.control = 'placebo'
                and placebo.regime = 'MT-ML'
            where tuned.control is null and tuned.regime = 'MT-ML' and tuned.delta_pp <= placebo.delta_pp
            order by all
        """,
    ),
    Check(
        name="transfer_exceeds_placebo",
        severity="warning",
        description="Off the cell it was tuned on, a source moves scores further than its placebo (labels permuted) "
        "does: the mean of delta_pp squared less its squared standard error, which sampling alone would make, is "
        "larger than over the same cells of the placebo (4 cells or more).",
        sql=f"""
            with pairs as (
                select
                    tuned.model,
                    tuned.variant,
                    tuned.source,
                    tuned.delta_pp ** 2 - coalesce(tuned.delta_se, 0) ** 2 as squared,
                    placebo.delta_pp ** 2 - coalesce(placebo.delta_se, 0) ** 2 as placebo_squared
                from fct_transfer as tuned
                inner join fct_transfer as placebo
                    on {alike("tuned", "placebo", *_SOURCE, *_TARGET)}
                    and placebo.control = 'placebo'
                where
                    tuned.control is null
                    and tuned.regime != 'MT-ML'
                    and tuned.delta_pp is not null
                    and placebo.delta_pp is not null
            )

            select
                model,
                variant,
                source,
                sqrt(greatest(avg(squared), 0)) as effect_pp,
                sqrt(greatest(avg(placebo_squared), 0)) as placebo_effect_pp,
                count(*) as n_cells
            from pairs
            group by model, variant, source
            having count(*) >= 4 and avg(squared) <= avg(placebo_squared)
            order by model, variant, source
        """,
    ),
    Check(
        name="gains_depend_on_the_source",
        severity="warning",
        description="No target gains alike from whatever a model is tuned on, as one does whose base model was not "
        "asked in a way it understands: of 4 sources or more, in 2 tasks or more and the target itself apart, 80 % "
        "give it between half and one and a half times their median gain, that being 5 points or more.",
        sql=f"""
            with cells as (
                select * from fct_transfer
                where control is null and regime != 'MT-ML' and delta_pp is not null
            ),

            medians as (
                select
                    model, variant, target_task, target_language, prompt,
                    median(delta_pp) as median_pp,
                    any_value(baseline_score) as baseline_score,
                    count(*) as n_sources
                from cells
                group by model, variant, target_task, target_language, prompt
                having count(*) >= 4 and count(distinct source_task) >= 2 and median(delta_pp) >= 5
            )

            select
                medians.*,
                100 * avg(cast(
                    cells.delta_pp between 0.5 * medians.median_pp and 1.5 * medians.median_pp as integer
                )) as alike_pct
            from medians
            inner join cells
                on {alike("medians", "cells", "model", "variant", *_TARGET, "prompt")}
            group by all
            having alike_pct >= 80
            order by all
        """,
    ),
    Check(
        name="trained_and_asked_alike",
        severity="warning",
        description="On the task it was tuned on, a model is asked with the prompt it was tuned with.",
        sql=f"""
            with trained as (
                select
                    model,
                    variant,
                    source,
                    list_sort(list(distinct prompt)) as prompts
                from planned_jobs
                where step = 'train' and prompt is not null
                group by all
            )

            select distinct
                cells.model,
                cells.variant,
                cells.source,
                trained.prompts as trained_with,
                cells.prompt as asked_with
            from fct_transfer as cells
            inner join trained
                on {alike("cells", "trained", "model", "variant", "source")}
            where cells.source_task = cells.target_task and not list_contains(trained.prompts, cells.prompt)
            order by all
        """,
    ),
    Check(
        name="predictions_are_current",
        severity="warning",
        description="Predictions are of the cells that the marts have now; else `transfer predict` is to be run again.",
        sql="""
            select variant, prompt, is_trained_cell, fitted_at, n_measured, n_measured_since
            from rpt_prediction_fits
            where is_stale
            order by all
        """,
    ),
)
