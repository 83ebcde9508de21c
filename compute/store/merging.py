"""Many small segments -> few larger ones: a visit leaves a segment, and a study has thousands of visits.

A merged segment names those that it replaces, whose records no longer count from then on, whether or not a killed run
left them there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import polars as pl

from compute.store.frames import read_frame
from compute.store.landing import Landing
from compute.store.segments import JOBS, OpenSegment, Segment, remove, write_segment

_JOBS_A_SEGMENT = 250
"""A segment of as many is large: one damaged file costs no more of them."""

_ROWS_A_SEGMENT = 250_000
_SMALL_SEGMENTS = 32
"""So many small ones stay as they are: merging a few after every run would write the same rows again and again."""


def merge_small(landing: Landing) -> None:
    """Merge the landing's small segments where there are many, and write those anew that have rows of withdrawn jobs;
    call it while nobody else is writing.

    Segments with damaged files are left alone: a load that needs them tells of them.

    Raises OSError when the disk refuses; nothing that has landed is lost then.
    """
    segments = landing.segments()
    small = [one for one in segments if not _is_large([one])]
    groups = list(_groups(small)) if len(small) >= _SMALL_SEGMENTS else []
    grouped = {one.name for group in groups for one in group}
    groups += [[one] for one in segments if one.name not in grouped and _has_withdrawn_rows(one)]
    landed = landing.landed_keys()
    for group in groups:
        sound = [one for one in group if not one.damaged_tables(landing.root, one.files)]
        if len(sound) > 1 or any(map(_has_withdrawn_rows, sound)):
            _merge(landing, sound, landed)


def _has_withdrawn_rows(segment: Segment) -> bool:
    expected = Counter({JOBS: len(segment.jobs) + len(segment.failed)})
    for rows in segment.jobs.values():
        expected.update(rows)
    return any(file.rows > expected[table] for table, file in segment.files.items())


def _is_large(segments: Sequence[Segment]) -> bool:
    jobs = sum(len(one.jobs) + len(one.failed) for one in segments)
    rows = sum(file.rows for one in segments for file in one.files.values())
    return jobs >= _JOBS_A_SEGMENT or rows >= _ROWS_A_SEGMENT


def _groups(small: Sequence[Segment]) -> Iterator[list[Segment]]:
    group: list[Segment] = []
    for segment in small:
        group.append(segment)
        if _is_large(group):
            yield group
            group = []
    yield group


def _merge(landing: Landing, segments: Sequence[Segment], landed: set[str]) -> None:
    """Write one segment in the place of some, without failures of jobs that have landed since."""
    jobs: dict[str, Mapping[str, int]] = {}
    failed = sorted({key for one in segments for key in one.failed} - landed)
    frames: dict[str, list[pl.DataFrame]] = {}
    for one in segments:
        mine = [key for key in one.jobs if key not in jobs]
        jobs.update((key, one.jobs[key]) for key in mine)
        for table in one.files:
            frame = read_frame(one.path(landing.root, table), table)
            wanted = pl.col("job_key").is_in(mine)
            if table == JOBS:
                wanted = (wanted & (pl.col("state") == "landed")) | (
                    pl.col("job_key").is_in(failed) & (pl.col("state") == "failed")
                )
            frames.setdefault(table, []).append(frame.filter(wanted))
    name = OpenSegment(landing.root).name
    whole = {table: pl.concat(some) for table, some in frames.items()}
    whole[JOBS] = whole[JOBS].unique("job_key", keep="last", maintain_order=True)  # of its failures the last
    write_segment(landing.root, name, whole, jobs, failed, [one.name for one in segments])
    for one in segments:
        remove(landing.root, one.name)
