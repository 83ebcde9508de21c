"""Slurm's own commands: what is queued, submitting, cancelling. Nothing else speaks with Slurm."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from compute.errors import UserError

_SECONDS_TO_ANSWER = 120.0
_FIELDS = "%i|%k|%T|%r|%N|%M"
_ONE_TASK = re.compile(r"\d+_(?P<index>\d+)")


class SlurmError(Exception):
    """What Slurm said instead of doing it."""


@dataclass(frozen=True)
class Task:
    """A task of an array, queued or running.

    Attributes:
        id: such as `17_3`.
        part: that it computes: its index in the array, and what the array's comment says is to be added.
        state: such as `PENDING`.
        reason: why it is pending.
        node: where it runs.
        passed: since it began, as Slurm writes it.
    """

    id: str
    part: int
    state: str
    reason: str
    node: str
    passed: str

    @property
    def place(self) -> str:
        """As a run in it says where it is."""
        return f"Slurm {self.id}"

    def __str__(self) -> str:
        where = f"on {self.node}" if self.node else f"({self.reason})"
        return f"{self.state.lower()} {where}, {self.passed}"


class Slurm:
    """The commands of one cluster. Raises UserError where they are not installed."""

    def __init__(self) -> None:
        missing = [name for name in ("sbatch", "squeue", "scontrol", "scancel") if shutil.which(name) is None]
        if missing:
            raise UserError(f"--executor slurm: {', '.join(missing)} not found; run it where Slurm's commands are")

    @cached_property
    def largest_index(self) -> int:
        """The largest index that an array may have."""
        found = re.search(r"^MaxArraySize\s*=\s*(\d+)", _ask("scontrol", "show", "config"), re.MULTILINE)
        if found is None:
            raise SlurmError("scontrol show config: no MaxArraySize")
        return max(int(found[1]) - 1, 0)

    def tasks(self, name: str) -> list[Task]:
        """Return my tasks of arrays of a name that are queued or running."""
        lines = _ask("squeue", "--me", "--noheader", "--array", f"--name={name}", f"--format={_FIELDS}")
        found = []
        for line in lines.splitlines():
            task_id, added, *said = line.split("|")
            known = _ONE_TASK.fullmatch(task_id)
            if known is not None and added.isdigit():
                found.append(Task(task_id, int(added) + int(known["index"]), *said))
        return found

    def submit(self, options: Sequence[str], script: str) -> None:
        """Submit a script."""
        _ask("sbatch", "--parsable", *options, given=script)

    def cancel(self, name: str, state: str | None = None) -> None:
        """Cancel my tasks of arrays of a name, or those in one state."""
        _ask("scancel", "--quiet", "--me", f"--name={name}", *([f"--state={state}"] if state else []))


def requeue_this_task() -> bool:
    """Put the task that this process runs in back into the queue, and return whether Slurm did; it ends the process."""
    task = os.environ.get("SLURM_JOB_ID")
    if task is None:
        return False
    try:
        _ask("scontrol", "requeue", task)
    except SlurmError:
        return False
    return True


def this_task() -> str:
    """Return what Slurm calls the task that this process runs in, or nothing."""
    array, index = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    job = os.environ.get("SLURM_JOB_ID")
    return f"Slurm {array}_{index}" if array and index else f"Slurm {job}" if job else ""


def _ask(*command: str, given: str = "") -> str:
    """Return what a command prints. Raises SlurmError with what it says instead."""
    try:
        done = subprocess.run(
            command, input=given, capture_output=True, text=True, timeout=_SECONDS_TO_ANSWER, check=False
        )
    except subprocess.TimeoutExpired:
        raise SlurmError(f"{command[0]}: no answer in {_SECONDS_TO_ANSWER:.0f} s") from None
    except OSError as error:
        raise SlurmError(f"{command[0]}: {error.strerror}") from None
    if done.returncode:
        said = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        raise SlurmError(said[-1] if said else f"{command[0]}: exit code {done.returncode}")
    return done.stdout
