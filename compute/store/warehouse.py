"""The warehouse: creates the raw schema, loads landed shards in one transaction. The only writer of DuckDB."""

from __future__ import annotations

import json
import re
import tempfile
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from compute.errors import UserError
from compute.plugin import Job, canonical_json
from compute.store.database import literal, open_database, transaction
from compute.store.landing import Landing, parquet_bytes
from compute.store.lock import no_locks, refused_locks
from compute.store.raw_schema import BOOKKEEPING_TABLES, TABLES

CHECK_RESULTS = """
create table if not exists checks.results (
    study varchar, run_id varchar, suite varchar, expectation varchar, severity varchar, success boolean,
    observed varchar, details json, checked_at timestamp
)
"""

_FILES_A_READ = 500


@dataclass(frozen=True)
class Loaded:
    """What a load did.

    Attributes:
        jobs: added.
        rows: added.
        redeclared: (task, other study) where the other declared a task of that name otherwise; `raw.tasks` has one row
            for both, and it is this study's now.
        damaged: jobs withdrawn because their shards were.
    """

    jobs: int
    rows: int
    redeclared: tuple[tuple[str, str], ...] = ()
    damaged: tuple[str, ...] = ()


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


class Warehouse:
    """One DuckDB file. `wait` seconds are spent on a lock held by another process before giving up.

    Raises UserError for a folder in which DuckDB cannot write.
    """

    def __init__(self, path: Path, wait: float = 60.0, say: Callable[[str], None] = print) -> None:
        if "?" in str(path.absolute().parent):  # it would look for the log of `a?b/w.duckdb` in `a.wal?b`
            raise UserError(f"{path.absolute()}: DuckDB takes no folder with a question mark in its name")
        self.path = path
        self.wait = wait
        self.say = say

    @contextmanager
    def connect(self, read_only: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
        """An open connection. Raises UserError for a file that is locked, damaged or no database, or that
        lies where there are no locks."""
        deadline = time.monotonic() + self.wait
        told = False
        while True:
            try:
                connection = open_database(self.path, read_only)
                break
            except duckdb.Error as error:
                holder = _lock_holder(str(error))
                # DuckDB takes any lock that is refused for another process's.
                if holder is not None and (refused := refused_locks(self.path.parent)) is not None:
                    raise UserError(
                        f"{self.path}: {no_locks(refused)}; put the warehouse on a local disk (WAREHOUSE=...), or "
                        "mount the share with locks"
                    ) from None
                if holder is None:
                    raise UserError(self._unusable(error)) from None
                if time.monotonic() >= deadline:
                    raise UserError(f"{self.path}: locked by {holder}; close it and run again") from None
                if not told:
                    self.say(f"{self.path} is locked by {holder}; waiting up to {self.wait:.0f} s")
                    told = True
                time.sleep(0.5)
        try:
            with closing(connection):
                yield connection
        except (duckdb.IOException, duckdb.FatalException, duckdb.TransactionException) as error:
            raise UserError(f"{self.path}: {_first_line(error)}; nothing that has landed is lost") from None

    def _unusable(self, error: duckdb.Error) -> str:
        if not self.path.parent.is_dir():
            return f"{self.path}: its directory does not exist"
        return (
            f"{self.path}: cannot be opened as a DuckDB {duckdb.__version__} database ({_first_line(error)}); "
            "move it away and run `transfer compute`: landed shards refill a new one"
        )

    def prepare(self) -> None:
        """Create the file and its schemas if need be: before hours of work, not after, is the time to fail."""
        with self.connect() as connection:
            _create_schemas(connection)

    def landed_keys(self) -> set[str]:
        """Keys of jobs already in `raw`; none if the warehouse does not exist yet."""
        if not self.path.exists():
            return set()
        with self.connect(read_only=True) as connection:
            try:
                rows = connection.execute("select job_key from raw.jobs where state = 'landed'").fetchall()
            except duckdb.CatalogException:
                return set()
        return {row[0] for row in rows}

    def asked_keys(self) -> set[str]:
        """Keys of the jobs that any registered study asks for; none if the warehouse does not exist yet."""
        if not self.path.exists():
            return set()
        with self.connect(read_only=True) as connection:
            try:
                rows = connection.execute("select distinct job_key from raw.study_jobs").fetchall()
            except duckdb.CatalogException:
                return set()
        return {row[0] for row in rows}

    def registered(self, study: str) -> RegisteredStudy | None:
        """A study as it is registered, or None."""
        if not self.path.exists():
            return None
        with self.connect(read_only=True) as connection:
            try:
                row = connection.execute("select config, origin from raw.studies where study = ?", [study]).fetchone()
                jobs = connection.execute(
                    "select job_key, plugin, label, config from raw.study_jobs where study = ?", [study]
                ).fetchall()
            except duckdb.CatalogException:
                return None
        if row is None:
            return None
        known = {key: RegisteredJob(key, plugin, label, json.loads(config)) for key, plugin, label, config in jobs}
        return RegisteredStudy(study, row[0], row[1], known)

    def studies(self) -> list[str]:
        """Names of the registered studies, sorted; none if the warehouse does not exist yet."""
        if not self.path.exists():
            return []
        with self.connect(read_only=True) as connection:
            try:
                rows = connection.execute("select study from raw.studies order by study").fetchall()
            except duckdb.CatalogException:
                return []
        return [row[0] for row in rows]

    def load(self, study: RegisteredStudy, landing: Landing) -> Loaded:
        """Register the study and move its landed shards into `raw`, in one transaction.

        Jobs already there are left alone, so loading twice changes nothing. A shard that cannot be read, or
        lacks rows that its commit mark promises, withdraws its job, which then runs again.
        """
        damaged: list[str] = []
        while True:
            with self.connect() as connection:
                _create_schemas(connection)
                try:
                    with transaction(connection):
                        redeclared = _redeclared(connection, study)
                        jobs, rows = _load(connection, study, landing)
                    return Loaded(jobs, rows, redeclared, tuple(damaged))
                except _DamagedShardsError as error:
                    for key in error.job_keys:
                        landing.retract(key)
                    damaged.extend(error.job_keys)

    def write_checks(self, rows: Sequence[Sequence[Any]]) -> None:
        """Append rows of `checks.results`, in that table's column order."""
        with self.connect() as connection:
            _create_schemas(connection)
            with transaction(connection):
                connection.executemany("insert into checks.results values (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)


class _DamagedShardsError(Exception):
    def __init__(self, job_keys: Collection[str]) -> None:
        self.job_keys = tuple(job_keys)
        super().__init__(f"{len(self.job_keys)} damaged")


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


def _lock_holder(message: str) -> str | None:
    """Who holds the lock that DuckDB complains of, or None if it complains of something else."""
    if "Conflicting lock" not in message and "Could not set lock" not in message:
        return None
    found = re.search(r"held in (?P<program>.+?) \(PID (?P<pid>\d+)\)", message)
    return f"{found['program']} (process {found['pid']})" if found else "another process"


def _create_schemas(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("create schema if not exists raw")
    connection.execute("create schema if not exists checks")
    for table in TABLES.values():
        connection.execute(table.create_statement())
    # A warehouse of an earlier version lacks the columns added since.
    there = set(
        connection.execute(
            "select table_name, column_name from duckdb_columns() where schema_name = 'raw' and not internal"
        ).fetchall()
    )
    for table in TABLES.values():
        for column in table.columns:
            if (table.name, column.name) not in there:
                connection.execute(f"alter table raw.{table.name} add column {column.name} {column.type}")
    connection.execute(CHECK_RESULTS)
    _comment(connection)


def _comment(connection: duckdb.DuckDBPyConnection) -> None:
    """Say in the file what its raw tables and columns mean, where it does not say so yet."""
    said = set(
        connection.execute(
            "select table_name, null, comment from duckdb_tables() where schema_name = 'raw' union all "
            "select table_name, column_name, comment from duckdb_columns() where schema_name = 'raw'"
        ).fetchall()
    )
    for table in TABLES.values():
        if (table.name, None, table.grain_text) not in said:
            connection.execute(f"comment on table raw.{table.name} is {literal(table.grain_text)}")
        for column in table.columns:
            if (table.name, column.name, column.description) not in said:
                text = literal(column.description)
                connection.execute(f"comment on column raw.{table.name}.{column.name} is {text}")


def _load(connection: duckdb.DuckDBPyConnection, study: RegisteredStudy, landing: Landing) -> tuple[int, int]:
    _register(connection, study)
    known = {row[0] for row in connection.execute("select job_key from raw.jobs where state = 'landed'").fetchall()}
    new = sorted((landing.landed_keys() & set(study.jobs)) - known)
    records = _readable_records(landing, new)
    rows = 0
    for table in TABLES:
        if table not in BOOKKEEPING_TABLES:
            expected = {r["job_key"]: json.loads(r["rows"]).get(table) for r in records}
            rows += _load_table(connection, landing, table, {k: n for k, n in expected.items() if n is not None})
    for facts in study.tasks:
        changes = ", ".join(f"{column} = ${column}" for column in facts if column != "task")
        connection.execute(f"update raw.tasks set {changes} where task = $task", dict(facts))
    _insert_files(connection, "jobs", [landing.shard("jobs", key) for key in new])
    failed = sorted((landing.failed_keys() & set(study.jobs)) - known)
    _insert_files(connection, "jobs", [landing.shard("failures", key) for key in failed])
    return len(new), rows


def _redeclared(connection: duckdb.DuckDBPyConnection, study: RegisteredStudy) -> tuple[tuple[str, str], ...]:
    """See `Loaded`. Asked before the study is loaded, while `raw.tasks` still has what others said."""
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


def _register(connection: duckdb.DuckDBPyConnection, study: RegisteredStudy) -> None:
    name = study.name
    connection.execute(
        "insert or replace into raw.studies by name select ? as study, ? as config, ? as origin, ? as planned_at",
        [name, study.config, study.origin, datetime.now(UTC).replace(tzinfo=None)],
    )
    connection.execute(
        "delete from raw.study_jobs where study = ? and job_key not in (select unnest(?))",
        [name, list(study.jobs)],
    )
    wanted = pl.DataFrame(
        [(name, job.key, job.plugin, job.label, canonical_json(job.values)) for job in study.jobs.values()],
        schema=["study", "job_key", "plugin", "label", "config"],
        orient="row",
    )
    try:
        with tempfile.NamedTemporaryFile(suffix=".parquet") as file:
            file.write(parquet_bytes(wanted))
            file.flush()
            _insert_files(connection, "study_jobs", [Path(file.name)])
    except OSError as error:
        raise UserError(f"{tempfile.gettempdir()}: cannot be written: {error.strerror}") from None


def _insert_files(connection: duckdb.DuckDBPyConnection, table: str, paths: Sequence[Path]) -> None:
    """Insert Parquet files into a raw table; on one with a primary key, rows already there are replaced."""
    verb, one_each = "insert", ""
    if TABLES[table].primary_key:
        # Several jobs may bring the same row (a task's, one per language): one statement may write it only once.
        verb = "insert or replace"
        one_each = f"qualify row_number() over (partition by {', '.join(TABLES[table].grain)} order by job_key) = 1"
    for start in range(0, len(paths), _FILES_A_READ):
        some = [str(path) for path in paths[start : start + _FILES_A_READ]]
        # Shards of an earlier version lack columns added since.
        rows = f"select * from read_parquet(?, union_by_name => true) {one_each}"
        connection.execute(f"{verb} into raw.{table} by name {rows}", [some])


def _readable_records(landing: Landing, keys: Iterable[str]) -> list[dict[str, Any]]:
    keys = list(keys)
    records = landing.records(keys)
    damaged = set(keys) - {record["job_key"] for record in records}
    if damaged:
        raise _DamagedShardsError(sorted(damaged))
    return records


def _count_rows(connection: duckdb.DuckDBPyConnection, paths: Sequence[Path]) -> int:
    total = 0
    for start in range(0, len(paths), _FILES_A_READ):
        some = [str(path) for path in paths[start : start + _FILES_A_READ]]
        row = connection.execute("select count(*) from read_parquet(?)", [some]).fetchone()
        total += row[0] if row else 0
    return total


def _load_table(
    connection: duckdb.DuckDBPyConnection, landing: Landing, table: str, expected: Mapping[str, int]
) -> int:
    """Insert the shards of some jobs into one table; returns the number of rows."""
    paths = {key: landing.shard(table, key) for key in expected}
    try:
        found = _count_rows(connection, list(paths.values()))
        if found != sum(expected.values()):
            raise duckdb.IOException("rows are missing")
        _insert_files(connection, table, list(paths.values()))
    except duckdb.Error:
        bad = [key for key, path in paths.items() if not _is_readable(path, expected[key])]
        if not bad:
            raise
        raise _DamagedShardsError(bad) from None
    return found


def _is_readable(path: Path, rows: int) -> bool:
    try:
        return pl.read_parquet(path).height == rows
    except (pl.exceptions.PolarsError, OSError):
        return False
