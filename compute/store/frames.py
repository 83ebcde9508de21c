"""Rows as plugins yield them -> frames with a raw table's columns -> Parquet."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from compute.errors import JobError
from compute.plugin import Rows
from compute.store.raw_schema import BOOKKEEPING_TABLES, TABLES
from compute.store.raw_table import JOB_KEY, Table

_POLARS_TYPES: dict[str, Any] = {
    "varchar": pl.String,
    "json": pl.String,
    "boolean": pl.Boolean,
    "integer": pl.Int32,
    "bigint": pl.Int64,
    "double": pl.Float64,
    "timestamp": pl.Datetime("us"),
    "float[]": pl.List(pl.Float32),
    "integer[]": pl.List(pl.Int32),
    "varchar[]": pl.List(pl.String),
}


class UnreadableFile(Exception):
    """A Parquet file that cannot be read as a raw table."""


def frame_schema(table: Table) -> dict[str, Any]:
    """Return the Polars types of a table's columns."""
    return {column.name: _POLARS_TYPES[column.type] for column in table.columns}


def to_frame(table_name: str, rows: Rows, job_key: str) -> pl.DataFrame:
    """Return rows as a frame with exactly the raw table's columns; missing ones become NULL.

    Raises JobError for an unknown table or column and for values of another type.
    """
    if table_name in BOOKKEEPING_TABLES or table_name not in TABLES:
        raise JobError(f"a plugin may not write table {table_name!r}")
    schema = frame_schema(TABLES[table_name])
    unknown = {name for row in rows for name in row} - set(schema)
    if unknown:
        raise JobError(f"table {table_name!r} has no column {sorted(unknown)[0]!r}")
    columns = []
    for name, kind in schema.items():
        try:
            columns.append(_column(name, [row.get(name) for row in rows], kind))
        except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError) as error:
            first_line = str(error).strip().partition("\n")[0]
            raise JobError(f"table {table_name!r}, column {name!r}: {first_line}") from error
    return pl.DataFrame(columns).with_columns(pl.lit(job_key).alias(JOB_KEY.name))


def _column(name: str, values: Sequence[Any], kind: Any) -> pl.Series:
    """Return one column. Lists of one length are built flat and cut after: ten times as fast as one by one."""
    if isinstance(kind, pl.List) and values and all(isinstance(value, list | tuple) for value in values):
        lengths = {len(value) for value in values}
        if len(lengths) == 1 and (length := lengths.pop()):
            flat = pl.Series(name, [one for value in values for one in value], dtype=kind.inner)
            return flat.reshape((len(values), length)).cast(kind)
    return pl.Series(name, values, dtype=kind)


def parquet_bytes(frame: pl.DataFrame) -> memoryview:
    """Return a frame as Parquet. Polars writes to a file by itself and calls a full disk a ComputeError; so it gets
    none."""
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    return buffer.getbuffer()


def read_frame(path: Path, table_name: str) -> pl.DataFrame:
    """Return a file's rows with exactly the table's columns: those added since it was written are NULL.

    Raises UnreadableFile.
    """
    try:
        # As bytes: of what Polars reads by itself it may keep the file mapped.
        found = pl.read_parquet(io.BytesIO(path.read_bytes()))
        schema = frame_schema(TABLES[table_name])
        return found.select(
            (pl.col(name) if name in found.columns else pl.lit(None).alias(name)).cast(kind)
            for name, kind in schema.items()
        )
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, KeyError) as error:
        raise UnreadableFile(str(error).strip().partition("\n")[0]) from None
