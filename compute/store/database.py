"""How a DuckDB file is opened: always under one name, whatever the file is called."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

DATABASE = "warehouse"
"""The database's name in SQL, as in profiles.yml. DuckDB's own choice, the file's, may be that of a schema (`raw`)."""


def open_database(path: Path, read_only: bool = False) -> duckdb.DuckDBPyConnection:
    """Return a connection to a file, which is made if need be. Raises duckdb.Error as `duckdb.connect` does."""
    connection = duckdb.connect()
    try:
        for statement in opening(path, read_only):
            connection.execute(statement)
    except BaseException:
        connection.close()
        raise
    return connection


def opening(path: Path, read_only: bool) -> Iterator[str]:
    """Yield the SQL by which a connection of its own, to no file, opens one. What does not fit into memory goes beside
    the file, as it does where DuckDB opens the file itself."""
    yield f"set temp_directory = {literal(f'{path.absolute()}.tmp')}"
    yield f"attach {literal(path.absolute())} as {DATABASE}{' (read_only)' if read_only else ''}"
    yield f"use {DATABASE}"


def literal(value: object) -> str:
    """Return a value's text as a string of SQL, for statements that take no parameters."""
    return "'" + str(value).replace("'", "''") + "'"


@contextmanager
def transaction(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Within the block all or nothing is done."""
    connection.execute("begin")
    try:
        yield
    except BaseException:
        connection.execute("rollback")
        raise
    connection.execute("commit")
