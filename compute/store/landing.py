"""The landing directory: what jobs have landed, as segments (`compute.store.segments`)."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from compute.plugin import Rows
from compute.store import first_layout
from compute.store.files import TEMPORARY, DamagedRecord
from compute.store.frames import UnreadableFile, read_frame
from compute.store.segments import (
    JOBS,
    NAME,
    RECORDS,
    Damage,
    OpenSegment,
    Segment,
    read_segment,
    record_path,
    remove,
)


class Landing:
    """Reads and writes segments below `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._read: dict[str, tuple[tuple[int, int, int], Segment]] = {}

    def open_segment(self) -> OpenSegment:
        """Return an empty segment, to add jobs to and commit."""
        return OpenSegment(self.root)

    def write(self, job_key: str, tables: Mapping[str, Rows], record: Mapping[str, Any]) -> None:
        """Land one job in a segment of its own. Raises as a segment's `add` and `commit` do."""
        segment = self.open_segment()
        segment.add(job_key, tables, record)
        segment.commit()

    def segments(self) -> list[Segment]:
        """Return the segments that count, in the order in which they were begun; damaged records are left out."""
        return [segment for segment in self._all_segments() if isinstance(segment, Segment)]

    def _all_segments(self) -> Iterator[Segment | tuple[str, str]]:
        """Yield each segment, or (name, what is wrong) where its record is damaged."""
        found: dict[str, Segment | tuple[str, str]] = {}
        for name in self.segment_names():
            try:
                found[name] = self.segment(name)
            except DamagedRecord as error:
                found[name] = (name, str(error))
            except FileNotFoundError:
                continue  # another process has just merged it into a larger one
        replaced = {name for one in found.values() if isinstance(one, Segment) for name in one.replaces}
        yield from (one for name, one in found.items() if name not in replaced)

    def segment_names(self) -> list[str]:
        """Return the names of the segments that are committed, in the order in which they were begun."""
        try:
            names = os.listdir(self.root / RECORDS)
        except (FileNotFoundError, NotADirectoryError):
            return []
        found = (name.removesuffix(".json") for name in names if name.endswith(".json"))
        return sorted(name for name in found if NAME.fullmatch(name))

    def segment(self, name: str) -> Segment:
        """Return a segment; raise as `read_segment` does."""
        # A record is replaced when jobs are withdrawn, and otherwise never changed.
        facts = record_path(self.root, name).stat()
        now = (facts.st_ino, facts.st_mtime_ns, facts.st_size)
        before, segment = self._read.get(name, (None, None))
        if segment is None or before != now:
            segment = read_segment(self.root, name)
            self._read[name] = (now, segment)
        return segment

    def landed_keys(self) -> set[str]:
        """Return the keys of the jobs that have landed, by their records alone."""
        keys = first_layout.landed_keys(self.root)
        for segment in self.segments():
            keys.update(segment.jobs)
        return keys

    def failed_keys(self) -> set[str]:
        """Return the keys of the jobs that failed and have not landed since."""
        failed = first_layout.failed_keys(self.root)
        for segment in self.segments():
            failed.update(segment.failed)
        return failed - self.landed_keys() if failed else failed

    def failures(self, keys: Collection[str]) -> dict[str, dict[str, Any]]:
        """Return the last record (columns of `raw.jobs`) of each of some failed jobs, where it can be read."""
        files = self._sound_files(one for one in self.segments() if not set(keys).isdisjoint(one.failed))
        files += first_layout.failure_files(self.root, keys)
        wanted = pl.col("job_key").is_in(list(keys)) & (pl.col("state") == "failed")
        return {record["job_key"]: record for record in self._records(files, wanted)}

    def latest_by_label(self, labels: Collection[tuple[str, str]]) -> dict[tuple[str, str], dict[str, Any]]:
        """Return the record of the job that landed last under each (plugin, label), where there is one to read."""
        if not labels:
            return {}
        files = self._sound_files(one for one in self.segments() if one.jobs)
        files += first_layout.landed_files(self.root)
        wanted = pl.col("label").is_in(list({label for _, label in labels})) & (pl.col("state") == "landed")
        latest = {}
        for record in self._records(files, wanted):
            latest[record["plugin"], record["label"]] = record
        return latest

    def _sound_files(self, segments: Iterable[Segment]) -> list[Path]:
        """Return the `jobs` files of some segments, without those that are damaged: they only tell why a job runs."""
        return [one.path(self.root, JOBS) for one in segments if not one.damaged_tables(self.root, [JOBS])]

    def _records(self, files: Iterable[Path], wanted: pl.Expr) -> list[dict[str, Any]]:
        """Return rows of `jobs` files, the oldest first, without what cannot be read."""
        records: list[dict[str, Any]] = []
        for file in files:
            try:
                records += read_frame(file, JOBS).filter(wanted).to_dicts()
            except UnreadableFile:
                continue
        return sorted(records, key=lambda record: record["finished_at"] or datetime.min)

    def withdraw(self, job_keys: Collection[str]) -> None:
        """Take back jobs wherever they have landed or failed: they run again."""
        keys = set(job_keys)
        for segment in self.segments():
            if not (keys.isdisjoint(segment.jobs) and keys.isdisjoint(segment.failed)):
                self._replace(segment, segment.without(keys))
        first_layout.withdraw(self.root, keys)

    def withdraw_damaged(self, segment: Segment, tables: Collection[str]) -> list[Damage]:
        """Withdraw the jobs of a segment that have rows in damaged files of some tables; return what was found."""
        found = []
        for table, reason in segment.damaged_tables(self.root, tables).items():
            concerned = tuple(key for key, rows in segment.jobs.items() if table == JOBS or table in rows)
            found.append(Damage(segment.path(self.root, table), reason, concerned))
        if found:
            lost = {key for damage in found for key in damage.job_keys}
            if any(damage.file == segment.path(self.root, JOBS) for damage in found):
                lost.update(segment.failed)
            self._replace(segment, segment.without(lost))
        return found

    def withdraw_damaged_records(self) -> list[Damage]:
        """Withdraw the segments whose records are damaged, and with them all their jobs; return what was found."""
        found = []
        for one in list(self._all_segments()):
            if not isinstance(one, Segment):
                name, reason = one
                found.append(Damage(record_path(self.root, name), reason, self._named_jobs(name)))
                remove(self.root, name)
        return found

    def _named_jobs(self, name: str) -> tuple[str, ...]:
        """Return the keys that a segment's `jobs` file names, where it can be read."""
        try:
            return tuple(read_frame(self.root / JOBS / f"{name}.parquet", JOBS)["job_key"])
        except UnreadableFile:
            return ()

    def _replace(self, segment: Segment, remaining: Segment) -> None:
        if not (remaining.jobs or remaining.failed):
            segment.remove(self.root)
            return
        remaining.commit(self.root)
        for table in segment.files.keys() - remaining.files.keys():
            segment.path(self.root, table).unlink(missing_ok=True)

    def adopt(self) -> list[Damage]:
        """Turn what lies here in the first layout into segments; return what was damaged there and is withdrawn."""
        return first_layout.adopt(self.root, {key for segment in self.segments() for key in segment.jobs})

    def sweep(self) -> None:
        """Remove what a killed run left: call it while no run is writing."""
        for leftover in self.root.glob(f"*/.*{TEMPORARY}"):
            leftover.unlink(missing_ok=True)
        for segment in self.segments():
            for name in segment.replaces:
                remove(self.root, name)
        committed = set(self.segment_names())
        for file in self.root.glob("*/*.parquet"):
            if NAME.fullmatch(file.stem) and file.stem not in committed:
                file.unlink(missing_ok=True)
