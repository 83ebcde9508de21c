"""What the pending jobs of a plan will take: time, memory and disk, by plugin."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from compute.engine.durations import Durations
from compute.engine.plan import Plan
from compute.engine.runner import Batch
from compute.engine.work import Work, make_batches


@dataclass
class Share:
    """What the pending jobs of one plugin will take.

    Attributes:
        plugin: its name.
        jobs: pending.
        unknown: of these, jobs of which nothing like them was measured; they are in none of the sums.
        seconds: of work, whichever worker does it.
        cpu_seconds: of these, what processes compute; None where that was not measured.
        spread_seconds: by which the sum may well be more or less: visits of the same work differed by as much.
        seconds_without_spread: of the sum, where too few visits ran to tell how much they differ.
        beyond_seconds: of the sum, jobs more than twice as large as any measured, or less than half as small.
        peak_memory_bytes: the most a process took.
        artifact_bytes: left on the disk.
        rows: landed.
    """

    plugin: str
    jobs: int = 0
    unknown: int = 0
    seconds: float = 0.0
    cpu_seconds: float | None = 0.0
    spread_seconds: float = 0.0
    seconds_without_spread: float = 0.0
    beyond_seconds: float = 0.0
    peak_memory_bytes: int = 0
    artifact_bytes: float = 0.0
    rows: float = 0.0

    def add(self, other: Share) -> None:
        """Take in what others will take; of memory, the most."""
        self.jobs += other.jobs
        self.unknown += other.unknown
        self.seconds += other.seconds
        self.cpu_seconds = _both(self.cpu_seconds, other.cpu_seconds)
        self.spread_seconds += other.spread_seconds
        self.seconds_without_spread += other.seconds_without_spread
        self.beyond_seconds += other.beyond_seconds
        self.peak_memory_bytes = max(self.peak_memory_bytes, other.peak_memory_bytes)
        self.artifact_bytes += other.artifact_bytes
        self.rows += other.rows


_LARGER = 2.0


@dataclass(frozen=True)
class Estimate:
    """What a plan will take on so many workers.

    Attributes:
        workers: at once.
        shares: by plugin, in planning order.
        span_seconds: from the start to the end, waiting for inputs and for free workers included.
        undisturbed_seconds: likewise, were the cores theirs alone; None where that was not measured.
        landed_jobs: done already.
        landed_seconds: what these would take, were they not.
    """

    workers: int
    shares: Sequence[Share]
    span_seconds: float
    undisturbed_seconds: float | None
    landed_jobs: int
    landed_seconds: float

    @property
    def whole(self) -> Share:
        """Return the sum over plugins; of memory, the most."""
        whole = Share("all")
        for share in self.shares:
            whole.add(share)
        return whole


def estimate(plan: Plan, durations: Durations, workers: int, start_seconds: float = 0.0) -> Estimate:
    """Return what the pending jobs of a plan will take.

    Args:
        plan: of a study.
        durations: of the device that they will run on.
        workers: processes that run at once.
        start_seconds: that a worker takes to start.
    """
    shares: dict[str, Share] = {}
    seconds: dict[str, float] = {}
    computing: dict[str, float] = {}
    for key in plan.pending:
        job = plan.jobs[key]
        share = shares.setdefault(job.plugin, Share(job.plugin))
        expected = durations.expected(job)
        if expected is None:
            share.add(Share(job.plugin, jobs=1, unknown=1))
            continue
        seconds[key] = expected.seconds
        computing[key] = expected.cpu_seconds or 0.0
        own = Share(
            job.plugin,
            jobs=1,
            seconds=expected.seconds,
            cpu_seconds=expected.cpu_seconds,
            spread_seconds=(expected.spread or 0.0) * expected.seconds,
            seconds_without_spread=expected.seconds if expected.spread is None else 0.0,
            beyond_seconds=expected.seconds if expected.beyond > _LARGER else 0.0,
            peak_memory_bytes=expected.peak_memory_bytes,
            artifact_bytes=expected.artifact_bytes,
            rows=expected.rows,
        )
        share.add(own)
    batches = make_batches(plan.pending_jobs, {})
    for share in shares.values():
        visits = [batch for batch in batches if batch.jobs[0].plugin == share.plugin]
        first = durations.first_seconds(share.plugin)
        processes = min(workers, len(visits))
        share.seconds += first[0] * processes
        share.cpu_seconds = _both(share.cpu_seconds, first[1] * processes)
        for batch in visits[:processes]:
            for known, more in zip((seconds, computing), first, strict=True):
                known[batch.jobs[0].key] = known.get(batch.jobs[0].key, 0.0) + more
    is_told = all(share.cpu_seconds is not None for share in shares.values())
    landed = [job for key, job in plan.jobs.items() if key not in plan.pending]
    return Estimate(
        workers,
        list(shares.values()),
        span(batches, seconds, workers, start_seconds),
        span(batches, computing, workers) if is_told else None,
        len(landed),
        sum(durations.expected_seconds(job) or 0.0 for job in landed),
    )


def span(batches: Sequence[Batch], seconds: Mapping[str, float], workers: int, start_seconds: float = 0.0) -> float:
    """Return the seconds from the first start to the last end of batches, each of which waits for those it reads.

    Free workers take batches in the order in which a run of this plan does.

    Args:
        batches: in plan order.
        seconds: by job key; jobs that are not there take none.
        workers: at once.
        start_seconds: after which a worker begins.
    """
    work = Work(batches)
    idle = [start_seconds if batches else 0.0] * workers
    running: list[tuple[float, str]] = []
    now = 0.0
    while True:
        while idle and (batch := work.next_ready()) is not None:
            takes = sum(seconds.get(job.key, 0.0) for job in batch.jobs)
            heapq.heappush(running, (max(now, heapq.heappop(idle)) + takes, batch.name))
        if not running:
            return now
        now, name = heapq.heappop(running)
        heapq.heappush(idle, now)
        for job in work.left_of(name).jobs:
            work.land(job.key)
        work.finish(name)


def _both(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one + other
