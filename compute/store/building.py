"""One build of a lake at a time: a second one waits, then gives up clearly, on whatever machine it runs.

DuckLake refuses some commits of two builds at once. A lake whose catalog is a file, and a DuckDB file, are held by the
process that has them open; of one in PostgreSQL, the server keeps the lock, and drops it when its holder is gone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import duckdb

from compute.errors import UserError
from compute.store.database import Place, close, first_line, literal, loading_extensions
from compute.store.lake import Lake

_KEY = 0x7472616E73666572
"""Of the lock in a lake's database; no other program may take the same by chance."""

_TAKE = f"select pg_try_advisory_xact_lock({_KEY})"
_HOLDER = (
    "select format('PostgreSQL''s process %s for %s', a.pid, coalesce(a.client_addr::text, 'its own machine')) "
    "from pg_locks l join pg_stat_activity a on a.pid = l.pid where l.locktype = 'advisory' and l.granted "
    f"and l.classid = {_KEY >> 32} and l.objid = {_KEY & 0xFFFFFFFF} "
    "and l.database = (select oid from pg_database where datname = current_database())"
)


@contextmanager
def only_builder(place: Place, wait: float, say: Callable[[str], None]) -> Iterator[None]:
    """Hold the lock of a lake's builds for a while, where its catalog is in PostgreSQL; else nothing is held.

    Raises UserError when another build holds it after `wait` seconds, or the server cannot be asked.
    """
    if not isinstance(place, Lake) or place.file is not None:
        yield
        return
    connection = duckdb.connect()
    try:
        try:
            for statement in loading_extensions(place):
                connection.execute(statement)
            connection.execute(f"attach {literal(place.server)} as server (type postgres)")
            _take(connection, place, wait, say)
        except duckdb.Error as error:
            raise UserError(f"{place}: {first_line(error, place)}") from None
        yield
    finally:
        close(connection)


def _take(connection: duckdb.DuckDBPyConnection, place: Lake, wait: float, say: Callable[[str], None]) -> None:
    """Leave a transaction open that has the lock."""
    deadline, told = time.monotonic() + wait, False
    while True:
        connection.execute("begin")
        if _ask(connection, _TAKE):
            return
        holder = _ask(connection, _HOLDER) or "another process"
        connection.execute("rollback")
        if time.monotonic() >= deadline:
            raise UserError(f"{place}: {holder} builds here; wait for it or end it")
        if not told:
            say(f"{holder} builds in {place}; waiting up to {wait:.0f} s")
            told = True
        time.sleep(min(0.5, wait))


def _ask(connection: duckdb.DuckDBPyConnection, query: str) -> object:
    row = connection.execute("from postgres_query('server', ?)", [query]).fetchone()
    return row[0] if row else None
