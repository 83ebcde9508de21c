"""The tasks by name, each imported when it is first asked for.

To add one: write it (see `compute.tasks.task`), then add `name: "module:attribute"` here.
"""

from __future__ import annotations

from importlib import import_module

from compute.names import UnknownName
from compute.tasks.task import SPLITS, Generation, Item, Prompt, Question, Split, Task

__all__ = ["SPLITS", "TASKS", "Generation", "Item", "Prompt", "Question", "Split", "Task", "load_task"]

TASKS: dict[str, str] = {
    "read": "compute.tasks.numerals:READ",
    "compare": "compute.tasks.numerals:COMPARE",
    "parity": "compute.tasks.numerals:PARITY",
    "add": "compute.tasks.numerals:ADD",
    "round": "compute.tasks.numerals:ROUND",
    "language": "compute.tasks.numerals:LANGUAGE",
}


def load_task(name: str) -> Task:
    """The task of that name.

    Raises:
        UnknownName: no such task; the message gives the nearest names.
        TypeError: what the registry points at is not a `Task`.
    """
    if name not in TASKS:
        raise UnknownName("task", name, TASKS)
    module, attribute = TASKS[name].split(":")
    task = getattr(import_module(module), attribute)
    if not isinstance(task, Task):
        raise TypeError(f"task {name!r}: {TASKS[name]} is a {type(task).__name__}, not a Task")
    return task
