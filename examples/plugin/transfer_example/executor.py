"""An executor: batches run one after the other, in the process that plans. For a debugger."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Self

from compute.engine.runner import Batch, Event, Workplace, fail_batch, run_batch
from compute.errors import DeviceLost, JobError


class SerialExecutor:
    """Runs a batch whenever the next event is asked for."""

    def __init__(self, workplace: Workplace, workers: int) -> None:
        self.workplace = workplace
        self._queue: deque[Batch] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._queue.clear()

    def submit(self, batch: Batch) -> None:
        self._queue.append(batch)

    def events(self) -> Iterator[Event]:
        while self._queue:
            events: list[Event] = []
            batch = self._queue.popleft()
            try:
                run_batch(batch, self.workplace, events.append)
            except DeviceLost as error:
                settled = {event.job_key for event in events}
                left = tuple(job for job in batch.jobs if job.key not in settled)
                fail_batch(Batch(batch.name, left, batch.attempts), JobError(str(error)), self.workplace, events.append)
            yield from events
