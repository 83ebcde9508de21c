"""Which runs compute in a landing directory, and what each has claimed: by this several share the work.

A run is one process that computes. It writes `<landing>/runs/<run>.json` when it begins and every few seconds. A run
whose file is gone or old, or whose process is gone from this machine, is dead. A claim is a file in
`<landing>/claims/`, named after a batch and made by a link, which on NFS too only one can make. A dead run's claims are
void. Nothing here waits for a lock. If two runs take a void claim in the same instant, both may compute a batch; a job
is a value, so its rows are loaded once.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import threading
import time
import uuid
from collections.abc import Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import psutil

from compute.errors import UserError, writing
from compute.store.files import TEMPORARY, naming

RUNS, CLAIMS = "runs", "claims"
SECONDS_BETWEEN_BEATS = 10.0
SECONDS_TO_LIVE = 120.0
"""Without a beat. Clients of NFS may show a file as it was a minute ago."""


@dataclass(frozen=True)
class RunFacts:
    """What a run says of itself.

    Attributes:
        name: of the run.
        host: and what of it may have its own numbers of processes, such as a container.
        process: its number there.
        born: when the process began, as that machine counts: numbers come again.
        started: when the run began (UTC, ISO 8601).
        study: its name.
        place: as a scheduler calls it, such as `Slurm 17_3`.
        part: such as `3/16`.
        progress: what it is at, and the fraction done, by batch.
    """

    name: str
    host: str
    process: int
    born: float
    started: str
    study: str
    place: str = ""
    part: str = ""
    progress: Mapping[str, tuple[str, float]] = field(default_factory=dict)

    @property
    def who(self) -> str:
        """The run as people find it."""
        return f"process {self.process} on {self.host.partition(' ')[0]}{f' ({self.place})' * bool(self.place)}"


@dataclass(frozen=True)
class Claim:
    """That a run computes a batch.

    Attributes:
        batch: its name.
        run: that computes it.
        who: as people find the run.
        since: when it was claimed (UTC, ISO 8601).
        jobs: open in the batch when it was claimed.
        lost: the runs that ended, one after the other, while they computed it and before a job of it had landed.
    """

    batch: str
    run: str
    who: str
    since: str
    jobs: int
    lost: tuple[str, ...] = ()


def living_runs(root: Path) -> dict[str, RunFacts]:
    """Return the runs that compute in a landing directory, by name."""
    now = _time_there(root)
    found = (_living(path, now) for path in sorted((root / RUNS).glob("*.json")))
    return {facts.name: facts for facts in found if facts is not None}


def claims(root: Path) -> dict[str, Claim]:
    """Return all claims, void ones too, by batch."""
    found = (_read_claim(path) for path in (root / CLAIMS).glob("*.json"))
    return {claim.batch: claim for claim in found if claim is not None}


def cancel(root: Path, run: str) -> None:
    """Have a run end, at its next beat, as if it had been told by SIGTERM."""
    _cancelled(root, run).touch()


def _cancelled(root: Path, run: str) -> Path:
    return root / RUNS / f"{run}.cancelled"


def forget_the_dead(root: Path) -> None:
    """Remove the traces of runs that are gone; call it while no run computes."""
    for folder in (RUNS, CLAIMS):
        for path in (root / folder).glob("*"):
            path.unlink(missing_ok=True)


class Run(AbstractContextManager["Run"]):
    """This process, as one that computes: its beats, and the batches that it claims."""

    def __init__(self, root: Path, study: str, part: str = "", place: str = "") -> None:
        """Make a run; entering it says so in the landing directory."""
        self.root = root
        now = datetime.now(UTC)
        name = f"{now:%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:12]}"
        born = _born(os.getpid()) or 0.0
        self.facts = RunFacts(name, _host(), os.getpid(), born, now.isoformat(), study, place, part)
        self.progress: dict[str, tuple[str, float]] = {}
        self.out_of_time = False
        """Whether a scheduler ends it. A batch that it had for half of its time then counts as lost: its claim stays,
        void."""
        self._began = time.monotonic()
        self._held: dict[str, float] = {}
        """Batch -> when it was claimed."""
        self._ended = threading.Event()
        self._beating = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> Self:
        self._write()
        self._beating.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._ended.set()
        self._beating.join()
        half = (time.monotonic() + self._began) / 2
        for batch, since in list(self._held.items()):
            if not (self.out_of_time and since <= half):
                self.release(batch)
        self._path.unlink(missing_ok=True)
        _cancelled(self.root, self.facts.name).unlink(missing_ok=True)

    @property
    def _path(self) -> Path:
        return self.root / RUNS / f"{self.facts.name}.json"

    def _beat(self) -> None:
        is_told = False
        while not self._ended.wait(SECONDS_BETWEEN_BEATS):
            with suppress(OSError):  # a disk that is full now may not be at the next beat
                self._write()
            if not is_told and _cancelled(self.root, self.facts.name).exists():
                is_told = True
                os.kill(os.getpid(), signal.SIGTERM)

    def _write(self) -> None:
        content = asdict(self.facts) | {"progress": dict(self.progress)}
        temporary = _write_temporary(self._path, content)
        temporary.replace(self._path)

    def take(self, batch: str, jobs: int) -> Claim | None:
        """Claim a batch of which `jobs` are open; return None if a living run has it."""
        path = _claim_path(self.root, batch)
        lost: tuple[str, ...] = ()
        while True:
            claim = Claim(batch, self.facts.name, self.facts.who, datetime.now(UTC).isoformat(), jobs, lost)
            if _link(path, asdict(claim)):
                self._held[batch] = time.monotonic()
                return claim
            other = _read_claim(path)
            if other is None and path.exists():
                path.unlink(missing_ok=True)  # no claim of ours is ever seen in part: it was damaged
            elif other is not None:
                if self.is_living(other.run):
                    return None
                lost = (*other.lost, other.who) if jobs >= other.jobs else ()
                _bury(path, other)

    def release(self, batch: str) -> None:
        """Give up a claim, unless another run has taken this one for dead and has it now."""
        self._held.pop(batch, None)
        self.progress.pop(batch, None)
        path = _claim_path(self.root, batch)
        claim = _read_claim(path)
        if claim is not None and claim.run == self.facts.name:
            path.unlink(missing_ok=True)

    def is_living(self, name: str) -> bool:
        """Return whether a run still computes."""
        return name == self.facts.name or _living(self.root / RUNS / f"{name}.json", _time_there(self.root)) is not None


def _host() -> str:
    """Return what tells where a process' number holds."""
    space = ""
    with suppress(OSError):
        space = str(Path("/proc/self/ns/pid").readlink())
    return f"{socket.gethostname()} {space}".strip()


def _living(path: Path, now: float) -> RunFacts | None:
    """Return what a run says of itself, if it lives."""
    try:
        with open(path, encoding="utf-8") as file:
            beat = os.fstat(file.fileno()).st_mtime
            facts = RunFacts(**json.load(file))
    except (OSError, ValueError, TypeError):
        return None
    if facts.host != _host():
        return facts if now - beat <= SECONDS_TO_LIVE else None
    return facts if _born(facts.process) == facts.born else None


def _born(process: int) -> float | None:
    """Return when a process began, as a number that it alone has; None if it has ended, waited for or not."""
    try:
        # Ticks since the machine began: psutil adds that moment, which moves when a clock is set.
        state, *said = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return None if state == "Z" else float(said[18])
    except OSError:
        pass
    try:
        found = psutil.Process(process)
        return None if found.status() == psutil.STATUS_ZOMBIE else float(found.create_time())
    except psutil.Error:
        return None


def _time_there(root: Path) -> float:
    """Return the time by the clock of the file system, with which beats are compared."""
    path = root / RUNS / f".{uuid.uuid4().hex}{TEMPORARY}"
    try:
        path.touch()
        now = path.stat().st_mtime
        path.unlink(missing_ok=True)
    except OSError:
        return time.time()
    return now


def _claim_path(root: Path, batch: str) -> Path:
    return root / CLAIMS / f"{hashlib.sha256(batch.encode()).hexdigest()[:32]}.json"


def _read_claim(path: Path) -> Claim | None:
    try:
        found: dict[str, Any] = json.loads(path.read_bytes())
        return Claim(**found | {"lost": tuple(found["lost"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _bury(path: Path, dead: Claim) -> None:
    """Remove a void claim; if it was another's by then, put that back."""
    aside = path.with_name(f".{uuid.uuid4().hex}{TEMPORARY}")
    try:
        path.rename(aside)
    except OSError:
        return  # somebody else was first
    found = _read_claim(aside)
    if found is not None and found.run != dead.run:
        with suppress(OSError):
            os.link(aside, path)
    aside.unlink(missing_ok=True)


def _write_temporary(path: Path, content: Mapping[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{uuid.uuid4().hex}{TEMPORARY}")
    try:
        with naming(path):
            temporary.write_text(json.dumps(content), encoding="utf-8")
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return temporary


def _link(path: Path, content: Mapping[str, Any]) -> bool:
    """Make a file whole, or return False because there is one.

    Raises:
        UserError: the directory cannot be written, or its file system has no links.
    """
    with writing(path.parent):
        temporary = _write_temporary(path, content)
    try:
        os.link(temporary, path)
        return True
    except FileExistsError:
        # The answer of a server may be lost after it has linked: the number of names tells.
        return temporary.stat().st_nlink == 2
    except OSError as error:
        raise UserError(
            f"{path.parent}: a file cannot be linked: {error.strerror}; use a folder that has links"
        ) from None
    finally:
        temporary.unlink(missing_ok=True)
