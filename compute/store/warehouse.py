"""The warehouse, a DuckDB file or a lake: its raw schema, and what is asked of it. With `loading` its only writer."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from compute.errors import UserError, refused_by_disk
from compute.names import UnknownName
from compute.store.database import (
    COMPUTE_FIRST,
    GATE,
    NO_LAKE,
    Place,
    close,
    commit,
    exists,
    first_line,
    is_in_lake,
    literal,
    named_rows,
    open_database,
    opened_file,
    require,
)
from compute.store.frames import frame_schema
from compute.store.lake import DATA_VARIABLE, SCHEME, Lake
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

_BROKEN = (duckdb.IOException, duckdb.FatalException, duckdb.TransactionException, duckdb.OutOfMemoryException)

_MADE_MEANWHILE = "Failed to initialize DuckLake"
"""What DuckLake says where two processes make one lake at once."""


class Warehouse:
    """One DuckDB file or lake. `wait` seconds are spent on a lock held by another process before giving up.

    Raises UserError for a folder in which DuckDB cannot write.
    """

    def __init__(self, path: Place, wait: float = 60.0, say: Callable[[str], None] = print) -> None:
        file = opened_file(path)
        if file is not None and "?" in str(file.absolute().parent):  # the log of `a?b/w.duckdb` would be in `a.wal?b`
            raise UserError(f"{file.absolute()}: DuckDB takes no folder with a question mark in its name")
        self.path = path
        self._file = file
        self.wait = wait
        self.say = say

    @contextmanager
    def connect(self, read_only: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
        """An open connection. Raises UserError for a file that is locked, damaged or no database, or that
        lies where there are no locks."""
        deadline = time.monotonic() + self.wait
        told = False
        while True:
            is_new = self._file is not None and not self._file.exists()  # others may make it while one waits
            try:
                connection = open_database(self.path, read_only)
                break
            except duckdb.Error as error:
                if _MADE_MEANWHILE in str(error) and time.monotonic() < deadline:
                    time.sleep(0.5)
                    continue
                holder = _lock_holder(str(error))
                # DuckDB takes any lock that is refused for another process's.
                if holder and self._file and (refused := refused_locks(self._file.parent)) is not None:
                    raise UserError(
                        f"{self.path}: {no_locks(refused)}; put the warehouse on a local disk (WAREHOUSE=...), or "
                        "mount the share with locks"
                    ) from None
                if holder is None:
                    if self._file is not None and is_new and refused_by_disk(error):
                        self._remove_beginning(self._file)
                    raise UserError(self._unusable(error)) from None
                if time.monotonic() >= deadline:
                    raise UserError(f"{self.path}: locked by {holder}; close it and run again") from None
                if not told:
                    self.say(f"{self.path} is locked by {holder}; waiting up to {self.wait:.0f} s")
                    told = True
                time.sleep(0.5)
        try:
            self._refuse_catalog(connection)
            yield connection
        except duckdb.Error as error:
            lost = isinstance(self.path, Lake) and type(error) is duckdb.Error  # the connection to a server
            if not lost and not isinstance(error, _BROKEN):
                raise
            line = refused_by_disk(error) or first_line(error, self.path)
            raise UserError(f"{self.path}: {line}; nothing that has landed is lost") from None
        finally:
            close(connection)

    @contextmanager
    def of_study(self, study: str, first: str = COMPUTE_FIRST) -> Iterator[duckdb.DuckDBPyConnection]:
        """An open connection, read-only, to a warehouse that has a study. Raises UserError if it does not, with what to
        do `first` where nothing is there."""
        require(self.path, first)
        with self.connect(read_only=True) as connection:
            try:
                rows = connection.execute("select study from raw.studies order by study").fetchall()
            except duckdb.CatalogException:
                raise UserError(f"{self.path}: nothing has been loaded; {first}") from None
            known = [name for (name,) in rows]
            if study not in known:
                raise UserError(f"{self.path}: {UnknownName('study', study, known)}")
            yield connection

    def _remove_beginning(self, file: Path) -> None:
        """Remove a file that was to be a new warehouse, and is none: it would be in the way of the next try."""
        for part in (file, file.with_name(f"{file.name}.wal")):
            with suppress(OSError):
                part.unlink(missing_ok=True)

    def _refuse_catalog(self, connection: duckdb.DuckDBPyConnection) -> None:
        is_catalog = "select 1 from duckdb_tables() where schema_name = 'main' and table_name = 'ducklake_metadata'"
        if isinstance(self.path, Path) and connection.execute(is_catalog).fetchone():
            raise UserError(f"{self.path}: the catalog of a lake; expected {SCHEME}{self.path}")

    def _unusable(self, error: duckdb.Error) -> str:
        if self._file and NO_LAKE in str(error):
            return f"{self.path}: {self._file} is no catalog of a lake; expected {self._file}, or another file"
        if self._file is None and "DATA_PATH" in str(error):
            wanted = f"set {DATA_VARIABLE} to the folder of the lake's data, which has one path for all loaders"
            return f"{self.path}: {wanted} ({first_line(error, self.path)})"
        if self._file is None:
            return f"{self.path}: {first_line(error, self.path)}"
        if not self._file.parent.is_dir():
            return f"{self.path}: its directory does not exist"
        if refused_by_disk(error):
            return f"{self.path}: {first_line(error, self.path)}; nothing that has landed is lost"
        kind = "lake" if isinstance(self.path, Lake) else "database"
        return (
            f"{self.path}: cannot be opened as a DuckDB {duckdb.__version__} {kind} ({first_line(error, self.path)}); "
            "move it away and run `transfer compute`: what has landed refills a new one"
        )

    def prepare(self) -> None:
        """Create it and its schemas if need be: before hours of work, not after, is the time to fail."""
        with self.connect() as connection:
            _create_schemas(connection)

    def landed_keys(self) -> set[str]:
        """Keys of jobs already in `raw`; none if the warehouse does not exist yet."""
        return {key for (key,) in self._ask("select job_key from raw.jobs where state = 'landed'")}

    def asked_keys(self) -> set[str]:
        """Keys of the jobs that any registered study asks for; none if the warehouse does not exist yet."""
        return {key for (key,) in self._ask("select distinct job_key from raw.study_jobs")}

    def registered(self, study: str) -> RegisteredStudy | None:
        """A study as it is registered, or None."""
        found = self._ask("select config, origin from raw.studies where study = ?", [study])
        if not found:
            return None
        jobs = self._ask("select job_key, plugin, label, config from raw.study_jobs where study = ?", [study])
        known = {key: RegisteredJob(key, plugin, label, json.loads(config)) for key, plugin, label, config in jobs}
        [(config, origin)] = found
        return RegisteredStudy(study, config, origin, known)

    def studies(self) -> list[str]:
        """Names of the registered studies, sorted; none if the warehouse does not exist yet."""
        return [study for (study,) in self._ask("select study from raw.studies order by study")]

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

    def replace_rows(self, study: str, tables: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
        """Replace a study's rows of tables that are written from its marts, in one transaction; columns that a row
        leaves out are NULL."""
        frames = {name: pl.DataFrame(list(rows), schema=frame_schema(TABLES[name])) for name, rows in tables.items()}
        with self.connect() as connection:
            _create_schemas(connection)
            commit(connection, partial(_replace_rows, connection, study, frames))

    def exists(self) -> bool:
        """Return whether there is one. Raises UserError for a lake whose catalog cannot be reached."""
        return exists(self.path)

    def study_rows(self, table: str, study: str) -> list[dict[str, Any]]:
        """Return a study's rows of a table that was written from its marts, in the order of its grain."""
        if not self.exists():
            return []
        with self.connect(read_only=True) as connection:
            try:
                order = ", ".join(TABLES[table].grain)
                found = connection.execute(f"select * from raw.{table} where study = ? order by {order}", [study])
                return named_rows(found)
            except duckdb.CatalogException:
                return []

    def write_checks(self, rows: Sequence[Sequence[Any]]) -> None:
        """Append rows of `checks.results`, in that table's column order."""
        with self.connect() as connection:
            _create_schemas(connection)
            insert = "insert into checks.results values (?, ?, ?, ?, ?, ?, ?, ?, ?)"
            commit(connection, partial(connection.executemany, insert, rows))

    def _ask(self, sql: str, parameters: Sequence[str] = ()) -> list[Any]:
        """Return the answer to a question about `raw`; no rows where the warehouse, or the table, is not there yet."""
        if not self.exists():
            return []
        with self.connect(read_only=True) as connection:
            try:
                return connection.execute(sql, parameters).fetchall()
            except duckdb.CatalogException:
                return []


def _replace_rows(connection: duckdb.DuckDBPyConnection, study: str, tables: Mapping[str, pl.DataFrame]) -> None:
    for table, rows in tables.items():
        connection.execute(f"delete from raw.{table} where study = ?", [study])
        insert_frame(connection, table, rows)


def _lock_holder(message: str) -> str | None:
    """Who holds the lock that DuckDB complains of, or None if it complains of something else."""
    if "Conflicting lock" not in message and "Could not set lock" not in message:
        return None
    found = re.search(r"held in (?P<program>.+?) \(PID (?P<pid>\d+)\)", message)
    return f"{found['program']} (process {found['pid']})" if found else "another process"


def _create_schemas(connection: duckdb.DuckDBPyConnection) -> None:
    commit(connection, partial(_create, connection, is_in_lake(connection)), has_gate=False)


def _create(connection: duckdb.DuckDBPyConnection, in_lake: bool) -> None:
    connection.execute("create schema if not exists raw")
    connection.execute("create schema if not exists checks")
    for table in TABLES.values():
        connection.execute(table.create_statement(has_keys=not in_lake))
    if in_lake:
        connection.execute(f"create table if not exists {GATE} (passed bigint)")
        connection.execute(f"insert into {GATE} select 0 where not exists (from {GATE})")
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
