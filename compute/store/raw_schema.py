"""The raw schema, described once: landed Parquet files, DuckDB tables and the dbt sources file all derive from it.

Each table lists its grain (the columns that identify one row; nullable ones compare as equal NULLs) and its
columns with SQL type and meaning. `python -m compute.store.raw_schema` prints the dbt sources file.
"""

from __future__ import annotations

from collections.abc import Iterator

from compute.store.bookkeeping_tables import FITTED, PLANNED
from compute.store.raw_table import CELL, JOB_KEY, MODEL, VARIANT, Column, Table, names

_PROMPT = Column("prompt", "varchar", "prompt format, as id@digest")
_SEED = Column("seed", "bigint", "random seed of training; NULL where nothing is trained")
_SOURCE_NAME = Column("source_name", "varchar", "name of a mixture; NULL: the source is known by its task and language")
_FRACTION = Column("fraction", "double", "part of the training's optimiser steps that were taken; NULL: all")

_SCORE_KEYS = (
    JOB_KEY,
    MODEL,
    VARIANT,
    Column("source_task", "varchar", "task tuned on; NULL for the base model"),
    Column("source_language", "varchar", "language tuned on (ISO 639-1, else 639-3); NULL for the base model"),
    Column("control", "varchar", "NULL, or 'placebo': tuned on permuted labels"),
    _SEED,
    Column("target_task", "varchar", "task evaluated"),
    Column("target_language", "varchar", "language evaluated"),
    _PROMPT,
)

_MAPPING_KEYS = (
    JOB_KEY,
    Column("method", "varchar", "mapping method"),
    VARIANT,
    Column("vectors", "varchar", "vector set, as name@digest"),
    Column("source_language", "varchar", "language whose vectors are mapped and whose words are the queries"),
    Column("target_language", "varchar", "language searched"),
    Column("dictionary_size", "bigint", "training pairs as asked for; 0: unsupervised"),
    _SEED,
)

_LANDED = (
    Table(
        "models",
        "One model.",
        ("model",),
        (
            MODEL,
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
        (*names(*_SCORE_KEYS), "metric"),
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
            Column("delta_pp", "double", "published difference, percentage points; NULL of other metrics than shares"),
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
            Column("value", "double", "its value; larger is farther; NULL where the source does not cover a language"),
            JOB_KEY,
        ),
    ),
    Table(
        "source_similarities",
        "One measure of how alike a source and a target are to a base model.",
        ("job_key", "source_task", "source_language", "target_task", "target_language", "measure"),
        (
            JOB_KEY,
            *CELL,
            Column("measure", "varchar", "'nn_rank': share of the target's nearest tokens that are the source's"),
            Column("value", "double", "its value; larger is more alike"),
        ),
    ),
)

TABLES = {table.name: table for table in (*PLANNED, *_LANDED, *FITTED)}

FITTED_TABLES = tuple(table.name for table in FITTED)
"""Tables written by `transfer predict`, from the marts."""

BOOKKEEPING_TABLES = (*(table.name for table in PLANNED), *FITTED_TABLES)
"""Tables written by the planner, the loader and `transfer predict`; plugins write only the others."""

_STEP = Column("step", "varchar", "'train' or 'score', where a plugin does both")
CONFIG_KEYS = {
    column.name: column.type
    for column in (_STEP, *_SCORE_KEYS, *_MAPPING_KEYS, _SOURCE_NAME, _FRACTION)
    if column is not JOB_KEY
}
"""Keys of jobs' configurations that SQL may read, and as what; a plugin may have others, which are its own."""


def planned_jobs() -> str:
    """Return a query of `study_jobs` with the keys that SQL may read as columns, and `source`: a mixture's name, else
    the cell."""
    keys = ", ".join(f"cast(config ->> '$.{key}' as {sql_type}) as {key}" for key, sql_type in CONFIG_KEYS.items())
    return (
        "select * replace (coalesce(variant, 'default') as variant), "
        "coalesce(source_name, source_task || '/' || source_language) as source "
        f"from (select job_key, plugin, label, {keys} from study_jobs)"
    )


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
