"""A study as the warehouse keeps it, and how it is registered there."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import duckdb
import polars as pl

from compute.errors import writing
from compute.plugin import Job, canonical_json
from compute.store.database import put
from compute.store.frames import parquet_bytes
from compute.store.raw_schema import TABLES


@dataclass(frozen=True)
class RegisteredJob:
    """A job as it is registered for a study."""

    key: str
    plugin: str
    label: str
    values: Mapping[str, Any]
    """Its configuration."""


@dataclass(frozen=True)
class RegisteredStudy:
    """A study as the warehouse keeps it: computed from a study file, or imported.

    Attributes:
        name: of the study.
        config: JSON: its file as validated, or what the importer was told.
        origin: `computed`, or the importer's name.
        jobs: all it asks for, by key.
        tasks: what it says of its tasks, in columns of `raw.tasks`. A study may change its mind about one of its own,
            such as which metric is the primary one, without anything to compute again.
    """

    name: str
    config: str
    origin: str
    jobs: Mapping[str, Job | RegisteredJob]
    tasks: Sequence[Mapping[str, Any]] = ()


_JOBS_A_STATEMENT = 100_000


def register(connection: duckdb.DuckDBPyConnection, study: RegisteredStudy) -> None:
    """Write the study and the jobs it asks for, and drop those that it no longer does."""
    put(
        connection,
        TABLES["studies"],
        "select ? as study, ? as config, ? as origin, ? as planned_at",
        [study.name, study.config, study.origin, datetime.now(UTC).replace(tzinfo=None)],
    )
    there = dict(
        connection.execute("select job_key, label from raw.study_jobs where study = ?", [study.name]).fetchall()
    )
    if gone := list(there.keys() - study.jobs.keys()):
        connection.execute(
            "delete from raw.study_jobs where study = ? and job_key in (select unnest(?))", [study.name, gone]
        )
    # The key decides all of the others; the label is for people, and may be worded anew.
    wanted = [job for key, job in study.jobs.items() if there.get(key) != job.label]
    for start in range(0, len(wanted), _JOBS_A_STATEMENT):
        _write_jobs(connection, study.name, wanted[start : start + _JOBS_A_STATEMENT])


def _write_jobs(connection: duckdb.DuckDBPyConnection, study: str, jobs: Sequence[Job | RegisteredJob]) -> None:
    rows = pl.DataFrame(
        [(study, job.key, job.plugin, job.label, canonical_json(job.values)) for job in jobs],
        schema=["study", "job_key", "plugin", "label", "config"],
        orient="row",
    )
    insert_frame(connection, "study_jobs", rows)


def insert_frame(connection: duckdb.DuckDBPyConnection, table: str, rows: pl.DataFrame) -> None:
    """Put rows, with the columns of a raw table, into it. Raises UserError where there is no room for a file."""
    with writing(tempfile.gettempdir()), tempfile.NamedTemporaryFile(suffix=".parquet") as file:
        file.write(parquet_bytes(rows))
        file.flush()
        put(connection, TABLES[table], "select * from read_parquet(?)", [file.name])


def redeclared_tasks(connection: duckdb.DuckDBPyConnection, study: RegisteredStudy) -> tuple[tuple[str, str], ...]:
    """Return (task, other study) where the other declared a task of that name otherwise.

    Ask before the study is loaded, while `raw.tasks` still has what others said.
    """
    found: list[tuple[str, str]] = []
    for facts in study.tasks:
        differ = " or ".join(f"tasks.{column} is distinct from ${column}" for column in facts if column != "task")
        found += connection.execute(
            "select tasks.task, studies.study from raw.tasks cross join raw.studies "
            f"where tasks.task = $task and studies.study != $study and ({differ}) "
            "and list_contains(json_keys(studies.config, '$.tasks'), tasks.task) order by all",
            {**facts, "study": study.name},
        ).fetchall()
    return tuple(found)


def declare_tasks(connection: duckdb.DuckDBPyConnection, study: RegisteredStudy) -> None:
    """Write what the study says of its tasks over what jobs have landed about them."""
    for facts in study.tasks:
        changes = ", ".join(f"{column} = ${column}" for column in facts if column != "task")
        connection.execute(f"update raw.tasks set {changes} where task = $task", dict(facts))
