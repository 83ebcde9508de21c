"""What the numbers rest on: checks, jobs, models and tasks, definitions, provenance."""

from __future__ import annotations

import json

from report import printed
from report.ask import Row
from report.parts import Answers, Block, Section, Study
from report.tables import Column, number, table, text

_NAMED = 3
"""Failed checks that the summary names."""


def checks(answers: Answers, study: Study) -> Section:
    """What the newest audit found."""
    answer = answers["checks"]
    if not answer.rows:
        return Section("checks", "Checks", ("No audit has run on this study yet: `transfer check`.",))
    columns = (
        text("severity", "severity"),
        text("expectation", "expectation"),
        text("observed", "observed"),
        Column("what it asks", lambda row: json.loads(row["details"] or "{}").get("description"), numeric=False),
    )
    failed = [row for row in answer.rows if not row["success"]]
    passed = [row for row in answer.rows if row["success"]]
    block = Block(
        "Failed checks" if failed else "Passed checks",
        tables=(table("Failed", columns, failed),) if failed else (),
        folded_tables=(table("Passed", columns, passed),) if passed else (),
        sql=answer.sql,
    )
    when = f"Audited {printed.moment(max(row['checked_at'] for row in answer.rows))}."
    return Section("checks", "Checks", (checks_in_words(answer.rows), when), (block,))


def checks_in_words(rows: tuple[Row, ...]) -> str:
    """How many passed, how bad the others are, and which."""
    failed = [row for row in rows if not row["success"]]
    if not failed:
        return f"All {len(rows)} checks passed."
    errors = sum(row["severity"] == "error" for row in failed)
    return (
        f"{len(failed)} of {printed.plural(len(rows), 'check')} failed: "
        f"{printed.plural(errors, 'error')}, {printed.plural(len(failed) - errors, 'warning')} ({_named(failed)})."
    )


def _named(checks: list[Row]) -> str:
    """The checks' names, errors first, as many as a sentence bears."""
    names = [f"`{row['expectation']}`" for row in sorted(checks, key=lambda row: row["severity"] != "error")]
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def jobs(answers: Answers, study: Study) -> Section:
    """How far the study has come, and what failed."""
    columns = (
        text("plugin", "plugin"),
        number("n_planned", "asked for", printed.count),
        number("n_landed", "landed", printed.count),
        number("n_failed", "failed", printed.count),
        number("seconds", "time", printed.seconds),
        number("peak_memory_bytes", "peak memory", printed.megabytes),
    )
    blocks = [Block("By plugin", tables=(table("Jobs", columns, answers["jobs"].rows),), sql=answers["jobs"].sql)]
    failed = answers["failed_jobs"]
    if failed.rows:
        causes = (
            text("plugin", "plugin"),
            text("error", "why"),
            number("n_jobs", "jobs", printed.count),
            text("example", "for example"),
            number("attempts", "attempts", printed.count),
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
        text("model", "model"),
        text("family", "family"),
        number("parameters", "parameters", printed.count),
        text("architecture", "architecture"),
        text("revision", "revision"),
    )
    task_columns = (
        text("task", "task"),
        text("kind", "kind"),
        text("primary_metric", "metric"),
        number("chance", "chance", printed.share),
        text("licence", "licence"),
        text("source_url", "source"),
        text("sha256", "sha256"),
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
            "Gain: the interval is above 0 (q ≤ 0.05). Harm: it is below minus the threshold (q ≤ 0.05). None: it is "
            "within the threshold. Else undecided, which is not “no harm”. The interval is of tuning, other runs too; "
            "where no source was tuned with two seeds, of this run.",
        ),
        ("MAP", "Mean over test pairs of 1 / rank of the right translation among all words of the target language."),
        ("CSLS", "Retrieval that discounts words which are near to everything (10 neighbours)."),
        (
            "95 % interval",
            "Of this grid: items are drawn again, jointly over their translations, models and sources. "
            "Runs are drawn again too, with the luck that the study's seeds show. "
            "Of advice two are given: for these models, and of what one more model would gain.",
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
        text("plugin", "plugin"),
        text("plugin_version", "version"),
        text("devices", "device"),
        text("hosts", "host"),
        Column("from", lambda row: row["started_at"] and printed.moment(row["started_at"]), numeric=False),
        Column("to", lambda row: row["finished_at"] and printed.moment(row["finished_at"]), numeric=False),
    )
    blocks = (
        [Block("Computation", tables=(table("Computation", columns, work.rows),), sql=work.sql)] if work.rows else []
    )
    if versions.rows:
        version_columns = (text("library", "library"), text("version", "version"))
        blocks.append(Block("Software", tables=(table("Software", version_columns, versions.rows),), sql=versions.sql))
    planned = json.dumps(study.config, indent=2, ensure_ascii=False)
    blocks.append(Block("The study as planned, defaults filled in", code=planned, sql=answers["study"].sql))
    lead = [f"Origin: {study.origin}."]
    if study.planned_at is not None:
        lead.append(f"Last planned {printed.moment(study.planned_at)}.")
    return Section("provenance", "Provenance", (" ".join(lead),), tuple(blocks))
