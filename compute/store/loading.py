"""Moves what has landed for a study into `raw`: whole jobs, in bounded transactions, each job once."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import duckdb

from compute.errors import UserError
from compute.store.database import commit, put
from compute.store.landing import Landing
from compute.store.raw_schema import TABLES
from compute.store.registration import RegisteredStudy, declare_tasks, redeclared_tasks, register
from compute.store.segments import JOBS, Damage, Segment

_ROWS_A_TRANSACTION = 1_000_000
_JOBS_A_TRANSACTION = 10_000
_FILES_A_READ = 500


@dataclass(frozen=True)
class Loaded:
    """What a load did.

    Attributes:
        jobs: added.
        rows: added.
        redeclared: (task, other study) where the other declared a task of that name otherwise; `raw.tasks` has one row
            for both, and it is this study's now.
        damaged: files that were not as written; their jobs are withdrawn.
    """

    jobs: int
    rows: int
    redeclared: tuple[tuple[str, str], ...] = ()
    damaged: tuple[Damage, ...] = ()


@dataclass(frozen=True)
class _Part:
    """A segment, and which of its jobs are to be loaded."""

    segment: Segment
    keys: Collection[str]

    @property
    def rows(self) -> int:
        return sum(sum(self.segment.jobs[key].values()) for key in self.keys)

    def rows_of(self, table: str) -> int:
        """Return the rows of its jobs in one table."""
        if table == JOBS:
            return len(self.keys)
        return sum(self.segment.jobs[key].get(table, 0) for key in self.keys)


def load(connection: duckdb.DuckDBPyConnection, study: RegisteredStudy, landing: Landing) -> Loaded:
    """Register a study and load it; see `Warehouse.load`."""
    try:
        damaged = landing.adopt() + landing.withdraw_damaged_records()
        redeclared = commit(connection, partial(_register, connection, study))
        known = {key for (key,) in connection.execute("select job_key from raw.jobs where state = 'landed'").fetchall()}
        jobs = rows = 0
        for parts in _groups(_parts(study, landing, known, damaged)):
            added = commit(connection, partial(_load_parts, connection, landing.root, parts))
            rows += sum(part.rows for part in added)
            jobs += sum(len(part.keys) for part in added)
        commit(connection, partial(_finish, connection, study, landing, known))
    except OSError as error:
        raise UserError(f"{error.filename or landing.root}: cannot be written: {error.strerror}") from None
    return Loaded(jobs, rows, redeclared, tuple(damaged))


def _register(connection: duckdb.DuckDBPyConnection, study: RegisteredStudy) -> tuple[tuple[str, str], ...]:
    redeclared = redeclared_tasks(connection, study)
    register(connection, study)
    return redeclared


def _finish(
    connection: duckdb.DuckDBPyConnection, study: RegisteredStudy, landing: Landing, known: Collection[str]
) -> None:
    declare_tasks(connection, study)
    _load_failures(connection, study, landing, known)


def _parts(study: RegisteredStudy, landing: Landing, known: set[str], damaged: list[Damage]) -> Iterator[_Part]:
    """Yield what is to be loaded, each file checked; `known` and `damaged` grow."""
    for segment in landing.segments():
        wanted = [key for key in segment.jobs if key in study.jobs and key not in known]
        if not wanted:
            continue
        found = landing.withdraw_damaged(segment, {JOBS}.union(*(segment.jobs[key] for key in wanted)))
        damaged += found
        lost = {key for damage in found for key in damage.job_keys}
        sound = [key for key in wanted if key not in lost]
        known.update(sound)
        if sound:
            yield _Part(segment, sound)


def _groups(parts: Iterable[_Part]) -> Iterator[list[_Part]]:
    """Yield parts, as many at once as a transaction takes."""
    group: list[_Part] = []
    rows = jobs = 0
    for part in parts:
        group.append(part)
        rows, jobs = rows + part.rows, jobs + len(part.keys)
        if rows >= _ROWS_A_TRANSACTION or jobs >= _JOBS_A_TRANSACTION or len(group) >= _FILES_A_READ:
            yield group
            group, rows, jobs = [], 0, 0
    if group:
        yield group


def _load_parts(connection: duckdb.DuckDBPyConnection, root: Path, parts: Sequence[_Part]) -> list[_Part]:
    """Insert jobs and their rows, less those that another loader of a lake has added since; return what was added."""
    asked = [key for part in parts for key in part.keys]
    there = {
        key
        for (key,) in connection.execute(
            "select job_key from raw.jobs where state = 'landed' and job_key in (select unnest(?))", [asked]
        ).fetchall()
    }
    parts = [replace(part, keys=[key for key in part.keys if key not in there]) for part in parts]
    for table in TABLES:
        whole = []
        for part in parts:
            rows = part.rows_of(table)
            file = part.segment.path(root, table)
            if rows and rows == part.segment.files[table].rows:
                whole.append(file)
            elif rows:  # other jobs of the segment are of another study, there already, or withdrawn
                _insert(connection, table, [file], "job_key in (select unnest(?))", [list(part.keys)])
        if whole:
            _insert(connection, table, whole)
    return parts


def _load_failures(
    connection: duckdb.DuckDBPyConnection, study: RegisteredStudy, landing: Landing, known: Collection[str]
) -> None:
    """Insert what is known of jobs that failed and have not landed since, the last failure of each."""
    for segment in landing.segments():
        failed = [key for key in segment.failed if key in study.jobs and key not in known]
        if failed and not segment.damaged_tables(landing.root, [JOBS]):
            wanted = (
                "job_key in (select unnest(?)) and state = 'failed' "
                "and job_key not in (select job_key from raw.jobs where state = 'landed')"
            )
            _insert(connection, JOBS, [segment.path(landing.root, JOBS)], wanted, [failed])


def _insert(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    files: Sequence[Path],
    wanted: str = "true",
    parameters: Sequence[Any] = (),
) -> None:
    """Insert the wanted rows of Parquet files into a raw table; where it has a primary key, they replace others."""
    # Files of an earlier version lack columns added since.
    rows = f"select * from read_parquet(?, union_by_name => true) where {wanted}"
    if TABLES[table].primary_key:
        # Several jobs may bring the same row (a task's, one per language): one statement may write it only once.
        rows += f" qualify row_number() over (partition by {', '.join(TABLES[table].grain)} order by job_key) = 1"
    put(connection, TABLES[table], rows, [[str(file) for file in files], *parameters])
