"""The warehouse: a DuckDB file, its raw schema, and what is asked of it. With `loading` the only writer of DuckDB."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from compute.errors import UserError
from compute.store.database import literal, open_database, transaction
from compute.store.landing import Landing
from compute.store.loading import Loaded, load
from compute.store.lock import no_locks, refused_locks
from compute.store.raw_schema import TABLES
from compute.store.registration import RegisteredJob, RegisteredStudy, insert_frame

CHECK_RESULTS = """
create table if not exists checks.results (
    study varchar, run_id varchar, suite varchar, expectation varchar, severity varchar, success boolean,
    observed varchar, details json, checked_at timestamp
)
"""


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
            "move it away and run `transfer compute`: what has landed refills a new one"
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
        """Register the study and move what has landed for it into `raw`, in bounded transactions and memory.

        Jobs already there are left alone, so loading twice changes nothing; a transaction has whole jobs only, so a
        load that is killed leaves none of them in part, and the next goes on. A file that is not what was written
        withdraws the jobs that have rows in it, which then run again.

        Raises:
            UserError: the landing directory cannot be written.
        """
        with self.connect() as connection:
            _create_schemas(connection)
            return load(connection, study, landing)

    def replace_fitted(self, study: str, tables: Mapping[str, pl.DataFrame]) -> None:
        """Replace a study's rows of the tables that are fitted from the marts (`FITTED_TABLES`), in one transaction."""
        with self.connect() as connection:
            _create_schemas(connection)
            with transaction(connection):
                for table, rows in tables.items():
                    connection.execute(f"delete from raw.{table} where study = ?", [study])
                    insert_frame(connection, table, rows)

    def write_checks(self, rows: Sequence[Sequence[Any]]) -> None:
        """Append rows of `checks.results`, in that table's column order."""
        with self.connect() as connection:
            _create_schemas(connection)
            with transaction(connection):
                connection.executemany("insert into checks.results values (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)


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
