"""Works a plan off: forms batches, submits each when its inputs have landed, and keeps the score."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from compute.engine.executors import Executor
from compute.engine.plan import Plan
from compute.engine.runner import Batch, Event
from compute.plugin import Job
from compute.store.landing import Landing


@dataclass
class Summary:
    """What became of the pending jobs."""

    landed: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    """One line per failed job: label and reason."""
    blocked: list[Job] = field(default_factory=list)
    """Jobs not run because an input failed."""

    @property
    def complete(self) -> bool:
        return not (self.failures or self.blocked)


def make_batches(jobs: Iterable[Job], attempts: dict[str, int]) -> list[Batch]:
    """Group jobs by plugin and batch label, in plan order."""
    groups: dict[tuple[str, str], list[Job]] = {}
    for job in jobs:
        groups.setdefault((job.plugin, job.batch or job.label), []).append(job)
    return [
        Batch(f"{plugin} {label}".strip(), tuple(group), {job.key: attempts.get(job.key, 0) for job in group})
        for (plugin, label), group in groups.items()
    ]


def execute(plan: Plan, executor: Executor, landing: Landing, listen: Callable[[Event], None]) -> Summary:
    """Run the pending jobs of a plan; every event is passed to `listen`.

    A batch waits until the jobs that its own read from other batches have landed; of those that may run, the one
    with the most work behind it goes first. Jobs whose inputs failed are dropped and counted as blocked; the rest of
    their batch runs.
    """
    failed_before = landing.failures(landing.failed_keys() & set(plan.pending))
    attempts = {key: record["attempts"] for key, record in failed_before.items()}
    waiting = make_batches(plan.pending_jobs, attempts)
    unlanded = set(plan.pending)
    lost: set[str] = set()
    summary = Summary()

    def release() -> None:
        nonlocal waiting
        ready: list[Batch] = []
        still_waiting: list[Batch] = []
        for batch in waiting:
            batch, blocked = _without_blocked(batch, lost)
            summary.blocked.extend(blocked)
            if batch.jobs:
                (still_waiting if _needs(batch) & unlanded - lost else ready).append(batch)
        for batch in sorted(ready, key=lambda batch: -_work_behind(batch, still_waiting)):
            executor.submit(batch)
        waiting = still_waiting

    release()
    for event in executor.events():
        if event.kind == "landed":
            unlanded.discard(event.job_key)
            summary.landed.append(event.job_key)
        elif event.kind == "failed":
            lost.add(event.job_key)
            summary.failures.append(event.text)
        listen(event)
        if event.kind == "finished":
            release()
    unheard_of = unlanded - lost
    summary.blocked.extend(job for job in plan.pending_jobs if job.key in unheard_of)
    return summary


def _needs(batch: Batch) -> set[str]:
    """Keys of jobs of other batches that this one reads."""
    return {key for job in batch.jobs for key in job.inputs.values()} - {job.key for job in batch.jobs}


def _work_behind(batch: Batch, waiting: Iterable[Batch]) -> float:
    """Cost of a batch and of those that wait for it."""
    own = {job.key for job in batch.jobs}
    return batch.cost + sum(other.cost for other in waiting if own & _needs(other))


def _without_blocked(batch: Batch, lost: set[str]) -> tuple[Batch, list[Job]]:
    """The batch without jobs that read a lost one, directly or through each other; `lost` grows by them."""
    blocked = []
    for job in batch.jobs:  # plan order: inputs first
        if lost.intersection(job.inputs.values()):
            lost.add(job.key)
            blocked.append(job)
    kept = tuple(job for job in batch.jobs if job.key not in lost)
    return Batch(batch.name, kept, batch.attempts), blocked
