"""Where batches run. An executor has two methods, `submit(batch)` and `events()`, and is a context manager.
One that only starts further runs of the project, which find their work themselves, has two more (`Scheduler`); one
whose machines are not this one says which they are (`Elsewhere`).

To add one: a file here with a class like `compute.engine.executors.local.LocalExecutor`, and its line in `EXECUTORS`,
or, in a package of your own, an entry point of the group `transfer.executors`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol, Self, runtime_checkable

from compute.engine.runner import Batch, Event, Workplace
from compute.registry import Registry


@runtime_checkable
class Executor(Protocol):
    """Runs batches somewhere and reports what happens to them."""

    def __init__(self, workplace: Workplace, workers: Any) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *exception: object) -> None: ...

    def submit(self, batch: Batch) -> None:
        """Queue a batch; its inputs have landed."""
        ...

    def events(self) -> Iterator[Event]:
        """Events as they come, until every submitted batch has finished."""
        ...


@runtime_checkable
class Scheduler(Executor, Protocol):
    """Has others run batches: a queue in which `transfer compute --part` is submitted. It is told how many tasks it may
    have at once, or None, and every batch that is ready; its events come from what lands. What it keeps lies in the
    landing directory, in a folder of its own name."""

    def queued(self) -> Mapping[str, str]:
        """Return the state of each task that is queued or running, by its place (`RunFacts.place`)."""
        ...

    def cancel(self) -> None:
        """Cancel what is queued or running."""
        ...


@runtime_checkable
class Elsewhere(Executor, Protocol):
    """Runs batches on other machines: what this one has says nothing of them."""

    @classmethod
    def machines(cls, device: str, workers: int | None) -> tuple[str, int]:
        """Return the device of `DEVICES` that is meant there, not `auto`, and how many batches run at once, where
        `workers` does not say it. Raises UserError where there is no such device."""
        ...


EXECUTORS: Registry[type[Executor]] = Registry(
    "executor",
    "transfer.executors",
    {
        "local": "compute.engine.executors.local:LocalExecutor",
        "ray": "compute.engine.executors.ray:RayExecutor",
        "slurm": "compute.engine.executors.slurm:SlurmExecutor",
    },
    "compute.engine.executors:Executor",
)

load_executor = EXECUTORS.load
