"""The raw tables that the planner, the loader, adaptive studies and `transfer predict` write; no plugin does."""

from __future__ import annotations

from compute.store.raw_table import CELL, JOB_KEY, VARIANT, Column, Table, names

_PREDICTED_KEYS = (
    Column("study", "varchar", "the study"),
    VARIANT,
    Column("prompt", "varchar", "the prompt whose cells are pooled; 'per target' where each target has one"),
)
_PREDICTOR = Column("predictor", "varchar", "its name; 'together': all, weighted on other models and languages")

PLANNED = (
    Table(
        "studies",
        "One study.",
        ("study",),
        (
            Column("study", "varchar", "the study's name"),
            Column("config", "json", "the study file as validated, defaults filled in"),
            Column("origin", "varchar", "'computed', or the name of the importer"),
            Column("planned_at", "timestamp", "when it was last planned (UTC)"),
        ),
        primary_key=True,
    ),
    Table(
        "study_jobs",
        "One job that a study asks for.",
        ("study", "job_key"),
        (
            Column("study", "varchar", "the study"),
            JOB_KEY,
            Column("plugin", "varchar", "the plugin that runs it"),
            Column("label", "varchar", "what the job does, for people"),
            Column("config", "json", "the job's configuration, also for jobs that have not run"),
        ),
        primary_key=True,
    ),
    Table(
        "jobs",
        "One job that has run.",
        ("job_key",),
        (
            JOB_KEY,
            Column("plugin", "varchar", "the plugin that ran it"),
            Column("plugin_version", "varchar", "the version of its computation"),
            Column("config", "json", "canonical configuration"),
            Column("state", "varchar", "'landed' or 'failed'"),
            Column("error", "varchar", "why it failed; NULL when landed"),
            Column("attempts", "integer", "runs so far, failed ones counted"),
            Column("started_at", "timestamp", "UTC"),
            Column("finished_at", "timestamp", "UTC"),
            Column("seconds", "double", "wall time since the previous result of its batch; imports apart"),
            Column("host", "varchar", "machine"),
            Column("device", "varchar", "'cpu' or the accelerator's name"),
            Column("peak_memory_bytes", "bigint", "peak resident memory of the process, accelerator memory on one"),
            Column("versions", "json", "versions of Python and the libraries that took part"),
            Column("label", "varchar", "what the job does, for people"),
            Column("inputs", "json", "keys or digests of what it read"),
            Column("rows", "json", "rows it landed, by table"),
            Column("cpu_seconds", "double", "of these seconds those that the process computed; NULL in older landings"),
            Column("work", "varchar", "what was done, from the general to the special; likewise"),
            Column("cost", "double", "its expected work in GFLOP, as its plugin declared it; likewise"),
            Column("batch", "varchar", "what ran in one visit with it; likewise"),
            Column(
                "is_first",
                "boolean",
                "the first of its plugin in its process, which starts what it needs; likewise",
            ),
            Column("artifact_bytes", "bigint", "size of its artifact; NULL where it leaves none, and likewise"),
        ),
        primary_key=True,
    ),
    Table(
        "decisions",
        "One source that an adaptive study chose to tune a model on, or the end of its choosing.",
        ("study", "round", "place"),
        (
            Column("study", "varchar", "the study"),
            Column("round", "bigint", "from 1"),
            Column("place", "bigint", "in the round, from 1, in the order of what they are worth"),
            Column("model", "varchar", "model chosen, as name@revision; NULL: nothing more is chosen"),
            Column("source_task", "varchar", "task chosen; NULL: nothing more is chosen"),
            Column("source_language", "varchar", "language chosen; NULL: nothing more is chosen"),
            Column("goal", "varchar", "what the study chooses for"),
            Column("cost", "double", "share of the cost of tuning and scoring the whole grid"),
            Column("spent", "double", "share that the rounds before cost"),
            Column("worth", "double", "what the goal gains for its share of the cost; NULL in the first round"),
            Column("remaining", "double", "what the goal was short of before the round; NULL in the first round"),
            Column("n_known", "bigint", "transfer cells measured before the round"),
            Column("known", "varchar", "digest of int_prediction_cells before the round; NULL in the first round"),
            Column("why", "varchar", "in words"),
            Column("asked", "varchar", "digest of the goal and of the jobs there are to choose from"),
            Column("decided_at", "timestamp", "UTC"),
        ),
    ),
)
"""Written as a study is planned, and as its jobs land."""

FITTED = (
    Table(
        "prediction_fits",
        "One population of cells that a model of transfer was fitted to.",
        ("study", "variant", "prompt", "is_trained_cell"),
        (
            *_PREDICTED_KEYS,
            Column("is_trained_cell", "boolean", "true: cells whose source is their target; else all others"),
            Column("fitted_to", "varchar", "SHA-256 of the rows of int_prediction_cells that it was fitted to"),
            Column("version", "varchar", "version of the computation"),
            Column("n_measured", "bigint", "cells it was fitted to"),
            Column("n_predicted", "bigint", "cells predicted"),
            Column("variances", "json", "pp squared by kind of effect; of_error: share of known errors"),
            Column("n_validated", "bigint", "cells predicted with their whole source left out; NULL: one source"),
            Column("r2", "double", "of those; 1 - squared errors over those about the other sources' mean"),
            Column("coverage_50", "double", "share of those within their 50 % interval"),
            Column("coverage_95", "double", "share of those within their 95 % interval"),
            Column("asked", "json", "cells named on the command line beyond the study's own grid"),
            Column("fitted_at", "timestamp", "UTC"),
        ),
    ),
    Table(
        "predictions",
        "One cell that was not computed, as predicted from those that were.",
        names(*_PREDICTED_KEYS, *CELL),
        (
            *_PREDICTED_KEYS,
            *CELL,
            Column("expected_pp", "double", "expected difference, percentage points"),
            Column("expected_se", "double", "standard error of the expected difference"),
            Column("measured_se", "double", "the same of what would be measured, luck and own error in it"),
            Column("degrees_of_freedom", "double", "of measured_se"),
            Column("low_50", "double", "50 % interval of what would be measured; NULL where nothing tells"),
            Column("high_50", "double", "its upper end"),
            Column("low_95", "double", "95 % interval of what would be measured; NULL where nothing tells"),
            Column("high_95", "double", "its upper end"),
            Column("fitted_to", "varchar", "the digest of prediction_fits"),
        ),
    ),
    Table(
        "predictor_values",
        "What one predictor says of a cell before anything is tuned.",
        names(*_PREDICTED_KEYS, _PREDICTOR, *CELL),
        (
            *_PREDICTED_KEYS,
            _PREDICTOR,
            *CELL,
            Column("value", "double", "more where more transfer is expected, on a scale of its own"),
            Column("fitted_to", "varchar", "SHA-256 of the rows of int_prediction_cells that it was judged on"),
        ),
    ),
)
"""Written by `transfer predict`, from the marts."""
