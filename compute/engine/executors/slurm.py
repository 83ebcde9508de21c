"""Slurm: array tasks that are runs of this project themselves, `transfer compute --part i/n`.

The run that submits them computes nothing. It looks at what lands, and has as many tasks queued as there are GPUs to
use and batches to compute. The tasks share the work by claims (`compute.store.runs`) and need it no more: when it
dies they go on, and the next run finds them in the queue by their name.
"""

from __future__ import annotations

import hashlib
import shlex
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from compute.engine.executors.cluster import CLUSTER, Cluster, read_cluster
from compute.engine.executors.slurm_commands import Slurm, SlurmError, Task
from compute.engine.runner import Batch, Event, Workplace
from compute.errors import UserError
from compute.plugin import Job
from compute.store.landing import Landing
from compute.store.lock import exclusive
from compute.store.watch import Watch

LOGS = "slurm"
"""In the landing directory: what tasks print, and the lock under which is submitted."""

_SECONDS_BETWEEN_LOOKS = 1.0
MOST_SECONDS_BETWEEN_QUESTIONS = 30.0
"""squeue burdens the controller of a whole cluster."""

_SECONDS_TO_WAIT_FOR_ANOTHER = 600.0
"""That submits just now, to a controller that may be slow to answer."""

_SECONDS_BEFORE_RESUBMITTING = 5.0
_MOST_IN_VAIN = 4
"""Submissions, one after the other, whose tasks all end before anything has landed."""

SECONDS_TO_WAIT_FOR_WORK = 60
"""After so long without work a task gives its GPU back."""


class SlurmExecutor:
    """Keeps up to `workers` array tasks queued for a study."""

    def __init__(self, workplace: Workplace, workers: int | None) -> None:
        self.workplace = workplace
        self.cluster = read_cluster()
        self.most = workers or self.cluster.gpus or 0
        self.slurm = Slurm()
        self.since = datetime.now(UTC)
        self.root = Path.cwd()
        self.unfinished: dict[str, set[str]] = {}
        self._jobs: dict[str, Job] = {}
        self._batches: dict[str, str] = {}
        self._told = ""
        self._in_vain = self._since_landed = 0
        """Submissions after all tasks of the one before had ended, and all of them, since something landed."""
        self._submitted = self._changed = self._asked = float("-inf")

    @property
    def name(self) -> str:
        """By which the study's arrays are found in the queue: of this project and this study only."""
        told = hashlib.sha256(f"{self.workplace.landing.resolve()}\n{self.workplace.study}".encode()).hexdigest()
        stem = "".join(letter if letter.isalnum() else "-" for letter in self.workplace.study.stem)
        return f"transfer-{stem[:32]}-{told[:10]}"

    def __enter__(self) -> Self:
        if not self.most:
            raise UserError(f"--executor slurm: how many GPUs at once? say --gpus N, or `gpus: N` in {CLUSTER}")
        return self

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        if kind is None:
            self.cancel("PENDING")  # nothing is left for them
        elif issubclass(kind, KeyboardInterrupt):
            self.cancel()

    def cancel(self, state: str | None = None) -> None:
        """Cancel what is queued or running, or in one state."""
        try:
            self.slurm.cancel(self.name, state)
        except SlurmError as error:
            raise UserError(f"cannot cancel: {error}") from None

    def queued(self) -> dict[str, str]:
        """Return the state of each task that is queued or running, by its place."""
        try:
            return {task.place: str(task) for task in self.slurm.tasks(self.name)}
        except SlurmError as error:
            raise UserError(str(error)) from None

    def submit(self, batch: Batch) -> None:
        """Count a batch as ready: some task computes it."""
        self.unfinished[batch.name] = {job.key for job in batch.jobs}
        for job in batch.jobs:
            self._jobs[job.key], self._batches[job.key] = job, batch.name

    def events(self) -> Iterator[Event]:
        """Yield what tasks land, until all batches are settled."""
        landing, artifacts = Landing(self.workplace.landing), self.workplace.artifact_store
        watch = Watch(landing, self.since)
        landed: set[str] = set()
        failed: set[str] = set()
        while self.unfinished:
            news = watch.news()
            landed.update(news.landed)
            failed.update(news.failed)
            # Of all that is submitted: tasks may have landed a batch before it was.
            for key in [key for key in self._jobs if key in landed]:
                if not self._jobs[key].leaves_artifact or artifacts.has(key):
                    yield from self._settle(key, "landed")
            lost = [key for key in self._jobs if key in failed]
            for key, record in landing.failures(lost).items() if lost else ():
                yield from self._settle(key, "failed", f": {record['error']}")
            if self.unfinished and time.monotonic() >= self._asked + self._interval():
                yield from self._keep_up()
            if self.unfinished:
                time.sleep(_SECONDS_BETWEEN_LOOKS)

    def _settle(self, key: str, kind: str, why: str = "") -> Iterator[Event]:
        job, batch = self._jobs.pop(key), self._batches.pop(key)
        self._in_vain, self._since_landed, self._changed = 0, 0, time.monotonic()
        yield Event(kind, batch, job.label + why, job_key=key)
        self.unfinished[batch].discard(key)
        if not self.unfinished[batch]:
            del self.unfinished[batch]
            yield Event("finished", batch)

    def _interval(self) -> float:
        """Return seconds between two questions to Slurm: the longer nothing has changed, the more."""
        return min(MOST_SECONDS_BETWEEN_QUESTIONS, max(1.0, 0.1 * (time.monotonic() - self._changed)))

    def _keep_up(self) -> Iterator[Event]:
        """Look at the queue, and submit what it lacks."""
        self._asked = time.monotonic()
        try:
            # Under a lock: two runs that look at once would both submit.
            with exclusive(self.workplace.landing / LOGS, _SECONDS_TO_WAIT_FOR_ANOTHER, lambda text: None):
                queued = self.slurm.tasks(self.name)
                most = min(self.most, self.cluster.max_jobs or self.most, len(self.unfinished))
                if len(queued) < most and self._may_submit(bool(queued)):
                    self._submit_parts(self._missing(queued)[: most - len(queued)], bool(queued))
                    queued = self.slurm.tasks(self.name)
        except SlurmError as error:
            yield Event("noted", LOGS, f"Slurm: {error}; asking again")
            return
        running = sum(task.state == "RUNNING" for task in queued)
        waiting = {task.reason for task in queued if task.state == "PENDING"}
        text = f"{running} tasks running, {len(queued) - running} queued"
        text += f" ({', '.join(sorted(waiting))})" if waiting else ""
        if text != self._told:
            self._told, self._changed = text, time.monotonic()
        yield Event("progress", LOGS, text)

    def _missing(self, queued: Sequence[Task]) -> list[int]:
        """Return the parts that no task has."""
        there = {task.part for task in queued}
        return [part for part in range(1, self.most + 1) if part not in there]

    def _may_submit(self, some_are_queued: bool) -> bool:
        """Return whether to submit now: less and less often if nothing comes of it.

        Raises:
            UserError: nothing has come of it several times.
        """
        if self._in_vain >= _MOST_IN_VAIN and not some_are_queued:
            raise UserError(f"Slurm: {self._in_vain} times all tasks ended before anything landed{self._last_words()}")
        pause = min(600.0, _SECONDS_BEFORE_RESUBMITTING * 2.0 ** min(10, self._since_landed - 1))
        return not self._since_landed or time.monotonic() >= self._submitted + pause

    def _last_words(self) -> str:
        logs = sorted((self.workplace.landing / LOGS).glob("*.log"), key=lambda path: path.stat().st_mtime)
        lines = logs[-1].read_text(encoding="utf-8", errors="replace").split("\n") if logs else []
        said = [line.strip() for line in lines if line.strip()]
        return f"; {logs[-1]} ends: {said[-1]}" if said else ""

    def _submit_parts(self, parts: Sequence[int], some_are_queued: bool) -> None:
        """Submit parts, an array for those that one may have.

        Raises:
            SlurmError: Slurm takes none of them now, and some are queued.
            UserError: Slurm takes none of them, and none is queued.
        """
        self._in_vain += not some_are_queued
        self._since_landed += 1
        self._submitted = time.monotonic()
        size = self.slurm.largest_index
        if size < 1:
            raise UserError("--executor slurm: this cluster has no job arrays (MaxArraySize)")
        for offset in range(0, self.most, size):
            mine = [part - offset for part in parts if 0 < part - offset <= size]
            while mine:
                try:
                    self.slurm.submit(self._options(offset, mine), self._script(offset))
                    some_are_queued = True
                    break
                except SlurmError as error:
                    # A limit on what one user may queue is nowhere to be read: fewer may pass.
                    if len(mine) == 1 and some_are_queued:
                        raise
                    if len(mine) == 1:
                        raise UserError(f"Slurm refuses: {error}") from None
                    mine = mine[: len(mine) // 2]

    def _options(self, offset: int, indices: Sequence[int]) -> list[str]:
        asked: Cluster = self.cluster
        told = {
            "job-name": self.name,
            "comment": str(offset),
            "array": ",".join(map(str, indices)),
            "chdir": str(self.root),
            "output": f"{(self.workplace.landing / LOGS).relative_to(self.root)}/%A_%a.log",
            "open-mode": "append",
            "signal": f"B:USR1@{asked.grace}",
            "partition": asked.partition,
            "account": asked.account,
            "qos": asked.qos,
            "constraint": asked.constraint,
            "time": asked.time,
            "gres": asked.gres if self.workplace.device != "cpu" else None,
            "cpus-per-task": str(asked.cpus),
            "mem": asked.memory,
        }
        return ["--requeue", *(f"--{key}={value}" for key, value in told.items() if value is not None), *asked.options]

    def _script(self, offset: int) -> str:
        """Return what a task runs; every word is quoted for the shell but the number of its part."""
        told: dict[str, object] = {
            "project-dir": self.root,
            "study": self.workplace.study,
            "warehouse": self.workplace.warehouse,
            "executor": "local",
            "device": self.workplace.device,
            "since": self.since.isoformat(),
            "patience": SECONDS_TO_WAIT_FOR_WORK,
        }
        if self.workplace.device == "cpu":
            told["workers"] = self.cluster.cpus
        command = [sys.executable, "-m", "compute.cli", "compute"]
        command += [word for key, value in told.items() for word in (f"--{key}", str(value))]
        part = f"--part $(({offset} + SLURM_ARRAY_TASK_ID))/{self.most}"
        # exec: the signal before the time limit goes to the shell, which is then this program.
        return "\n".join(["#!/bin/bash", *self.cluster.setup, f"exec {shlex.join(command)} {part}", ""])
