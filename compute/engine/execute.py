"""Works a plan off: submits each batch when its inputs have landed, shares with other runs, and keeps the score."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from compute.engine.executors import Executor
from compute.engine.plan import Plan
from compute.engine.runner import Batch, Event, Workplace, fail_batch
from compute.engine.work import WHOLE, Part, Work, make_batches
from compute.errors import JobError
from compute.plugin import Job
from compute.store.landing import Landing
from compute.store.runs import Claim, Run, claims
from compute.store.watch import Watch

SECONDS_BETWEEN_LOOKS = 2.0
"""At what other runs have landed."""

_MOST_LOST = 3
"""So many runs may vanish over a batch, one after the other and without a job of it landing."""


@dataclass
class Summary:
    """What became of the pending jobs."""

    landed: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    """One line per failed job: label and reason."""
    blocked: list[Job] = field(default_factory=list)
    """Jobs not run because an input failed."""
    left: int = 0
    """Jobs left to other runs."""

    @property
    def complete(self) -> bool:
        return not (self.failures or self.blocked)


@dataclass(frozen=True)
class Sharing:
    """How a run shares the work with others.

    Attributes:
        run: that claims batches.
        workplace: where batches run.
        most: batches that it claims at once, as many as it has workers.
        part: its share; it helps with the others' when that is done.
        since: failures from then on (UTC) are not tried again; before it, once more.
        patience: seconds that it waits for others with nothing to do.
    """

    run: Run
    workplace: Workplace
    most: int
    part: Part = WHOLE
    since: datetime = field(default_factory=lambda: datetime.now(UTC))
    patience: float = float("inf")


def execute(
    plan: Plan,
    executor: Executor,
    landing: Landing,
    listen: Callable[[Event], None],
    sharing: Sharing | None = None,
) -> Summary:
    """Run the pending jobs of a plan; every event is passed to `listen`.

    A batch waits until the jobs that its own read from other batches have landed. Jobs whose inputs failed are dropped
    and counted as blocked; the rest of their batch runs. With `sharing` a batch is claimed before it is submitted, and
    those that other runs have claimed are waited for; without it everything that is ready is submitted at once.
    """
    failed_before = landing.failures(landing.failed_keys() & set(plan.pending))
    attempts = {key: record["attempts"] for key, record in failed_before.items()}
    batches = make_batches(plan.pending_jobs, attempts)
    if sharing is None:
        return _Execution(Work(batches), executor, landing, listen).run()
    return _SharedExecution(Work(batches, sharing.part.of), executor, landing, listen, sharing).run()


class _Execution:
    """Submits all that is ready."""

    def __init__(self, work: Work, executor: Executor, landing: Landing, listen: Callable[[Event], None]) -> None:
        self.work, self.executor, self.landing, self.listen = work, executor, landing, listen
        self.jobs = {job.key: job for batch in work.batches for job in batch.jobs}
        self.summary = Summary()

    def run(self) -> Summary:
        self.submit()
        for event in self.executor.events():
            self.hear(event)
        return self.end()

    def submit(self) -> None:
        while (batch := self.work.next_ready()) is not None:
            self.executor.submit(batch)

    def hear(self, event: Event) -> None:
        """Take in what happened here."""
        if event.kind in ("landed", "failed"):
            self.settle(event)
            self.submit()
            return
        self.listen(event)
        if event.kind == "finished":
            self.work.finish(event.batch)
            self.submit()

    def settle(self, event: Event) -> None:
        """Count what became of a job, if it is news."""
        if event.kind == "landed" and self.work.land(event.job_key):
            self.summary.landed.append(event.job_key)
            self.listen(event)
        elif event.kind == "failed" and self.work.fail(event.job_key):
            self.summary.failures.append(event.text)
            self.listen(event)
            self.summary.blocked.extend(self.work.block(event.job_key))

    def end(self) -> Summary:
        blocked = self.work.unsettled.union(job.key for job in self.summary.blocked)
        self.summary.blocked = [job for key, job in self.jobs.items() if key in blocked]
        return self.summary


class _SharedExecution(_Execution):
    """Claims what it submits, and no more than it has workers for."""

    def __init__(
        self,
        work: Work,
        executor: Executor,
        landing: Landing,
        listen: Callable[[Event], None],
        sharing: Sharing,
    ) -> None:
        super().__init__(work, executor, landing, listen)
        self.sharing, self.claimed = sharing, sharing.run
        self.artifacts = sharing.workplace.artifact_store
        self.watch = Watch(landing, sharing.since)
        self.begun: set[str] = set()
        self.elsewhere: set[str] = set()
        """Batches that other runs have claimed."""
        self.looked = float("-inf")

    def run(self) -> Summary:
        idle_since = time.monotonic()
        self.look()
        self.submit()
        while True:
            for event in self.executor.events():
                self.hear(event)
                if time.monotonic() - self.looked >= SECONDS_BETWEEN_LOOKS:
                    self.look()
                    self.submit()
                idle_since = time.monotonic()
            if not self.elsewhere:
                return self.end()
            if time.monotonic() - idle_since >= self.sharing.patience:
                self.summary.left = len(self.work.unsettled)
                return self.summary
            time.sleep(SECONDS_BETWEEN_LOOKS)
            self.look()
            self.submit()

    def hear(self, event: Event) -> None:
        if event.kind == "progress":
            self.claimed.progress[event.batch] = (event.text, event.fraction)
        if event.kind == "finished":
            self.begun.discard(event.batch)
            self.claimed.release(event.batch)
        super().hear(event)

    def submit(self) -> None:
        while (
            len(self.begun) < self.sharing.most
            and (batch := self.work.next_ready(self.sharing.part.number)) is not None
        ):
            claim = self.claimed.take(batch.name, len(batch.jobs))
            if claim is None:
                self.work.set_aside(batch.name)
                self.elsewhere.add(batch.name)
                continue
            self.take_news()  # the run that had it may have finished it since the last look
            self.begin(self.work.left_of(batch.name), claim)

    def begin(self, batch: Batch, claim: Claim) -> None:
        if not batch.jobs:
            self.work.finish(batch.name)
            self.claimed.release(batch.name)
        elif len(claim.lost) >= _MOST_LOST:
            error = JobError(
                f"{len(claim.lost)} runs ended while they computed it, the last of them {claim.lost[-1]}: too little "
                "memory, or longer than the time limit?"
            )
            events: list[Event] = []
            fail_batch(batch, error, self.sharing.workplace, events.append)
            for event in events:
                self.hear(event)
        else:
            self.begun.add(batch.name)
            self.executor.submit(batch)

    def look(self) -> None:
        """See what other runs have landed, and which claims of theirs are gone or void."""
        self.take_news()
        self.looked = time.monotonic()
        if not self.elsewhere:
            return
        there = claims(self.landing.root)
        living = {run for run in {claim.run for claim in there.values()} if self.claimed.is_living(run)}
        for name in list(self.elsewhere):
            done = not self.work.left_of(name).jobs
            if done or name not in there or there[name].run not in living:
                self.elsewhere.discard(name)
                self.work.take_back(name)

    def take_news(self) -> None:
        news = self.watch.news()
        for key in news.landed:
            if key in self.work.unsettled and self._is_there(self.jobs[key]):
                self.settle(Event("landed", self.batch_of(key), self.jobs[key].label, job_key=key))
        failed = [key for key in news.failed if key in self.work.unsettled and not self._is_here(key)]
        if failed:
            self._settle_failed(failed)
        touched = {self.batch_of(key) for key in (*news.landed, *failed) if key in self.jobs}
        for name in touched - self.begun:
            if not self.work.left_of(name).jobs:
                self.listen(Event("finished", name))

    def _is_there(self, job: Job) -> bool:
        """Return whether what a job that has landed leaves is there: if it is gone, the job is to run again."""
        return not job.leaves_artifact or self.artifacts.has(job.key)

    def _is_here(self, key: str) -> bool:
        """Return whether a job is computed here: its own event tells of it."""
        return self.batch_of(key) in self.begun

    def batch_of(self, key: str) -> str:
        """Return the name of the batch that a job is in."""
        return self.work.batch_of(key).name

    def _settle_failed(self, keys: Sequence[str]) -> None:
        records = self.landing.failures(keys)
        for key in keys:
            error = records[key]["error"] if key in records else "no reason is recorded"
            self.settle(Event("failed", self.batch_of(key), f"{self.jobs[key].label}: {error}", job_key=key))
