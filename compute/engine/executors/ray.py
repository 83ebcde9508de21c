"""Ray: batches as plain tasks of a cluster that is running, whose nodes need not share a disk with this run.

A task runs its batch as a worker here does, but lands it in a temporary folder of its node. What it commits there comes
back as bytes with the events that tell of it, and this run lands it: only then has a job landed. Artifacts go to the
project's own folder, which the nodes that make or read them must see, or to the URL that `cluster.yml` names; then each
node keeps copies in a folder of its own.
"""

from __future__ import annotations

import hashlib
import os
import queue
import re
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import chdir, nullcontext, suppress
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import Any, Self

from compute.catalog.fetching import cache_folder
from compute.engine.devices import check_device
from compute.engine.executors.cluster import CLUSTER, Cluster, read_cluster
from compute.engine.runner import ERRORS, Batch, Event, Workplace, fail_batch, run_batch, threads_of
from compute.errors import DeviceLost, JobError, UserError
from compute.store.files import naming
from compute.store.landing import Landing
from compute.store.segments import DamagedParcel, Parcel, pack, remove, unpack

_READ = ("gpus", "cpus", "memory", "artifacts")
"""The keys of cluster.yml that mean something here."""

_SECONDS_BETWEEN_WORDS = 2.0
"""While nothing happens."""

_SECONDS_BETWEEN_REPORTS = 1.0
"""Of one batch's progress: each is a message."""

_SECONDS_TO_ANSWER = 10.0
"""For the head of a cluster."""

_MOST_LOST = 3
"""So many tasks may vanish over a batch, one after the other and without a job of it landing."""

_SECONDS_TO_WRITE = 24 * 3600.0
"""An artifact that a node has not finished for so long was left by a task that died."""

_SIGHT = ".project"
"""A file in the artifacts' folder by which a node shows that it sees the folder, and not another at that path."""


def _ray() -> Any:
    """Return the library, imported now. Raises UserError where it is not installed."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    try:
        return import_module("ray")
    except ImportError:
        raise UserError("--executor ray needs Ray: pip install 'transfer-warehouse[ray]'") from None


def _connect() -> Any:
    """Return the library, connected to the cluster at RAY_ADDRESS, or to the one that this machine is a node of.

    Raises:
        UserError: there is none, it does not answer, or it is of another version of Ray or Python.
    """
    ray = _ray()
    address = os.environ.get("RAY_ADDRESS") or "auto"
    host, _, port = address.rpartition(":")
    if address != "auto" and (not host or "://" in address or not port.isdecimal()):
        raise UserError(
            f"RAY_ADDRESS={address}: expected host:port of the cluster's head, with this run on one of its nodes"
        )
    if not ray.is_initialized():
        told_to_end = signal.getsignal(signal.SIGTERM)
        try:
            if host:  # Ray itself would ask for minutes
                socket.create_connection((host, int(port)), _SECONDS_TO_ANSWER).close()
            ray.init(address=address, log_to_driver=False, logging_level="ERROR", configure_logging=False)
        except Exception as error:  # of several kinds: refused, timed out, no node here, versions that differ
            raise UserError(f"RAY_ADDRESS={address}: no Ray cluster to join: {_first_line(error)}") from None
        finally:
            signal.signal(signal.SIGTERM, told_to_end)  # Ray has set its own, by which nothing would be loaded
    return ray


@dataclass(frozen=True)
class _Errand:
    """What a task is told besides its batch.

    Attributes:
        workplace: of the run; the task lands elsewhere.
        project: the run's folder, in which the task works if its node has it.
        sight: what the artifacts' folder, or the URL, has to say; None: the batch needs no artifacts.
    """

    workplace: Workplace
    project: Path
    sight: str | None


@dataclass(frozen=True)
class _Message:
    """What a task sends: an event, what was committed since the last, and what was written to the log of errors."""

    event: Event
    parcels: Sequence[Parcel] = ()
    log: str = ""


@dataclass
class _Task:
    batch: Batch
    """With the jobs that were open when it began."""
    lost: int = 0
    """Tasks over the same jobs before it that vanished."""
    settled: set[str] = field(default_factory=set)
    refused: dict[str, str] = field(default_factory=dict)
    """Jobs that the task committed and that cannot be landed here: why."""

    @property
    def left(self) -> Batch:
        return replace(self.batch, jobs=tuple(job for job in self.batch.jobs if job.key not in self.settled))


class RayExecutor:
    """Runs each batch as a task with the cores, memory and GPU that `cluster.yml` asks for."""

    def __init__(self, workplace: Workplace, workers: int) -> None:
        self.cluster = _settings()
        self.workplace = replace(workplace, threads=1 if workplace.device == "cpu" else self.cluster.cpus)
        self.landing = Landing(workplace.landing)
        self.artifacts = workplace.artifact_store
        self._shared: set[str] = set()
        """Artifacts that were here and are at the URL."""
        self._tasks: dict[Any, _Task] = {}
        """By the stream of what they send."""
        self._sight: str | None = None
        self._told = False

    @classmethod
    def machines(cls, device: str, workers: int | None) -> tuple[str, int]:
        """Return on which device of the cluster jobs run, and how many batches at once; this machine's do not count.

        Raises:
            UserError: there is no such device, no cluster, or nothing to tell how many by.
        """
        check_device(device)
        asked = _settings()
        there = _connect().cluster_resources()
        gpus, cores = int(there.get("GPU", 0)), int(there.get("CPU", 0))
        if device == "auto":
            device = "cuda" if gpus else "cpu"
        most = workers or asked.gpus or (gpus if device == "cuda" else cores // asked.cpus)
        if not most:
            what = "GPU" if device == "cuda" else "core"
            raise UserError(
                f"--executor ray: no node has a {what} yet; how many at once? say --gpus N, or `gpus: N` in {CLUSTER}"
            )
        return device, most

    def __enter__(self) -> Self:
        self.ray = _connect()
        asked = self._asked()
        self._remote = self.ray.remote(
            **asked,
            max_calls=int(asked["num_gpus"]),  # an idle worker would keep memory of a GPU that Ray takes for free
            max_retries=0,  # Ray's would repeat what has landed
            num_returns="streaming",
            runtime_env={"env_vars": threads_of(self.workplace.threads) | {"TQDM_DISABLE": "1"}},
        )(_compute)
        return self

    def __exit__(self, *exception: object) -> None:
        for stream in self._tasks:
            self.ray.cancel(stream, force=True)
        self.ray.shutdown()

    def submit(self, batch: Batch) -> None:
        self._start(_Task(batch))

    def _start(self, task: _Task) -> None:
        errand = _Errand(self.workplace, Path.cwd(), self._sight_for(task.batch))
        stream = self._remote.options(name=f"transfer {task.batch.name}").remote(task.batch, errand)
        self._tasks[stream] = task

    def _asked(self) -> dict[str, float]:
        """Return what each task declares."""
        asked: dict[str, float] = {"num_cpus": self.cluster.cpus, "num_gpus": int(self.workplace.device == "cuda")}
        if self.cluster.memory is not None:
            asked["memory"] = _bytes(self.cluster.memory)
        return asked

    def _sight_for(self, batch: Batch) -> str | None:
        """Return what a node must find in the artifacts' folder, or at their URL, to run a batch; None where it makes
        and reads none."""
        if self.artifacts.remote is not None:
            self._share_inputs(batch)
            self._sight = self._sight or self.artifacts.remote.check()
            return self._sight
        needed = any(
            job.leaves_artifact or any(self.artifacts.has(key) for key in job.inputs.values()) for job in batch.jobs
        )
        if not needed:
            return None
        if self._sight is None:
            self.artifacts.root.mkdir(parents=True, exist_ok=True)
            file = self.artifacts.root / _SIGHT
            try:
                with naming(file), open(file, "x", encoding="utf-8") as new:
                    new.write(f"{socket.gethostname()} {self.artifacts.root} {time.time_ns()}\n")
            except FileExistsError:
                pass
            self._sight = file.read_text(encoding="utf-8")
        return self._sight

    def _share_inputs(self, batch: Batch) -> None:
        """Upload what a batch reads and only this machine has."""
        for key in {key for job in batch.jobs for key in job.inputs.values()} - self._shared:
            with suppress(JobError):  # a job that does not find it says so, and is run again
                self.artifacts.share(key)
            self._shared.add(key)

    def events(self) -> Iterator[Event]:
        if self._tasks and not self._told:
            self._told = True
            yield from self._tell_where_none_fits()
        while self._tasks:
            ready, _ = self.ray.wait(list(self._tasks), timeout=_SECONDS_BETWEEN_WORDS, fetch_local=False)
            if not ready:
                yield Event("waiting", "")
            for stream in ready:
                yield from self._receive(stream)

    def _tell_where_none_fits(self) -> Iterator[Event]:
        """Say so where no node has what a task declares: with an autoscaler one may come, else none ever does."""
        declared = self._asked()
        asked = {"CPU": declared["num_cpus"], "GPU": declared["num_gpus"], "memory": declared.get("memory", 0)}
        nodes = [node["Resources"] for node in self.ray.nodes() if node["Alive"]]
        if not any(all(node.get(name, 0) >= value for name, value in asked.items()) for node in nodes):
            wanted = ", ".join(f"{name} {value:g}" for name, value in asked.items() if value)
            yield Event("noted", "ray", f"Ray: no node has {wanted} now; waiting for one")

    def _receive(self, stream: Any) -> Iterator[Event]:
        """Take in one message of a task, or its end."""
        task = self._tasks[stream]
        try:
            message: _Message = self.ray.get(next(stream))
        except StopIteration:
            yield from self._restart(stream, "it ended without a word")
        except self.ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, UserError):
                raise UserError(str(error.cause)) from None
            yield from self._fail_left(stream, f"the Ray task failed: {_first_line(error.cause)}")
        except self.ray.exceptions.RuntimeEnvSetupError as error:
            yield from self._fail_left(stream, f"the Ray task cannot begin: {_first_line(error)}")
        except self.ray.exceptions.RayError as error:
            yield from self._restart(stream, f"{type(error).__name__}: {_first_line(error)}")
        else:
            yield from self._hear(stream, task, message)

    def _hear(self, stream: Any, task: _Task, message: _Message) -> Iterator[Event]:
        for parcel in message.parcels:
            self._land(task, parcel)
        if message.log:
            self._log(message.log)
        event = message.event
        if event.kind == "lost":
            yield from self._fail_left(stream, f"the GPU failed, and the Ray task with it: {event.text}")
            return
        if event.kind == "finished":
            del self._tasks[stream]
        if event.job_key in task.refused:
            yield from self._fail([event.job_key], task, JobError(task.refused[event.job_key]))
            return
        if event.job_key:
            task.settled.add(event.job_key)
            task.lost = 0
        yield event

    def _land(self, task: _Task, parcel: Parcel) -> None:
        """Land what a task has committed; what cannot be is kept in mind until the task tells of it."""
        try:
            unpack(self.landing.root, parcel)
        except OSError as error:
            text = f"cannot land in {self.landing.root}: {error.strerror or error}"
        except DamagedParcel as error:
            text = f"cannot land: {error}"
        else:
            return
        task.refused.update(dict.fromkeys(parcel.job_keys, text))

    def _log(self, text: str) -> None:
        with suppress(OSError), open(self.landing.root / ERRORS, "a", encoding="utf-8") as log:
            log.write(text)

    def _restart(self, stream: Any, cause: str) -> Iterator[Event]:
        """A task has vanished, with its worker or its node: start another over what it had not settled."""
        task = self._tasks[stream]
        left, lost = task.left, task.lost + 1
        if not left.jobs:
            del self._tasks[stream]
            yield Event("finished", left.name)
        elif lost >= _MOST_LOST:
            yield from self._fail_left(stream, f"{lost} Ray tasks ended while they computed it, the last: {cause}")
        else:
            del self._tasks[stream]
            yield Event("noted", left.name, f"{left.name}: its Ray task ended ({cause}); begun anew")
            self._start(_Task(left, lost))

    def _fail_left(self, stream: Any, cause: str) -> Iterator[Event]:
        task = self._tasks.pop(stream)
        yield from self._fail([job.key for job in task.left.jobs], task, JobError(cause))
        yield Event("finished", task.batch.name)

    def _fail(self, keys: Sequence[str], task: _Task, error: JobError) -> Iterator[Event]:
        """Land that some jobs of a task failed."""
        task.settled.update(keys)
        events: list[Event] = []
        jobs = tuple(job for job in task.batch.jobs if job.key in keys)
        fail_batch(replace(task.batch, jobs=jobs), error, self.workplace, events.append)
        yield from (event for event in events if event.kind != "finished")


def _settings() -> Cluster:
    """Return what the project asks of its cluster. Raises UserError for keys that are Slurm's alone."""
    found = read_cluster()
    for name in Cluster.model_fields:
        if name in found.model_fields_set and name not in _READ:
            raise UserError(f"{CLUSTER}: {name}: is Slurm's; --executor ray reads {', '.join(_READ)}")
    if found.memory is not None:
        _bytes(found.memory)
    return found


def _bytes(text: str) -> int:
    """Return an amount of memory as Slurm writes it, such as `32G`, in bytes. Raises UserError."""
    match = re.fullmatch(r"(\d+)([KMGT]?)B?", text, re.IGNORECASE)
    if match is None:
        raise UserError(f"{CLUSTER}: memory: expected an amount such as 32G, found {text!r}")
    return int(int(match[1]) * 1024 ** (" KMGT".index(match[2].upper()) if match[2] else 2))


def _first_line(error: BaseException | None) -> str:
    return (str(error).strip() or type(error).__name__).partition("\n")[0]


def _compute(batch: Batch, errand: _Errand) -> Iterator[_Message]:
    """What a task does, on its node: run a batch, and yield what happens with what was committed.

    Raises:
        UserError: the node does not see the project's artifacts.
    """
    workplace = errand.workplace
    if workplace.artifacts_url:
        workplace = _with_own_copies(workplace)
    if errand.sight is not None:
        _check_sight(workplace, errand.sight)
    messages: queue.Queue[_Message | None] = queue.Queue()
    with tempfile.TemporaryDirectory(prefix="transfer-") as folder:
        # Named as the run's own, for errors name files in it.
        landing = Path(folder, workplace.landing.name)
        landing.mkdir()
        place = replace(workplace, landing=landing)
        project = chdir(errand.project) if errand.project.is_dir() else nullcontext()
        with project:
            # Beside it, as a plugin is no generator of ours: it calls back.
            thread = threading.Thread(target=_run, args=(batch, place, messages), daemon=True)
            thread.start()
            yield from _paced(messages)
            thread.join()


def _paced(messages: queue.Queue[_Message | None]) -> Iterator[_Message]:
    """Yield what comes until None; of progress that comes too fast, the last."""
    held: _Message | None = None
    told = float("-inf")
    while True:
        try:
            message = messages.get(timeout=_SECONDS_BETWEEN_REPORTS if held else None)
        except queue.Empty:
            message, told = held, float("-inf")
        if message is None:
            return
        if message.event.kind == "progress":
            recent = time.monotonic() - told < _SECONDS_BETWEEN_REPORTS
            if recent and not (message.parcels or message.log):
                held = message
                continue
            held, told = None, time.monotonic()
        yield message


def _with_own_copies(workplace: Workplace) -> Workplace:
    """Return a workplace whose artifacts have this node's folder of copies, tidied. Raises UserError."""
    url = hashlib.sha256(workplace.artifacts_url.encode()).hexdigest()
    workplace = replace(workplace, artifacts=cache_folder() / "artifacts" / url[:16])
    try:
        workplace.artifacts.mkdir(parents=True, exist_ok=True)
        workplace.artifact_store.recover(_SECONDS_TO_WRITE)
    except OSError as error:
        raise UserError(
            f"Ray: node {socket.gethostname()}: {workplace.artifacts}, for copies of artifacts, cannot be written: "
            f"{error.strerror}; XDG_CACHE_HOME names another place"
        ) from None
    return workplace


def _check_sight(workplace: Workplace, sight: str) -> None:
    """Raise UserError where this node does not see the artifacts that the run sees."""
    artifacts, node = workplace.artifact_store, f"Ray: node {socket.gethostname()}"
    if artifacts.remote is None:
        if not _sees(workplace.artifacts / _SIGHT, sight):
            raise UserError(
                f"{node} does not see {workplace.artifacts}, where jobs leave artifacts for others; put the project in "
                f"a folder that all nodes share, at the same path, or say `artifacts: URL` in {CLUSTER}"
            )
        return
    try:
        is_seen = artifacts.remote.sees(sight)
    except UserError as error:
        raise UserError(f"{node}: {error}") from None
    if not is_seen:
        raise UserError(f"{node} does not see what this run wrote at {artifacts.remote.url}: it is another place there")


def _sees(file: Path, expected: str) -> bool:
    try:
        return file.read_text(encoding="utf-8") == expected
    except OSError:
        return False


def _run(batch: Batch, place: Workplace, messages: queue.Queue[_Message | None]) -> None:
    """Run a batch, and put what happens into a queue; None at the end."""
    landing = Landing(place.landing)

    def report(event: Event) -> None:
        messages.put(_Message(event, _take(landing), _take_log(place.landing / ERRORS)))

    try:
        run_batch(batch, place, report)
    except DeviceLost as error:
        report(Event("lost", batch.name, str(error)))
    finally:
        messages.put(None)


def _take(landing: Landing) -> list[Parcel]:
    """Return what has been committed, and forget it here."""
    parcels = []
    for name in landing.segment_names():
        parcels.append(pack(landing.root, name))
        remove(landing.root, name)
    return parcels


def _take_log(log: Path) -> str:
    """Return what has been written to a log, and begin it anew."""
    if not log.exists():
        return ""
    text = log.read_text(encoding="utf-8")
    log.unlink()
    return text
