"""Write, audit, publish: the copy of the warehouse that readers open, replaced only by studies that passed.

The published file holds the marts, the checks and the tables that name studies, models and tasks. Tables
carry their comments, so that whoever opens the file sees what a column means. Each study in it is
as it was when it last passed; a study that fails leaves its published rows alone and holds no other back. The file is
built beside the old one and takes its name in one rename: readers of the old one keep it, new ones see the new.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import duckdb

from compute.errors import UserError
from compute.project import PUBLISHED
from compute.store.database import attaching, literal, transaction
from compute.store.files import sync_directory
from compute.store.lock import only_publisher
from compute.store.warehouse import Warehouse

_STUDY_TABLES = ("marts.*", "checks.results", "raw.studies", "raw.study_jobs")
"""Tables with a column `study`: of each study, the rows of its last good state are kept."""

_SHARED_TABLES = ("raw.models", "raw.tasks", "raw.jobs")
"""What those tables refer to; the warehouse's own state."""


def publish(study: str, warehouse: Warehouse, published: Path = PUBLISHED) -> int:
    """Replace one study's rows in the published file, and make the file if it is not there. Returns its mart rows.

    A study that the warehouse no longer has is taken out. One process at a time: who read the old file before another
    replaced it would leave out what that one published.

    Raises:
        UserError: the published file or its folder cannot be written, or the old file is not a DuckDB one; another
            process is still publishing after the warehouse's `wait` seconds.
    """
    with only_publisher(published.parent, warehouse.wait, warehouse.say):
        _sweep(published)
        try:
            return _replace(study, warehouse, published)
        except (duckdb.Error, OSError) as error:
            first_line = str(error).strip().partition("\n")[0]
            raise UserError(f"{published}: cannot be published: {first_line}") from None
        finally:
            _sweep(published)


def _sweep(published: Path) -> None:
    """Remove copies that were never finished, this run's or a killed one's."""
    for leftover in published.parent.glob(f".{published.name}.*"):
        with suppress(OSError):  # one that cannot be removed is in nobody's way
            leftover.unlink()


def _replace(study: str, warehouse: Warehouse, published: Path) -> int:
    building = published.with_name(f".{published.name}.{uuid.uuid4().hex}")
    with warehouse.connect(read_only=True):
        pass  # a lock or a damaged file is told in one line
    with duckdb.connect(str(building)) as connection:
        for statement in attaching(warehouse.path, "fresh", read_only=True):
            connection.execute(statement)
        if published.exists():
            connection.execute(f"attach {literal(published.absolute())} as old (read_only)")
        with transaction(connection):  # of a lake one state is read, whatever others write meanwhile
            rows = _build(connection, study, published.exists())
        connection.execute("detach fresh")
        connection.execute("checkpoint")
    with open(building, "rb") as file:
        os.fsync(file.fileno())
    building.replace(published)
    sync_directory(published.parent)
    return rows


def _build(connection: duckdb.DuckDBPyConnection, study: str, has_old: bool) -> int:
    rows = 0
    for schema in ("marts", "checks", "raw"):
        connection.execute(f"create schema {schema}")
    for schema, table in _tables(connection, "fresh", _STUDY_TABLES):
        if "study" not in _columns(connection, "fresh", schema, table):
            continue  # a mart of the user's own that speaks of no study
        name = f'{schema}."{table}"'
        connection.execute(f"create table {name} as select * from fresh.{name} where study = ?", [study])
        found = connection.execute(f"select count(*) from {name}").fetchone()
        rows += found[0] if found and schema == "marts" else 0
        if has_old and (schema, table) in _tables(connection, "old", _STUDY_TABLES):
            shared = ", ".join(f'"{column}"' for column in _shared_columns(connection, schema, table))
            connection.execute(
                f"insert into {name} by name select {shared} from old.{name} where study is distinct from ?", [study]
            )
    for schema, table in _tables(connection, "fresh", _SHARED_TABLES):
        name = f'{schema}."{table}"'
        connection.execute(f"create table {name} as select * from fresh.{name}")
    _comment(connection)
    return rows


def _comment(connection: duckdb.DuckDBPyConnection) -> None:
    """Give the new file's tables and columns the comments that they have in the warehouse."""
    tables = connection.execute(
        "select schema_name, table_name, comment from duckdb_tables() where database_name = 'fresh' and comment != ''"
    ).fetchall()
    columns = connection.execute(
        "select schema_name, table_name, column_name, comment from duckdb_columns() "
        "where database_name = 'fresh' and comment != ''"
    ).fetchall()
    there = set(_tables(connection, _own_name(connection), (*_STUDY_TABLES, *_SHARED_TABLES)))
    for schema, table, text in tables:
        if (schema, table) in there:
            connection.execute(f'comment on table {schema}."{table}" is {literal(text)}')
    for schema, table, column, text in columns:
        if (schema, table) in there:
            connection.execute(f'comment on column {schema}."{table}"."{column}" is {literal(text)}')


def _own_name(connection: duckdb.DuckDBPyConnection) -> str:
    """Return the name of the file being built, which DuckDB has chosen."""
    row = connection.execute("select current_database()").fetchone()
    return str(row[0]) if row else ""


def _tables(connection: duckdb.DuckDBPyConnection, database: str, wanted: Iterable[str]) -> list[tuple[str, str]]:
    """(schema, table) of the tables and views of an attached database that are wanted, in order."""
    there = connection.execute(
        "select table_schema, table_name from information_schema.tables where table_catalog = ? order by all",
        [database],
    ).fetchall()
    names = set(wanted)
    return [(s, t) for s, t in there if f"{s}.{t}" in names or f"{s}.*" in names]


def _shared_columns(connection: duckdb.DuckDBPyConnection, schema: str, table: str) -> list[str]:
    """Return the columns that a table has in both files: an old file lacks columns added since."""
    old = _columns(connection, "old", schema, table)
    return [column for column in _columns(connection, "fresh", schema, table) if column in old]


def _columns(connection: duckdb.DuckDBPyConnection, database: str, schema: str, table: str) -> list[str]:
    rows = connection.execute(
        "select column_name from information_schema.columns "
        "where table_catalog = ? and table_schema = ? and table_name = ? order by ordinal_position",
        [database, schema, table],
    ).fetchall()
    return [row[0] for row in rows]
