"""The landing's first layout, one Parquet file a job and table: read, and turned into segments.

`<root>/<table>/<job_key>.parquet` holds a job's rows, `<root>/jobs/<job_key>.parquet` commits it, and a failure leaves
`<root>/failures/<job_key>.parquet`.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from compute.store.frames import UnreadableFile, read_frame
from compute.store.raw_schema import BOOKKEEPING_TABLES, TABLES
from compute.store.segments import JOBS, Damage, OpenSegment

_FAILURES = "failures"
_JOBS_A_SEGMENT = 250
_KEY = re.compile(r"[0-9a-f]{64}")


def landed_keys(root: Path) -> set[str]:
    """Return the keys of the jobs whose commit mark is there."""
    return _keys(root / JOBS)


def failed_keys(root: Path) -> set[str]:
    """Return the keys of the jobs that left a failure."""
    return _keys(root / _FAILURES)


def landed_files(root: Path) -> list[Path]:
    """Return the files of what `raw.jobs` says of the jobs that landed."""
    return [root / JOBS / f"{key}.parquet" for key in sorted(landed_keys(root))]


def failure_files(root: Path, keys: Collection[str]) -> list[Path]:
    """Return those of some failed jobs."""
    return [root / _FAILURES / f"{key}.parquet" for key in sorted(failed_keys(root).intersection(keys))]


def withdraw(root: Path, keys: Collection[str]) -> None:
    """Take back jobs, commit marks first, and remove their rows."""
    for folder in (JOBS, _FAILURES, *(TABLES.keys() - set(BOOKKEEPING_TABLES))):
        _remove(root, folder, _keys(root / folder).intersection(keys))


def _keys(folder: Path) -> set[str]:
    try:
        names = os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return set()
    return {name.removesuffix(".parquet") for name in names if _KEY.fullmatch(name.removesuffix(".parquet"))}


def adopt(root: Path, landed: Collection[str]) -> list[Damage]:
    """Turn what has landed in the first layout into segments, and return what was damaged and is withdrawn.

    A run killed on the way leaves jobs in both layouts, and the next goes on; `landed` are those in segments already.

    Raises OSError when the disk refuses.
    """
    damaged: list[Damage] = []
    keys, failed = sorted(landed_keys(root)), sorted(failed_keys(root))
    for group in _groups(keys):
        segment = OpenSegment(root)
        for key in group:
            if key not in landed and (found := _add(segment, root, key)) is not None:
                damaged.append(found)
        segment.commit()
        _remove(root, JOBS, group)
        for table in TABLES.keys() - set(BOOKKEEPING_TABLES):
            _remove(root, table, group)
    for group in _groups(failed):
        segment = OpenSegment(root)
        for key in group:
            if key not in landed and key not in keys:
                _add_failure(segment, root, key)
        segment.commit()
        _remove(root, _FAILURES, group)
    return damaged


def _groups(keys: Sequence[str]) -> list[Sequence[str]]:
    return [keys[start : start + _JOBS_A_SEGMENT] for start in range(0, len(keys), _JOBS_A_SEGMENT)]


def _add(segment: OpenSegment, root: Path, key: str) -> Damage | None:
    """Add a job to a segment, or return which of its files is damaged."""
    file = root / JOBS / f"{key}.parquet"
    try:
        record = _record(file)
        frames = {}
        for table, rows in json.loads(record.pop("rows")).items():
            file = root / table / f"{key}.parquet"
            frames[table] = read_frame(file, table)
            if frames[table].height != rows:
                return Damage(file, f"it has {frames[table].height} rows, and {rows} landed", (key,))
    except (UnreadableFile, ValueError, KeyError) as error:
        return Damage(file, f"it cannot be read: {error}", (key,))
    segment.add_frames(key, frames, record)
    return None


def _add_failure(segment: OpenSegment, root: Path, key: str) -> None:
    try:
        segment.add_failure(key, _record(root / _FAILURES / f"{key}.parquet"))
    except UnreadableFile:
        return  # it said only why the job runs again


def _record(file: Path) -> dict[str, Any]:
    frame = read_frame(file, JOBS)
    if frame.height != 1:
        raise UnreadableFile(f"it has {frame.height} rows, expected 1")
    return frame.to_dicts()[0]


def _remove(root: Path, folder: str, keys: Collection[str]) -> None:
    for key in keys:
        (root / folder / f"{key}.parquet").unlink(missing_ok=True)
