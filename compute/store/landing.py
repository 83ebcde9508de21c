"""The landing directory: one Parquet shard per job and table, written atomically.

`<root>/<table>/<job_key>.parquet` holds a job's rows; `<root>/jobs/<job_key>.parquet` is written last and is the
job's commit mark: without it the other shards do not count. A failure leaves only
`<root>/failures/<job_key>.parquet`, which a later success removes.
"""

from __future__ import annotations

import io
import json
import os
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from compute.errors import JobError
from compute.plugin import Rows
from compute.store.artifacts import sync_directory
from compute.store.raw_schema import BOOKKEEPING_TABLES, JOB_KEY, TABLES, Table

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


def shard_schema(table: Table) -> dict[str, Any]:
    """Polars types of a table's columns."""
    return {column.name: _POLARS_TYPES[column.type] for column in table.columns}


def to_frame(table_name: str, rows: Rows, job_key: str) -> pl.DataFrame:
    """Rows as a frame with exactly the raw table's columns; missing ones become NULL.

    Raises JobError for an unknown table or column and for values of another type.
    """
    if table_name in BOOKKEEPING_TABLES or table_name not in TABLES:
        raise JobError(f"a plugin may not write table {table_name!r}")
    table = TABLES[table_name]
    schema = shard_schema(table)
    unknown = {name for row in rows for name in row} - set(schema)
    if unknown:
        raise JobError(f"table {table_name!r} has no column {sorted(unknown)[0]!r}")
    try:
        frame = pl.from_dicts([dict(row) for row in rows], schema=schema) if rows else pl.DataFrame(schema=schema)
    except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError) as error:
        raise JobError(f"table {table_name!r}: {error}") from error
    return frame.with_columns(pl.lit(job_key).alias(JOB_KEY.name))


def parquet_bytes(frame: pl.DataFrame) -> memoryview:
    """A frame as Parquet. Polars writes to a file by itself and calls a full disk a ComputeError; so it gets none."""
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    return buffer.getbuffer()


class Landing:
    """Reads and writes shards below `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def shard(self, table: str, job_key: str) -> Path:
        return self.root / table / f"{job_key}.parquet"

    def write(self, job_key: str, tables: Mapping[str, Rows], record: Mapping[str, Any]) -> None:
        """Land a job: its rows, then its `jobs` record (columns of `raw.jobs`), which commits it.

        Raises OSError when the disk refuses; nothing of the job counts then.
        """
        frames = {name: to_frame(name, rows, job_key) for name, rows in tables.items()}
        for name, frame in frames.items():
            self._write(frame, self.shard(name, job_key))
        counts = {name: frame.height for name, frame in frames.items()}
        self._write(_record_frame(record, counts), self.shard("jobs", job_key))
        self.shard("failures", job_key).unlink(missing_ok=True)

    def write_failure(self, job_key: str, record: Mapping[str, Any]) -> None:
        self._write(_record_frame(record, {}), self.shard("failures", job_key))

    def _write(self, frame: pl.DataFrame, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.stem}.{uuid.uuid4().hex}.tmp")
        try:
            with open(temporary, "wb") as file:
                file.write(parquet_bytes(frame))
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_directory(path.parent)

    def landed_keys(self) -> set[str]:
        """Keys of the jobs whose commit mark is there; reads names only."""
        return self._keys("jobs")

    def failed_keys(self) -> set[str]:
        return self._keys("failures") - self.landed_keys()

    def _keys(self, table: str) -> set[str]:
        try:
            names = os.listdir(self.root / table)
        except FileNotFoundError:
            return set()
        return {name.removesuffix(".parquet") for name in names if name.endswith(".parquet") and name[0] != "."}

    def records(self, job_keys: Iterable[str], table: str = "jobs") -> list[dict[str, Any]]:
        """The `jobs` (or `failures`) records of some keys, without those whose file is damaged or gone."""
        paths = [self.shard(table, key) for key in job_keys]
        try:
            return pl.read_parquet(paths).to_dicts() if paths else []
        except (pl.exceptions.PolarsError, OSError):
            return [row for path in paths for row in _rows_of(path)]

    def retract(self, job_key: str) -> None:
        """Withdraw a job whose shards are damaged: without its commit mark it runs again."""
        self.shard("jobs", job_key).unlink(missing_ok=True)

    def withdraw(self, job_keys: Iterable[str]) -> None:
        """Take back jobs wherever they have landed or failed, commit marks first, and remove their rows."""
        for key in job_keys:
            for table in ("jobs", "failures", *TABLES):
                self.shard(table, key).unlink(missing_ok=True)

    def sweep(self) -> None:
        """Remove temporary files that a killed run left; call it while no run is writing."""
        for leftover in self.root.glob("*/.*.tmp"):
            leftover.unlink(missing_ok=True)


def _rows_of(path: Path) -> list[dict[str, Any]]:
    try:
        return pl.read_parquet(path).to_dicts()
    except (pl.exceptions.PolarsError, OSError):
        return []


def _record_frame(record: Mapping[str, Any], counts: Mapping[str, int]) -> pl.DataFrame:
    row = dict(record) | {"rows": json.dumps(dict(counts), sort_keys=True)}
    return pl.from_dicts([row], schema=shard_schema(TABLES["jobs"]))
