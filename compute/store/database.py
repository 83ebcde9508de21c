"""How a warehouse is opened, a DuckDB file or a lake: always under one name, whatever it is called."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import duckdb

from compute.errors import UserError, refused_by_disk
from compute.project import expand, locate
from compute.store.lake import Lake, is_lake, no_server_alone, read_lake
from compute.store.raw_table import Table

DATABASE = "warehouse"
"""The database's name in SQL, as in profiles.yml. DuckDB's own choice, the file's, may be that of a schema (`raw`)."""

Place = Path | Lake
"""Where a warehouse is."""

NO_LAKE = "does not exist - and creating a new DuckLake is explicitly disabled"
"""What DuckLake says of a catalog that is none."""

_LAKE_TEMPORARY = Path("lake.duckdb.tmp")
"""A lake's data may be far away; what does not fit into memory stays here."""

GATE = "main.gate"
"""A table of one row that every writer of a lake changes. Two that add rows of one job at once would both succeed; two
that change one row do not."""

_TRIES = 20

COMPUTE_FIRST = "run `transfer compute` first"
BUILD_FIRST = "run `transfer compute` and `transfer build` first"
"""What to do where there is no warehouse, or nothing in it, by what is to be asked: rows, or marts."""

Done = TypeVar("Done")


def read_place(text: str, here: Path = Path(), root: Path = Path()) -> Place:
    """Return the warehouse that `text`, typed in folder `here`, names from `root`. Raises UserError if none can be."""
    if is_lake(text):
        return read_lake(text, here, root)
    no_server_alone(text)
    return locate(expand(text), here, root)


def address(place: Place) -> str:
    """Return what names a warehouse whatever the current directory, without a password."""
    return str(place.absolute()) if isinstance(place, Path) else place.address


def opened_file(place: Place) -> Path | None:
    """Return the file that is opened, and locked; None where a server has a lake's catalog."""
    return place if isinstance(place, Path) else place.file


def exists(place: Place) -> bool:
    """Return whether there is a warehouse. Raises UserError for a folder, and a lake that cannot be reached."""
    file = opened_file(place)
    if file is not None:
        if file.is_dir():
            raise UserError(f"{place}: expected a file, found a folder")
        return file.exists()
    try:
        close(open_database(place, read_only=True))
    except duckdb.Error as error:
        if NO_LAKE in str(error):
            return False
        raise UserError(f"{place}: {first_line(error, place)}") from None
    return True


def require(place: Place, first: str = COMPUTE_FIRST) -> None:
    """Raise UserError where there is no warehouse, with what to do `first`."""
    if not exists(place):
        raise UserError(f"{place}: no such warehouse; {first}")


def open_database(place: Place, read_only: bool = False) -> duckdb.DuckDBPyConnection:
    """Return a connection to a warehouse, which is made if need be.

    Raises:
        duckdb.Error: as `duckdb.connect` does.
        UserError: a lake's extensions are not installed.
    """
    connection = duckdb.connect()
    try:
        for statement in opening(place, read_only):
            connection.execute(statement)
    except BaseException:
        connection.close()
        raise
    return connection


def close(connection: duckdb.DuckDBPyConnection) -> None:
    """Close a connection; first what was begun ends, which closing would not do where a lake's server is gone."""
    with suppress(duckdb.Error):
        connection.execute("rollback")
    connection.close()


def opening(place: Place, read_only: bool) -> Iterator[str]:
    """Yield the SQL by which a connection of its own, to no file, opens a warehouse. What does not fit into memory goes
    beside the file, as it does where DuckDB opens the file itself. Who only reads a lake sees it as it is now, whatever
    others write meanwhile."""
    temporary = f"{place.absolute()}.tmp" if isinstance(place, Path) else _LAKE_TEMPORARY.absolute()
    yield f"set temp_directory = {literal(temporary)}"
    yield from attaching(place, DATABASE, read_only)
    yield f"use {DATABASE}"
    if read_only and isinstance(place, Lake):
        yield "begin"


def attaching(place: Place, name: str, read_only: bool) -> Iterator[str]:
    """Yield the SQL by which a connection attaches a warehouse under a name."""
    options = ["read_only"] if read_only else []
    if isinstance(place, Lake):
        yield from loading_extensions(place)
        if place.file is not None and place.file.exists():  # else a warehouse's own file would become a lake's too
            options.append("create_if_not_exists false")
        if place.data is not None and not read_only:
            options.append(f"data_path {literal(place.data.absolute())}")
    told = f" ({', '.join(options)})" if options else ""
    yield f"attach {literal(address(place))} as {name}{told}"


def loading_extensions(lake: Lake) -> Iterator[str]:
    """Yield the SQL by which a connection loads what a lake takes; nothing is downloaded."""
    yield "set autoinstall_known_extensions = false"
    for file in lake.extensions:
        yield f"load {literal(file)}"


def is_in_lake(connection: duckdb.DuckDBPyConnection) -> bool:
    """Return whether a connection has opened a lake, which knows no primary keys and several writers."""
    row = connection.execute("select type from duckdb_databases() where database_name = ?", [DATABASE]).fetchone()
    return row is not None and row[0] == "ducklake"


def first_line(error: Exception, place: Place) -> str:
    """Return what DuckDB says, in one line; of a server it repeats where it is, twice."""
    text = str(error).strip().partition("\n")[0]
    return text.rpartition(f'"{place.server}": ')[2] if isinstance(place, Lake) and place.server else text


def named_rows(cursor: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    """Return the rows of an answer, by column."""
    names = [column[0] for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def put(connection: duckdb.DuckDBPyConnection, table: Table, rows: str, parameters: Sequence[Any]) -> None:
    """Insert what the query `rows` returns into a raw table. Where that has keys, it returns one row a key, which takes
    the place of the one that is there."""
    if not (table.primary_key and is_in_lake(connection)):
        verb = "insert or replace" if table.primary_key else "insert"
        connection.execute(f"{verb} into raw.{table.name} by name {rows}", parameters)
        return
    keys = ", ".join(table.grain)
    connection.execute(f"create temp table arriving as {rows}", parameters)
    connection.execute(f"delete from raw.{table.name} where ({keys}) in (select ({keys}) from temp.arriving)")
    connection.execute(f"insert into raw.{table.name} by name from temp.arriving")
    connection.execute("drop table temp.arriving")


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


def commit(connection: duckdb.DuckDBPyConnection, work: Callable[[], Done], has_gate: bool = True) -> Done:
    """Do `work` in one transaction and return what it returns.

    In a lake others may commit meanwhile: then it is done again from its start, so it asks what is there by itself.

    Raises:
        UserError: others were first, every time.
    """
    in_lake = is_in_lake(connection)
    tries_left = _TRIES if in_lake else 1
    while True:
        tries_left -= 1
        try:
            with transaction(connection):
                if in_lake and has_gate:
                    connection.execute(f"update {GATE} set passed = passed + 1")
                return work()
        except duckdb.TransactionException as error:
            if not in_lake or refused_by_disk(error) is not None:
                raise
            if tries_left == 0:
                cause = str(error).strip().splitlines()[-1]
                told = f"the lake refused {_TRIES} times ({cause}); run again, nothing that has landed is lost"
                raise UserError(told) from None
        time.sleep(random.uniform(0, 0.5))
