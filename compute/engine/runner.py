"""Runs one batch of jobs in the current process and lands what comes out."""

from __future__ import annotations

import json
import os
import platform
import resource
import socket
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from compute.engine.devices import device_works
from compute.errors import DeviceLost, JobError, UserError, refused_by_disk
from compute.names import UnknownName
from compute.plugin import Context, Job, Outcome, canonical_json, load_plugin, prepare_plugin
from compute.store.artifacts import ArtifactStore
from compute.store.landing import Landing
from compute.store.segments import OpenSegment

ERRORS = "errors.log"
"""In the landing directory: tracebacks."""

_SECONDS_AT_RISK = 10.0
"""How long work that is finished may wait for others before it is committed: a killed run loses no more of it."""

_ROWS_A_SEGMENT = 500_000
"""A worker's memory holds no more of them than this, and one job's."""

_RECORDED_LIBRARIES = ("torch", "transformers", "peft", "gensim", "numpy", "polars")


@dataclass(frozen=True)
class Workplace:
    """Where a batch runs: what a worker process must know, all of it plain values."""

    landing: Path
    artifacts: Path
    device: str = "cpu"
    threads: int = 1
    study: Path = Path()
    warehouse: str = ""
    """As the study's file, for schedulers: what they start plans for itself."""
    artifacts_url: str = ""
    """Where artifacts are kept besides their folder; empty: nowhere."""

    @property
    def artifact_store(self) -> ArtifactStore:
        """The artifacts that batches make and read."""
        return ArtifactStore(self.artifacts, self.artifacts_url)


@dataclass(frozen=True)
class Batch:
    """Jobs run in one visit of a plugin, and earlier failures' attempt counts by job key."""

    name: str
    jobs: tuple[Job, ...]
    attempts: dict[str, int] = field(default_factory=dict)

    @property
    def cost(self) -> float:
        return sum(job.cost for job in self.jobs)


@dataclass(frozen=True)
class Event:
    """What a worker reports: `progress` (text, fraction of the batch), something `noted` (text), a job `landed` or
    `failed` (text: why), or `finished` with the batch; to its executor alone, that its device is `lost` (text: why).
    An executor that waits says `waiting` now and then: other runs may have made batches ready meanwhile."""

    kind: str
    batch: str
    text: str = ""
    fraction: float = 0.0
    job_key: str = ""


def run_batch(batch: Batch, workplace: Workplace, report: Callable[[Event], None]) -> None:
    """Run every job of a batch, and land them as its plugin yields them.

    A JobError fails the job it came with, any other exception fails the jobs still open (with the traceback in the
    log), and each failure is landed and reported.

    Raises:
        DeviceLost: nothing more can be computed in this process; the jobs still open are the caller's to fail.
    """
    context = Context(
        device=workplace.device,
        artifacts=workplace.artifact_store,
        report_progress=lambda text, fraction: report(Event("progress", batch.name, text, fraction)),
        note=lambda text: report(Event("noted", batch.name, text)),
    )
    with suppress(Exception):  # whatever it is, running the plugin meets it, and fails the jobs
        prepare_plugin(batch.jobs[0].plugin)
    ledger = _Ledger(batch, workplace, report)
    report(Event("progress", batch.name, "starting"))
    try:
        if workplace.device != "cpu":
            _prepare_gpu()
        for job, outcome in load_plugin(batch.jobs[0].plugin).run(batch.jobs, context):
            if isinstance(outcome, JobError) and not device_works(workplace.device):
                raise DeviceLost(str(outcome))
            ledger.settle(job, outcome)
        ledger.close(JobError("the plugin ended without a result for this job"))
    except DeviceLost:
        ledger.commit()
        raise
    except Exception as error:  # a plugin's defect must not stop the other batches
        failure = _as_job_error(error, workplace.landing)
        if not device_works(workplace.device):
            ledger.commit()
            raise DeviceLost(str(failure)) from error
        ledger.close(failure)


def _prepare_gpu() -> None:
    """Force full float32, and count the peak of memory from here.

    Some container images set TORCH_ALLOW_TF32_CUBLAS_OVERRIDE: products of 10 bits would make ranks inexact.
    """
    import torch

    torch.set_float32_matmul_precision("highest")
    if torch.cuda.is_initialized():
        torch.cuda.reset_peak_memory_stats()


def fail_batch(batch: Batch, error: JobError, workplace: Workplace, report: Callable[[Event], None]) -> None:
    """Record that the jobs of a batch failed with `error`, whoever ran them."""
    _Ledger(batch, workplace, report).close(error)


class _Ledger:
    """Lands the outcomes of one batch's jobs, timing each by what passed since the one before.

    Jobs land together: those finished within seconds are one segment, which is committed before more work than that
    could be lost. A job is reported once it is committed, and not before.
    """

    def __init__(self, batch: Batch, workplace: Workplace, report: Callable[[Event], None]) -> None:
        self.batch, self.workplace, self.report = batch, workplace, report
        self.landing = Landing(workplace.landing)
        self.artifacts = workplace.artifact_store
        self.open = {job.key: job for job in batch.jobs}
        self.since = datetime.now(UTC)
        self.cpu_since = time.process_time()
        self.segment = self.landing.open_segment()
        self.unreported: list[Event] = []
        self.committed = time.monotonic()

    def settle(self, job: Job, outcome: Outcome) -> None:
        """Add a job's outcome to the segment, and commit that once much work or many rows are in it."""
        if job.key not in self.open:
            self.report(Event("noted", self.batch.name, f"{job.label}: a result too many is left out"))
            return
        if job.leaves_artifact and not isinstance(outcome, JobError):
            try:  # before it lands: others find what landed jobs leave
                self.artifacts.share(job.key)
            except JobError as error:
                outcome = error
        record = self._record(job)
        if not isinstance(outcome, JobError):
            try:
                self.segment.add(job.key, outcome, record | {"state": "landed"})
                self.unreported.append(Event("landed", self.batch.name, job.label, job_key=job.key))
            except JobError as error:
                outcome = error
        if isinstance(outcome, JobError):
            # A file's name may be no text, and would keep the whole segment from being written.
            text = str(outcome).encode("utf-8", "backslashreplace").decode("utf-8")
            self.segment.add_failure(job.key, record | {"state": "failed", "error": text})
            self.unreported.append(Event("failed", self.batch.name, f"{job.label}: {text}", job_key=job.key))
        self.open.pop(job.key, None)
        if time.monotonic() - self.committed >= _SECONDS_AT_RISK or self.segment.rows >= _ROWS_A_SEGMENT:
            self.commit()

    def commit(self) -> None:
        """Commit what was settled, and report it. Where the disk refuses, those jobs have failed."""
        segment, events = self.segment, self.unreported
        self.segment, self.unreported = self.landing.open_segment(), []
        try:
            segment.commit()
        except Exception as error:  # whatever it is, the jobs have not landed
            events = self._refused(segment, events, error)
        for event in events:
            self.report(event)
        self.committed = time.monotonic()

    def _refused(self, segment: OpenSegment, events: Sequence[Event], error: Exception) -> list[Event]:
        """Return events in which the jobs of a segment failed, and land these failures if that is possible."""
        if isinstance(error, OSError):
            text = f"cannot land in {self.landing.root}: {error.strerror or error}"
        else:
            text = f"cannot land: {_as_job_error(error, self.landing.root)}"
        try:
            segment.as_failures(text).commit()
        except Exception as again:  # as above
            text += f" (and the failure could not be recorded: {getattr(again, 'strerror', None) or again})"
        return [
            replace(event, kind="failed", text=event.text if event.kind == "failed" else f"{event.text}: {text}")
            for event in events
        ]

    def close(self, error: JobError) -> None:
        """Fail the jobs that have no outcome, and end the batch."""
        for job in list(self.open.values()):
            self.settle(job, error)
        self.commit()
        self.report(Event("finished", self.batch.name))

    def _is_first(self, plugin: str) -> bool:
        first = plugin not in _ran
        _ran.add(plugin)
        return first

    def _record(self, job: Job) -> dict[str, Any]:
        started, self.since = self.since, datetime.now(UTC)
        cpu_started, self.cpu_since = self.cpu_since, time.process_time()
        return {
            "job_key": job.key,
            "plugin": job.plugin,
            "plugin_version": job.version,
            "config": canonical_json(job.values),
            "error": None,
            "attempts": self.batch.attempts.get(job.key, 0) + 1,
            "started_at": started.replace(tzinfo=None),
            "finished_at": self.since.replace(tzinfo=None),
            "seconds": (self.since - started).total_seconds(),
            "cpu_seconds": self.cpu_since - cpu_started,
            "host": socket.gethostname(),
            "device": self.workplace.device,
            "peak_memory_bytes": _peak_memory(self.workplace.device),
            "versions": _versions(),
            "label": job.label,
            "work": job.work,
            "cost": job.cost,
            "batch": self.batch.name,
            "is_first": self._is_first(job.plugin),
            "artifact_bytes": self.artifacts.size(job.key) if job.leaves_artifact else None,
            "inputs": json.dumps(list(job.inputs.values())),
        }


_ran: set[str] = set()
"""Plugins of which a job has ended in this process."""


def _as_job_error(error: Exception, root: Path) -> JobError:
    """A defect as one line, unless the disk is to blame; its traceback goes to `<landing>/errors.log`."""
    if isinstance(error, JobError | UserError | UnknownName):
        return JobError(str(error))
    if (line := refused_by_disk(error)) is not None:
        return JobError(line)
    kept = f"traceback in {root.name}/{ERRORS}"
    try:
        with open(root / ERRORS, "a", encoding="utf-8") as log:
            log.write(f"{datetime.now(UTC).isoformat()}\n{traceback.format_exc()}\n")
    except OSError as refused:
        kept = f"no {kept}: {refused.strerror}"
    first_line = str(error).strip().splitlines()[0] if str(error).strip() else ""
    return JobError(f"{type(error).__name__}: {first_line} ({kept})")


def _peak_memory(device: str) -> int:
    if device.startswith("cuda"):
        import torch

        return int(torch.cuda.max_memory_allocated(device))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


@cache
def _versions() -> str:
    found = {"python": platform.python_version()}
    for library in _RECORDED_LIBRARIES:
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            continue
    return canonical_json(found)


def limit_threads(threads: int) -> None:
    """Keep numerical libraries of this process to `threads`; call before they are imported."""
    os.environ.update(threads_of(threads))


def threads_of(threads: int) -> dict[str, str]:
    """Return the environment that keeps numerical libraries to `threads`."""
    libraries = ("OMP_NUM", "MKL_NUM", "OPENBLAS_NUM", "NUMBA_NUM", "POLARS_MAX")
    return {f"{library}_THREADS": str(threads) for library in libraries}
