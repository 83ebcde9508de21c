"""The raw schema, described once: landed Parquet files, DuckDB tables and the dbt sources file all derive from it.

Each table lists its grain (the columns that identify one row; nullable ones compare as equal NULLs) and its
columns with SQL type and meaning. `python -m compute.store.raw_schema` prints the dbt sources file.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Column:
    """One column: its name, DuckDB type and meaning."""

    name: str
    type: str
    description: str


@dataclass(frozen=True)
class Table:
    """One raw table: what a row is (`grain_text`), the columns identifying it (`grain`), and all columns."""

    name: str
    grain_text: str
    grain: tuple[str, ...]
    columns: tuple[Column, ...]
    primary_key: bool = False
    """True: the grain is declared PRIMARY KEY, where the database has such, and the loader replaces rows by it."""

    @property
    def column_names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    def create_statement(self, schema: str = "raw", has_keys: bool = True) -> str:
        """DDL that creates the table if it does not exist; `has_keys`: whether the database knows primary keys."""
        lines = [f"{column.name} {column.type}" for column in self.columns]
        if self.primary_key and has_keys:
            lines.append(f"primary key ({', '.join(self.grain)})")
        return f"create table if not exists {schema}.{self.name} (\n    " + ",\n    ".join(lines) + "\n)"


JOB_KEY = Column("job_key", "varchar", "SHA-256 of what decides the result; the job that produced the row")
_MODEL = Column("model", "varchar", "model name and revision, as name@revision")
_VARIANT = Column("variant", "varchar", "label of what the study varies beyond the other keys; 'default' if nothing")
_PROMPT = Column("prompt", "varchar", "prompt format, as id@digest")
_SEED = Column("seed", "bigint", "random seed of training; NULL where nothing is trained")

_SCORE_KEYS = (
    JOB_KEY,
    _MODEL,
    _VARIANT,
    Column("source_task", "varchar", "task tuned on; NULL for the base model"),
    Column("source_language", "varchar", "language tuned on (ISO 639-1, else 639-3); NULL for the base model"),
    Column("control", "varchar", "NULL, or 'placebo': tuned on permuted labels"),
    _SEED,
    Column("target_task", "varchar", "task evaluated"),
    Column("target_language", "varchar", "language evaluated"),
    _PROMPT,
)
_SOURCE_NAME = Column("source_name", "varchar", "name of a mixture; NULL: the source is known by its task and language")
_FRACTION = Column("fraction", "double", "part of the training's optimiser steps that were taken; NULL: all")
_SCORE_GRAIN = tuple(column.name for column in _SCORE_KEYS)

_MAPPING_KEYS = (
    JOB_KEY,
    Column("method", "varchar", "mapping method"),
    _VARIANT,
    Column("vectors", "varchar", "vector set, as name@digest"),
    Column("source_language", "varchar", "language whose vectors are mapped and whose words are the queries"),
    Column("target_language", "varchar", "language searched"),
    Column("dictionary_size", "bigint", "training pairs as asked for; 0: unsupervised"),
    _SEED,
)

_PREDICTED_KEYS = (
    Column("study", "varchar", "the study"),
    _VARIANT,
    Column("prompt", "varchar", "the prompt whose cells are pooled; 'per target' where each target has one"),
)

TABLES: dict[str, Table] = {
    table.name: table
    for table in (
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
                Column(
                    "cpu_seconds", "double", "of these seconds those that the process computed; NULL in older landings"
                ),
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
            "models",
            "One model.",
            ("model",),
            (
                _MODEL,
                Column("family", "varchar", "model family"),
                Column("parameters", "bigint", "number of parameters"),
                Column("revision", "varchar", "revision, or digest of the pre-training"),
                Column("architecture", "varchar", "architecture class"),
                JOB_KEY,
            ),
            primary_key=True,
        ),
        Table(
            "tasks",
            "One task.",
            ("task",),
            (
                Column("task", "varchar", "the task's name"),
                Column("kind", "varchar", "'choice' or 'generation'; NULL where an import's is neither"),
                Column("primary_metric", "varchar", "the metric that verdicts use"),
                Column("chance", "double", "score of a guesser, 0 to 1"),
                Column("licence", "varchar", "licence of the data"),
                Column("source_url", "varchar", "where the data comes from"),
                Column("sha256", "varchar", "digest of the data"),
                JOB_KEY,
            ),
            primary_key=True,
        ),
        Table(
            "items",
            "One item of a task in a language.",
            ("job_key", "task", "language", "item_id", "prompt"),
            (
                Column("task", "varchar", "the task"),
                Column("language", "varchar", "the item's language"),
                Column("item_id", "varchar", "unique within task, language and data revision"),
                Column("parallel_id", "varchar", "shared by an item's translations; NULL where there are none"),
                Column("split", "varchar", "'train', 'dev' or 'test'"),
                Column("gold", "integer", "0-based index of the right choice"),
                Column("choices", "varchar[]", "the choices as scored"),
                Column("context", "varchar", "of a test item what stands before the choices; NULL in older landings"),
                _PROMPT,
                JOB_KEY,
            ),
        ),
        Table(
            "item_scores",
            "One item scored by one job.",
            ("job_key", "item_id"),
            (
                *_SCORE_KEYS,
                Column("item_id", "varchar", "the item"),
                Column("gold", "integer", "0-based index of the right choice"),
                Column("logprobs", "float[]", "log-probability of each choice, natural logarithm"),
                Column("token_counts", "integer[]", "tokens of each choice"),
                Column("char_counts", "integer[]", "characters of each choice"),
                Column("byte_counts", "integer[]", "UTF-8 bytes of each choice"),
                Column("prediction", "varchar", "generation tasks: the extracted answer"),
                Column("correct", "boolean", "generation tasks: whether it is right"),
                Column("truncated_tokens", "integer", "tokens cut off the context's beginning; 0 where it fitted"),
                _SOURCE_NAME,
                _FRACTION,
            ),
        ),
        Table(
            "source_parts",
            "One part of the mixture that a training job tuned on.",
            ("job_key", "task", "language"),
            (
                JOB_KEY,
                Column("source_name", "varchar", "the mixture's name"),
                Column("task", "varchar", "task of the part"),
                Column("language", "varchar", "language of the part"),
                Column("weight", "double", "its share of the mixture's items as asked for, 0 to 1"),
                Column("items", "bigint", "its items in the mixture"),
                Column("items_alone", "bigint", "items that it is tuned on alone"),
            ),
        ),
        Table(
            "aggregate_scores",
            "One score as an import's file has it.",
            (*_SCORE_GRAIN, "metric"),
            (
                *_SCORE_KEYS,
                Column("metric", "varchar", "metric of the score"),
                Column("score", "double", "the score, of a share 0 to 1, of others on their own scale"),
                Column("score_stderr", "double", "its standard error"),
                Column("baseline_score", "double", "a tuned model's: score of its base model"),
                Column("baseline_stderr", "double", "its standard error"),
                Column("delta", "double", "published difference in delta_unit"),
                Column("delta_unit", "varchar", "'pp' where the metric is a share, else the metric; NULL: 'pp'"),
                Column("higher_is_better", "boolean", "whether more is better; NULL where nothing says"),
                Column(
                    "delta_pp", "double", "published difference, percentage points; NULL of other metrics than shares"
                ),
                Column("delta_stderr", "double", "its standard error, percentage points"),
                Column("n_items", "bigint", "items behind the score"),
                Column("n_seeds", "bigint", "seeds behind the score"),
            ),
        ),
        Table(
            "training_log",
            "One logged step of a training job.",
            ("job_key", "step"),
            (
                JOB_KEY,
                Column("step", "bigint", "optimiser step"),
                Column("epoch", "double", "passes over the training data so far"),
                Column("tokens", "bigint", "tokens trained on so far"),
                Column("loss", "double", "training loss, nats a token"),
                Column("eval_loss", "double", "loss on the held-out split, nats a token"),
                Column("learning_rate", "double", "learning rate of the step"),
                Column("seconds", "double", "seconds since training began"),
                Column("truncated", "integer", "items of the step whose context was cut to fit the model"),
            ),
        ),
        Table(
            "bli_ranks",
            "One test pair ranked by one job under one retrieval.",
            ("job_key", "retrieval", "pair_number"),
            (
                *_MAPPING_KEYS,
                Column("retrieval", "varchar", "'cosine' or 'csls'"),
                Column("pair_number", "bigint", "row of the test dictionary, from 0"),
                Column("concept_id", "varchar", "the meaning the row stands for, shared over language pairs"),
                Column("query", "varchar", "source word"),
                Column("gold", "varchar", "target word"),
                Column("rank", "double", "1 + words scored higher + half the tied; NULL: out of vocabulary"),
                Column("is_leaked", "boolean", "the pair is in the training dictionary too"),
                Column("is_duplicate", "boolean", "the pair stands earlier in the test dictionary"),
                Column("is_identical", "boolean", "both words are the same string"),
            ),
        ),
        Table(
            "downstream_items",
            "One item of a downstream task scored by one job.",
            ("job_key", "task", "classifier", "item_id"),
            (
                *_MAPPING_KEYS,
                Column("task", "varchar", "'xnli', 'cldc' or 'clir'"),
                Column("collection", "varchar", "where the items come from"),
                Column("classifier", "varchar", "the model on top of the mapped vectors"),
                Column("item_id", "varchar", "document, query or sentence pair"),
                Column("gold", "varchar", "right label; clir: ids of the relevant documents, a space between"),
                Column("prediction", "varchar", "predicted label; clir: id of the best document"),
                Column("score", "double", "clir: average precision; else the probability given to the right label"),
                Column("words", "integer", "words of the item"),
                Column("known_words", "integer", "those with a vector; 0: the item is a zero vector"),
            ),
        ),
        Table(
            "isometry",
            "One measure of a pair of vector sets before mapping.",
            ("job_key", "measure"),
            (
                JOB_KEY,
                Column("vectors", "varchar", "vector set, as name@digest"),
                Column("source_language", "varchar", "one language"),
                Column("target_language", "varchar", "the other"),
                Column("measure", "varchar", "name of the measure"),
                Column("value", "double", "its value"),
            ),
        ),
        Table(
            "language_distances",
            "One measure of an ordered pair of languages.",
            ("job_key", "source_language", "target_language", "measure"),
            (
                Column("source_language", "varchar", "from"),
                Column("target_language", "varchar", "to"),
                Column("measure", "varchar", "name of the distance"),
                Column(
                    "value", "double", "its value; larger is farther; NULL where the source does not cover a language"
                ),
                JOB_KEY,
            ),
        ),
        Table(
            "source_similarities",
            "One measure of how alike a source and a target are to a base model.",
            ("job_key", "source_task", "source_language", "target_task", "target_language", "measure"),
            (
                JOB_KEY,
                _MODEL,
                Column("source_task", "varchar", "task that is or would be tuned on"),
                Column("source_language", "varchar", "language that is or would be tuned on"),
                Column("target_task", "varchar", "task evaluated"),
                Column("target_language", "varchar", "language evaluated"),
                Column("measure", "varchar", "'nn_rank': share of the target's nearest tokens that are the source's"),
                Column("value", "double", "its value; larger is more alike"),
            ),
        ),
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
            (
                "study", "variant", "prompt", "model", "source_task", "source_language", "target_task",
                "target_language",
            ),
            (
                *_PREDICTED_KEYS,
                _MODEL,
                Column("source_task", "varchar", "task it would be tuned on"),
                Column("source_language", "varchar", "language it would be tuned on"),
                Column("target_task", "varchar", "task evaluated"),
                Column("target_language", "varchar", "language evaluated"),
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
        Table(
            "predictor_values",
            "What one predictor says of a cell before anything is tuned.",
            (
                "study", "variant", "prompt", "predictor", "model", "source_task", "source_language", "target_task",
                "target_language",
            ),
            (
                *_PREDICTED_KEYS,
                Column("predictor", "varchar", "its name; 'together': all, weighted on other models and languages"),
                _MODEL,
                Column("source_task", "varchar", "task tuned on"),
                Column("source_language", "varchar", "language tuned on"),
                Column("target_task", "varchar", "task evaluated"),
                Column("target_language", "varchar", "language evaluated"),
                Column("value", "double", "more where more transfer is expected, on a scale of its own"),
                Column("fitted_to", "varchar", "SHA-256 of the rows of int_prediction_cells that it was judged on"),
            ),
        ),
    )
}  # fmt: skip

CONFIG_KEYS = (
    Column("step", "varchar", "'train' or 'score', where a plugin does both"),
    _MODEL,
    _VARIANT,
    Column("source_task", "varchar", "task tuned on; NULL for the base model"),
    Column("source_language", "varchar", "language tuned on or mapped; NULL for the base model"),
    Column("control", "varchar", "NULL, or 'placebo': tuned on permuted labels"),
    _SEED,
    Column("target_task", "varchar", "task evaluated"),
    Column("target_language", "varchar", "language evaluated or searched"),
    _PROMPT,
    Column("method", "varchar", "mapping method"),
    Column("vectors", "varchar", "vector set, as name@digest"),
    Column("dictionary_size", "bigint", "training pairs as asked for; 0: unsupervised"),
    _SOURCE_NAME,
    _FRACTION,
)
"""Keys of jobs' configurations that SQL may read, and as what; a plugin may have others, which are its own."""


def planned_jobs() -> str:
    """Return a query of `study_jobs` with the keys that SQL may read as columns, and `source`: a mixture's name, else
    the cell."""
    keys = ", ".join(f"cast(config ->> '$.{key.name}' as {key.type}) as {key.name}" for key in CONFIG_KEYS)
    return (
        "select * replace (coalesce(variant, 'default') as variant), "
        "coalesce(source_name, source_task || '/' || source_language) as source "
        f"from (select job_key, plugin, label, {keys} from study_jobs)"
    )


FITTED_TABLES = ("prediction_fits", "predictions", "predictor_values")
"""Tables written by `transfer predict`, from the marts."""

BOOKKEEPING_TABLES = ("studies", "study_jobs", "jobs", "decisions", *FITTED_TABLES)
"""Tables written by the planner, the loader and `transfer predict`; plugins write only the others."""


def _sources_lines() -> Iterator[str]:
    yield "# Written by `python -m compute.store.raw_schema`, from the one description of the raw schema; do not edit."
    yield "version: 2"
    yield ""
    yield "sources:"
    yield "  - name: raw"
    yield "    description: Raw rows as the compute plugins landed them; nothing is derived here."
    yield "    tables:"
    for table in TABLES.values():
        yield f"      - name: {table.name}"
        yield f'        description: "{table.grain_text} Grain: {", ".join(table.grain)}."'
        yield "        data_tests:"
        yield "          - unique_grain:"
        yield "              arguments:"
        yield f"                columns: [{', '.join(table.grain)}]"
        yield "        columns:"
        for column in table.columns:
            yield f"          - name: {column.name}"
            yield f'            description: "{column.description}"'


def dbt_sources() -> str:
    """The text of `models/staging/_sources.yml`."""
    return "\n".join(_sources_lines()) + "\n"


if __name__ == "__main__":
    print(dbt_sources(), end="")
