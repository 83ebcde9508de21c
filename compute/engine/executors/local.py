"""Worker processes on this machine. A worker that dies takes only its batch with it."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Self

from compute.engine.devices import visible_gpus
from compute.engine.runner import Batch, Event, Workplace, fail_batch, limit_threads, run_batch
from compute.errors import DeviceLost, JobError
from compute.orphans import end_with

_SECONDS_TO_END = 5.0
_SECONDS_BETWEEN_WORDS = 2.0
"""While nothing happens."""

_VISIBLE = "CUDA_VISIBLE_DEVICES"


@dataclass
class _Worker:
    process: BaseProcess
    connection: Connection
    place: int
    """The worker's own number from 0: it decides which GPU it sees."""
    batch: Batch | None = None
    settled: set[str] | None = None
    lost: str = ""
    """Why it said that it would end."""


class LocalExecutor:
    """Runs batches in `workers` processes of this machine, each kept for one batch after another.

    On a machine with several GPUs each worker sees one of them, in turn.
    """

    def __init__(self, workplace: Workplace, workers: int) -> None:
        self.workplace = workplace
        self.workers = workers
        self._gpus = visible_gpus() if workplace.device == "cuda" else []
        self._queue: deque[Batch] = deque()
        self._pool: list[_Worker] = []
        # Spawn: a forked child would share the threads and locks of whatever the parent has imported.
        self._processes = multiprocessing.get_context("spawn")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        for worker in self._pool:
            worker.connection.close()  # an idle worker ends by itself
            if worker.batch is not None:
                worker.process.kill()
            worker.process.join(_SECONDS_TO_END)
            worker.process.kill()

    def submit(self, batch: Batch) -> None:
        self._queue.append(batch)

    def events(self) -> Iterator[Event]:
        while True:
            self._assign()
            busy = [worker for worker in self._pool if worker.batch is not None]
            if not busy:
                return
            heard = wait([worker.connection for worker in busy], _SECONDS_BETWEEN_WORDS)
            if not heard:
                yield Event("waiting", "")
            for ready in heard:
                worker = next(worker for worker in busy if worker.connection is ready)
                yield from self._receive(worker)

    def _assign(self) -> None:
        for gone in [worker for worker in self._pool if worker.batch is None and not worker.process.is_alive()]:
            self._remove(gone)  # it ended while it was idle, and no batch with it
        while self._queue:
            worker = next((worker for worker in self._pool if worker.batch is None), None)
            if worker is None:
                if len(self._pool) >= self.workers:
                    return
                worker = self._start()
            worker.batch, worker.settled = self._queue.popleft(), set()
            with suppress(OSError):  # it has just ended: its connection says so, and the batch fails by that
                worker.connection.send(worker.batch)

    def _start(self) -> _Worker:
        limit_threads(self.workplace.threads)  # inherited: a worker's libraries read it when they are imported
        taken = {worker.place for worker in self._pool}
        place = next(place for place in range(self.workers) if place not in taken)
        ours, theirs = self._processes.Pipe()
        process = self._processes.Process(target=_serve, args=(theirs, self.workplace, os.getpid()), daemon=True)
        with _seeing_one(self._gpus, place):
            process.start()
        theirs.close()
        worker = _Worker(process, ours, place)
        self._pool.append(worker)
        return worker

    def _receive(self, worker: _Worker) -> Iterator[Event]:
        assert worker.batch is not None and worker.settled is not None
        try:
            event: Event = worker.connection.recv()
        except (EOFError, OSError):
            yield from self._fail_left(worker)
            return
        if event.kind == "lost":
            worker.lost = event.text  # the end of the connection follows
            return
        if event.job_key:
            worker.settled.add(event.job_key)
        if event.kind == "finished":
            worker.batch = None
        yield event

    def _fail_left(self, worker: _Worker) -> Iterator[Event]:
        """The process is gone: fail what it had not settled; another worker takes the next batch."""
        assert worker.batch is not None and worker.settled is not None
        self._remove(worker)
        batch = worker.batch
        left = Batch(batch.name, tuple(job for job in batch.jobs if job.key not in worker.settled), batch.attempts)
        events: list[Event] = []
        cause = f"the GPU failed, and the worker process with it: {worker.lost}" if worker.lost else ""
        error = JobError(cause or _cause_of_death(worker.process.exitcode))
        fail_batch(left, error, self.workplace, events.append)
        yield from events

    def _remove(self, worker: _Worker) -> None:
        worker.process.join()
        worker.connection.close()
        self._pool.remove(worker)


@contextmanager
def _seeing_one(gpus: Sequence[str], place: int) -> Iterator[None]:
    """Within the block a child process inherits an environment in which it sees one of `gpus` (if there are any)."""
    before = os.environ.get(_VISIBLE)
    if gpus:
        os.environ[_VISIBLE] = gpus[place % len(gpus)]
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(_VISIBLE, None)
        else:
            os.environ[_VISIBLE] = before


def _cause_of_death(exit_code: int | None) -> str:
    if exit_code is not None and exit_code < 0:
        name = signal.Signals(-exit_code).name
        hint = " (out of memory?)" if name == "SIGKILL" else ""
        return f"the worker process was ended by {name}{hint}"
    return f"the worker process ended with exit code {exit_code}"


def _serve(connection: Connection, workplace: Workplace, parent: int) -> None:
    """A worker's life: one batch after another, until the parent closes the connection."""
    end_with(parent)
    os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
    os.environ["TQDM_DISABLE"] = "1"  # the parent draws the progress
    for told in (signal.SIGINT, signal.SIGTERM):  # are the parent's to handle; schedulers tell every process
        signal.signal(told, signal.SIG_IGN)
    with suppress(EOFError, OSError):
        while True:
            batch: Batch = connection.recv()
            try:
                run_batch(batch, workplace, connection.send)
            except DeviceLost as error:
                connection.send(Event("lost", batch.name, str(error)))
                os._exit(1)  # at once: what would tidy up on the GPU fails too, or hangs
