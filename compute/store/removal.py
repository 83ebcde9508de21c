"""Removing a study from the warehouse, and finding what has landed that no study asks for."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import partial

import duckdb

from compute.errors import UserError
from compute.names import UnknownName
from compute.store.artifacts import ArtifactStore
from compute.store.database import commit
from compute.store.files import folder_size
from compute.store.landing import Landing
from compute.store.raw_schema import TABLES
from compute.store.warehouse import Warehouse

_SHARED = {
    "models": "select model from raw.item_scores union all select model from raw.aggregate_scores",
    "tasks": "select target_task from raw.item_scores union all select target_task from raw.aggregate_scores",
}
"""Raw tables with a row that several jobs have brought, and what refers to it by its key."""


def remove_study(warehouse: Warehouse, study: str) -> tuple[int, int]:
    """Remove a study, and the rows of jobs that no other study asks for, in one transaction.

    Returns:
        Jobs and rows of `raw`, `marts` and `checks` that are gone.

    Raises:
        UserError: no warehouse, or no such study in it.
    """
    known = warehouse.studies()
    if study not in known:
        raise UserError(f"{warehouse.path}: {UnknownName('study', study, known)}")
    with warehouse.connect() as connection:
        return commit(connection, partial(_remove, connection, study))


def _remove(connection: duckdb.DuckDBPyConnection, study: str) -> tuple[int, int]:
    connection.execute(
        "create temp table orphans as select job_key from raw.study_jobs group by job_key having bool_and(study = ?)",
        [study],
    )
    orphans = _count(connection, "select count(*) from temp.orphans")
    rows = _delete_jobs(connection)
    for schema, table in _tables_of_studies(connection):
        rows += _count(connection, f'delete from {schema}."{table}" where study = ?', [study])
    connection.execute("drop table temp.orphans")
    return orphans, rows


def _delete_jobs(connection: duckdb.DuckDBPyConnection) -> int:
    rows = 0
    for table in TABLES.values():
        if table.name in _SHARED or "job_key" not in table.column_names or "study" in table.column_names:
            continue
        rows += _count(connection, f"delete from raw.{table.name} where job_key in (from temp.orphans)")
    for name, referring in _SHARED.items():
        key = TABLES[name].grain[0]
        rows += _count(
            connection,
            f"delete from raw.{name} where job_key in (from temp.orphans) and {key} not in ({referring})",
        )
    return rows


def _tables_of_studies(connection: duckdb.DuckDBPyConnection) -> list[tuple[str, str]]:
    return connection.execute(
        "select schema_name, table_name from duckdb_tables() semi join (select table_oid from duckdb_columns() "
        "where column_name = 'study') using (table_oid) where schema_name in ('raw', 'marts', 'checks') order by all"
    ).fetchall()


def _count(connection: duckdb.DuckDBPyConnection, sql: str, values: list[str] | None = None) -> int:
    row = connection.execute(sql, values or []).fetchone()
    return int(row[0]) if row else 0


@dataclass(frozen=True)
class Unasked:
    """What lies in a project without a study that asks for it.

    Attributes:
        artifacts: bytes of each artifact, by job key.
        landed: keys of jobs with landed results, or a record of their failure.
    """

    artifacts: dict[str, int]
    landed: tuple[str, ...]


def find_unasked(asked: Collection[str], landing: Landing, artifacts: ArtifactStore) -> Unasked:
    """Return what lies there of jobs that are not `asked` for."""
    keys = sorted((landing.landed_keys() | landing.failed_keys()) - set(asked))
    there = sorted(path.name for path in artifacts.root.glob("*") if path.is_dir() and path.name[0] != ".")
    sizes = {key: folder_size(artifacts.root / key) for key in there if key not in asked}
    return Unasked(sizes, tuple(keys))
