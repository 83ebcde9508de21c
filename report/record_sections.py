"""What the numbers rest on: checks, jobs, models and tasks, definitions, provenance."""

from __future__ import annotations

import json
from collections.abc import Sequence

from report import printed
from report.parts import Answers, Block, Section, Study
from report.tables import PrintedColumn, Row, number, table, text
from report.terms import GRID, NEW_MODEL

_NAMED = 3
"""Checks that the summary names."""


def checks(answers: Answers, study: Study) -> Section:
    """What the newest audit found."""
    answer = answers["checks"]
    if not answer.rows:
        return Section("checks", "Checks", ("No audit has run on this study yet: `transfer check`.",))
    columns = (
        text("severity"),
        text("expectation"),
        text("observed"),
        PrintedColumn(
            "what it asks", ("details",), lambda row: json.loads(row["details"] or "{}").get("description"), False
        ),
    )
    errors, warnings, passed = (list(rows) for rows in _by_outcome(answer.rows))
    block = Block(
        "What was found",
        tables=tuple(table(what, columns, rows) for what, rows in (("Failed", errors), ("Warnings", warnings)) if rows),
        folded_tables=(table("Passed", columns, passed),) if passed else (),
        sql=answer.sql,
    )
    when = f"Audited {printed.moment(max(row['checked_at'] for row in answer.rows))}."
    return Section("checks", "Checks", (checks_in_words(answer.rows), when), (block,))


def checks_in_words(rows: Sequence[Row]) -> str:
    """How many failed, and which; what asks a person to look is no failure."""
    errors, warnings, _ = _by_outcome(rows)
    n = printed.plural(len(rows), "check")
    told = f"{len(errors)} of {n} failed ({_named(errors)})." if errors else f"None of {n} failed."
    if not warnings:
        return told if errors else f"{n[0].upper()}{n[1:]} ran, and all passed."
    asks = "asks" if len(warnings) == 1 else "ask"
    return f"{told} {printed.plural(len(warnings), 'warning')} {asks} a person to look ({_named(warnings)})."


def _by_outcome(rows: Sequence[Row]) -> tuple[list[Row], list[Row], list[Row]]:
    """Errors, warnings, and what passed."""
    found = [row for row in rows if not row["success"]]
    errors, warnings = (
        [row for row in found if (row["severity"] == "error") == is_error] for is_error in (True, False)
    )
    return errors, warnings, [row for row in rows if row["success"]]


def _named(checks: list[Row]) -> str:
    """The checks' names, as many as a sentence bears."""
    names = [f"`{row['expectation']}`" for row in checks]
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def jobs(answers: Answers, study: Study) -> Section:
    """How far the study has come, and what failed."""
    columns = (
        text("plugin"),
        number("n_planned", "asked for"),
        number("n_landed", "landed"),
        number("n_failed", "failed"),
        number("seconds", "time"),
        number("peak_memory_bytes", "peak memory"),
    )
    blocks = [Block("By plugin", tables=(table("Jobs", columns, answers["jobs"].rows),), sql=answers["jobs"].sql)]
    failed = answers["failed_jobs"]
    if failed.rows:
        causes = (
            text("plugin"),
            text("error", "why"),
            number("n_jobs", "jobs"),
            text("example", "for example"),
            number("attempts"),
        )
        blocks.insert(0, Block("Failed jobs", tables=(table("Failed jobs", causes, failed.rows),), sql=failed.sql))
    if not answers["jobs"].rows:
        return Section("jobs", "Jobs", ("This study asks for no jobs.",))
    open_jobs = study.n_planned - study.n_landed - study.n_failed
    lead = f"{study.n_landed:,} of {printed.plural(study.n_planned, 'job')} landed, {study.n_failed:,} failed"
    lead += f", {open_jobs:,} have not run." if open_jobs else "."
    return Section("jobs", "Jobs", (lead,), tuple(blocks))


def cards(answers: Answers, study: Study) -> Section:
    """Models and tasks of the study."""
    models, tasks = answers["models"], answers["tasks"]
    if not models.rows and not tasks.rows:
        return Section("cards", "Models and tasks", ("No language model of this study has been scored.",))
    model_columns = (
        text("model"),
        text("family"),
        number("parameters"),
        text("architecture"),
        text("revision"),
    )
    task_columns = (
        text("task"),
        text("kind"),
        text("primary_metric", "metric"),
        number("chance"),
        text("licence"),
        text("source_url", "source"),
        text("sha256"),
    )
    blocks = (
        Block("Models", tables=(table("Models", model_columns, models.rows),), sql=models.sql),
        Block("Tasks", tables=(table("Tasks", task_columns, tasks.rows),), sql=tasks.sql),
    )
    return Section("cards", "Models and tasks", (), blocks)


def definitions(answers: Answers, study: Study) -> Section:
    """What the words on the page mean."""
    terms = (
        (
            "source, target",
            "A source is the (task, language) a model is tuned on, a target the one it is evaluated on.",
        ),
        (
            "change, pp",
            "100 × (score after tuning − score before), in percentage points, over seeds; "
            "the metric is the target task's primary one.",
        ),
        (
            "regime",
            "MT-ML: same task, same language, the trained cell, never part of transfer means. "
            "MT-CL: same task, other language. CT-ML: other task, same language. CT-CL: both differ.",
        ),
        ("gain, harm", f"A gain is a change above 0; harm is {study.harm}."),
        (
            "placebo",
            "The same source tuned on permuted labels for as many steps: "
            "what tuning does when there is nothing to learn.",
        ),
        (
            "gives, receives",
            "Effects: least squares of change = recipient + donor over all models. What a source gives is its fitted "
            "mean over all targets, its own too. Not compared where the grid does not connect the sources.",
        ),
        (
            "verdict",
            "Of a change and its interval, the first that holds. None: the interval is within the harm threshold on "
            "both sides. Harm: it is below minus the threshold (q ≤ 0.05). Gain: it is above 0 (q ≤ 0.05). "
            "Else undecided, which is not “no harm”. q: the false discovery rate over the study's cells (Benjamini and "
            "Hochberg).",
        ),
        (
            "by noise alone",
            "How many cells would reach the harm threshold if tuning changed nothing: every item's difference with a "
            "random sign, and runs with the luck that seeds show.",
        ),
        (
            "shrunk",
            "Drawn towards the mean of the target's sources as far as chance parts them (empirical Bayes): what is "
            "picked as the best or worst of many is not as far out as it looks.",
        ),
        ("MAP", "Mean over test pairs of 1 / rank of the right translation among all words of the target language."),
        ("CSLS", "Retrieval that discounts words which are near to everything (10 neighbours)."),
        (
            GRID,
            "Interval of these models, sources and targets: items are drawn again, jointly over their translations, "
            "models and sources, and runs with the luck that the study's seeds show: one seed a source shows none.",
        ),
        (
            NEW_MODEL,
            "Prediction interval of what one more model of this population would show. Never the narrower.",
        ),
        (
            "hub donor",
            "What it gives, and what it gives beyond its placebo, by effects, are both above 0 at the lower bound, "
            "and it is in the top quarter in 90 % of replicates. "
            "Not judged without a placebo or among fewer than 8 donors.",
        ),
        (
            "brittle recipient",
            "Tuning harms it more than its placebos do: a joint randomization test of the difference (Holm, p ≤ 0.05). "
            "Not judged without a placebo.",
        ),
        (
            "regret@k, NDCG@k",
            "Regret: change by the best source, less that by the best of k picks, each chosen on one half of the items "
            "and scored on the other. NDCG: how near the picks' order is to the best one, by gains above 0.",
        ),
        ("Kendall τ-b", "Agreement of two rankings: 1 the same, 0 unrelated, −1 opposite."),
    )
    return Section("definitions", "Definitions", terms=terms)


def provenance(answers: Answers, study: Study) -> Section:
    """Where, when and with what it was computed."""
    work, versions = answers["jobs"], answers["versions"]
    columns = (
        text("plugin"),
        text("plugin_version", "version"),
        text("devices", "device"),
        text("hosts", "host"),
        text("started_at", "from"),
        text("finished_at", "to"),
    )
    blocks = (
        [Block("Computation", tables=(table("Computation", columns, work.rows),), sql=work.sql)] if work.rows else []
    )
    if versions.rows:
        version_columns = (text("library"), text("version"))
        blocks.append(Block("Software", tables=(table("Software", version_columns, versions.rows),), sql=versions.sql))
    planned = json.dumps(study.config, indent=2, ensure_ascii=False)
    blocks.append(Block("The study as planned, defaults filled in", code=planned, sql=answers["study"].sql))
    lead = [f"Origin: {study.origin}."]
    if study.planned_at is not None:
        lead.append(f"Last planned {printed.moment(study.planned_at)}.")
    return Section("provenance", "Provenance", (" ".join(lead),), tuple(blocks))
