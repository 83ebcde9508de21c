"""A segment: what several jobs landed together, one Parquet file a table, and the record that commits it.

`<root>/<table>/<segment>.parquet` holds rows of many jobs, `<root>/jobs/<segment>.parquet` what `raw.jobs` says of
them. `<root>/segments/<segment>.json` is written last: without it the other files do not count. Its first line is the
SHA-256 of its second, and that names each file with its SHA-256 and each job with its rows.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from compute.plugin import Rows
from compute.store.files import DamagedRecord, parse_record, read_record, sha256_of, write_record, write_whole
from compute.store.frames import frame_schema, parquet_bytes, to_frame
from compute.store.raw_schema import TABLES

JOBS, RECORDS = "jobs", "segments"
"""The folder of what `raw.jobs` says of the jobs, and of the records that commit."""

NAME = re.compile(r"\d{8}T\d{12}-[0-9a-f]{12}")
"""When it was begun (UTC), so that names sort by time, and a part by chance."""

_BEGUN = "%Y%m%dT%H%M%S%f"


@dataclass(frozen=True)
class Damage:
    """A file that is not what was written, and the jobs that were withdrawn for it.

    Attributes:
        file: in the landing directory.
        reason: what is wrong with it.
        job_keys: of the jobs that had rows in it; empty where nothing is left that names them.
    """

    file: Path
    reason: str
    job_keys: tuple[str, ...]


@dataclass(frozen=True)
class SegmentFile:
    """A file of a segment.

    Attributes:
        sha256: of its bytes.
        rows: in it.
    """

    sha256: str
    rows: int


@dataclass(frozen=True)
class Segment:
    """What a segment's record says.

    Attributes:
        name: of its files.
        files: by table, `jobs` among them.
        jobs: those that landed, each with its rows by table.
        failed: keys of jobs that failed; only `jobs` says more of them.
        replaces: segments whose jobs this one has taken over; what is left of them does not count.
    """

    name: str
    files: Mapping[str, SegmentFile]
    jobs: Mapping[str, Mapping[str, int]]
    failed: Sequence[str] = ()
    replaces: Sequence[str] = ()

    @property
    def begun(self) -> datetime:
        """When it was begun, in UTC."""
        return datetime.strptime(self.name.partition("-")[0], _BEGUN).replace(tzinfo=UTC)

    def path(self, root: Path, table: str) -> Path:
        """Return where the rows of one table are."""
        return root / table / f"{self.name}.parquet"

    def damaged_tables(self, root: Path, tables: Collection[str]) -> dict[str, str]:
        """Return those of some tables whose file is not what was written, each with what is wrong."""
        found = {}
        for table in tables:
            try:
                if sha256_of(self.path(root, table)) != self.files[table].sha256:
                    found[table] = "its SHA-256 is not the recorded one"
            except OSError as error:
                found[table] = error.strerror or str(error)
        return found

    def without(self, keys: Collection[str]) -> Segment:
        """Return the segment without some jobs, and without the files that no other job has rows in."""
        jobs = {key: rows for key, rows in self.jobs.items() if key not in keys}
        failed = [key for key in self.failed if key not in keys]
        kept = {JOBS}.union(*jobs.values()) if jobs or failed else set()
        return replace(self, jobs=jobs, failed=failed, files={t: f for t, f in self.files.items() if t in kept})

    def commit(self, root: Path) -> None:
        """Write the record; the files are there."""
        files = {table: {"sha256": file.sha256, "rows": file.rows} for table, file in self.files.items()}
        names = {"failed": list(self.failed), "replaces": list(self.replaces)}
        write_record(record_path(root, self.name), {"files": files, "jobs": self.jobs, **names})

    def remove(self, root: Path) -> None:
        """Remove the record, which withdraws all that it commits, and then the files."""
        remove(root, self.name)


def record_path(root: Path, name: str) -> Path:
    """Return where the record of a segment is."""
    return root / RECORDS / f"{name}.json"


def remove(root: Path, name: str) -> None:
    """Remove a segment's record and then its files, whatever of them there is."""
    record_path(root, name).unlink(missing_ok=True)
    for file in root.glob(f"*/{name}.parquet"):
        file.unlink(missing_ok=True)


@dataclass(frozen=True)
class Parcel:
    """A segment as bytes, to be landed elsewhere.

    Attributes:
        name: of the segment.
        record: the bytes of its record.
        files: the bytes of its files, by table.
        job_keys: of the jobs that landed or failed with it.
    """

    name: str
    record: bytes
    files: Mapping[str, bytes]
    job_keys: Sequence[str]


class DamagedParcel(Exception):
    """A file that has arrived is not what its record says."""


def pack(root: Path, name: str) -> Parcel:
    """Return a committed segment as bytes. Raises as `read_segment`, and OSError."""
    segment = read_segment(root, name)
    files = {table: segment.path(root, table).read_bytes() for table in segment.files}
    return Parcel(name, record_path(root, name).read_bytes(), files, (*segment.jobs, *segment.failed))


def unpack(root: Path, parcel: Parcel) -> None:
    """Write a segment that was packed elsewhere: all files, then the record, whose rename makes the jobs count.

    Raises DamagedParcel, or OSError when the disk refuses; nothing of the segment counts then.
    """
    try:
        expected = parse_record(parcel.record)["files"]
        if expected.keys() != parcel.files.keys():
            raise DamagedParcel(f"segment {parcel.name}: its files are not those that its record names")
        for table, content in parcel.files.items():
            if write_whole(root / table / f"{parcel.name}.parquet", content) != expected[table]["sha256"]:
                raise DamagedParcel(f"segment {parcel.name}: the SHA-256 of {table} is not the recorded one")
        write_whole(record_path(root, parcel.name), parcel.record)
    except DamagedRecord as error:
        raise DamagedParcel(f"segment {parcel.name}: {error}") from None
    except BaseException:
        remove(root, parcel.name)
        raise


def read_segment(root: Path, name: str) -> Segment:
    """Return what a segment's record says. Raises DamagedRecord, or FileNotFoundError where there is none."""
    found = read_record(record_path(root, name))
    alike: dict[str, Mapping[str, int]] = {}  # most jobs have as many rows as others; a million should share them
    return Segment(
        name,
        {table: SegmentFile(**facts) for table, facts in found["files"].items()},
        {key: alike.setdefault(str(rows), rows) for key, rows in found["jobs"].items()},
        found["failed"],
        found["replaces"],
    )


@dataclass
class OpenSegment:
    """A segment in memory, to which jobs are added until it is committed."""

    root: Path
    name: str = field(default_factory=lambda: f"{datetime.now(UTC):{_BEGUN}}-{uuid.uuid4().hex[:12]}")
    jobs: dict[str, dict[str, int]] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    rows: int = 0
    """In memory."""
    _frames: dict[str, list[pl.DataFrame]] = field(default_factory=dict)
    _records: list[Mapping[str, Any]] = field(default_factory=list)

    def add(self, job_key: str, tables: Mapping[str, Rows], record: Mapping[str, Any]) -> None:
        """Add a job: its rows by table, and columns of `raw.jobs`. Raises JobError for rows that do not fit."""
        self.add_frames(job_key, {name: to_frame(name, rows, job_key) for name, rows in tables.items()}, record)

    def add_frames(self, job_key: str, frames: Mapping[str, pl.DataFrame], record: Mapping[str, Any]) -> None:
        """Add a job whose rows are frames already."""
        counts = {name: frame.height for name, frame in frames.items()}
        for name, frame in frames.items():
            if frame.height:
                self._frames.setdefault(name, []).append(frame)
        self.jobs[job_key] = {name: rows for name, rows in counts.items() if rows}
        self.rows += sum(counts.values())
        self._records.append(dict(record) | {"rows": json.dumps(counts, sort_keys=True)})

    def add_failure(self, job_key: str, record: Mapping[str, Any]) -> None:
        """Add that a job failed: columns of `raw.jobs`."""
        self.failed.append(job_key)
        self._records.append(dict(record) | {"rows": "{}"})

    def as_failures(self, error: str) -> OpenSegment:
        """Return a segment that says of each of the jobs that it failed, those that had not by `error`."""
        refused = OpenSegment(self.root)
        for record in self._records:
            refused.add_failure(record["job_key"], {"error": error} | _known(record) | {"state": "failed"})
        return refused

    def commit(self) -> None:
        """Write all files, then the record, whose rename makes the jobs count, all of them at once.

        Raises OSError when the disk refuses; nothing of the segment counts then.
        """
        if not (self.jobs or self.failed):
            return
        frames = {name: pl.concat(some) for name, some in self._frames.items()}
        frames[JOBS] = pl.from_dicts(self._records, schema=frame_schema(TABLES[JOBS]))
        write_segment(self.root, self.name, frames, self.jobs, self.failed)


def _known(record: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in record.items() if value is not None}


def write_segment(
    root: Path,
    name: str,
    frames: Mapping[str, pl.DataFrame],
    jobs: Mapping[str, Mapping[str, int]],
    failed: Sequence[str],
    replaces: Sequence[str] = (),
) -> None:
    """Write a segment from whole tables, `jobs` among them. Raises OSError when the disk refuses."""
    files = {}
    try:
        for table, frame in frames.items():
            sha256 = write_whole(root / table / f"{name}.parquet", parquet_bytes(frame))
            files[table] = SegmentFile(sha256, frame.height)
        Segment(name, files, jobs, failed, replaces).commit(root)
    except BaseException:
        remove(root, name)
        raise
