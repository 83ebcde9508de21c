"""Where batches run. An executor has two methods, `submit(batch)` and `events()`, and is a context manager.

To add one: a file here with a class like `compute.executors.local.LocalExecutor`, and its line in `EXECUTORS`.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Protocol, Self, cast

from compute.errors import UserError
from compute.names import UnknownName
from compute.runner import Batch, Event, Workplace

EXECUTORS: dict[str, str] = {"local": "compute.executors.local:LocalExecutor"}


class Executor(Protocol):
    """Runs batches somewhere and reports what happens to them."""

    def __init__(self, workplace: Workplace, workers: int) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *exception: object) -> None: ...

    def submit(self, batch: Batch) -> None:
        """Queue a batch; its inputs have landed."""
        ...

    def events(self) -> Iterator[Event]:
        """Events as they come, until every submitted batch has finished."""
        ...


def load_executor(name: str) -> type[Executor]:
    """The executor class of that name; raises UserError with the nearest name."""
    if name not in EXECUTORS:
        raise UserError(str(UnknownName("executor", name, EXECUTORS)))
    module, _, attribute = EXECUTORS[name].partition(":")
    return cast(type[Executor], getattr(import_module(module), attribute))
