"""The tasks by name, each imported when it is first asked for.

To add one: write it (see `compute.tasks.task`), then add `name: "module:attribute"` here, or, in a package of
your own, an entry point of the group `transfer.tasks`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from compute.names import UnknownName
from compute.registry import Registry
from compute.tasks.task import SPLITS, Generation, Item, Prompt, Question, Split, Task

if TYPE_CHECKING:
    from compute.tasks.folder import FolderTaskSettings

__all__ = ["SPLITS", "TASKS", "Generation", "Item", "Prompt", "Question", "Split", "Task", "load_task", "open_task"]

TASKS: Registry[Task] = Registry(
    "task",
    "transfer.tasks",
    {
        "read": "compute.tasks.numerals:READ",
        "compare": "compute.tasks.numerals:COMPARE",
        "parity": "compute.tasks.numerals:PARITY",
        "add": "compute.tasks.numerals:ADD",
        "round": "compute.tasks.numerals:ROUND",
        "language": "compute.tasks.numerals:LANGUAGE",
        "topic": "compute.tasks.topic:TOPIC",
        "sentiment": "compute.tasks.sentiment:SENTIMENT",
        "pos": "compute.tasks.pos:POS",
        "emotion": "compute.tasks.emotion:EMOTION",
        "causal": "compute.tasks.causal:CAUSAL",
        "arithmetic": "compute.tasks.arithmetic:ARITHMETIC",
        "arc_challenge": "compute.tasks.core_grid:ARC_CHALLENGE",
        "global_mmlu_lite": "compute.tasks.core_grid:GLOBAL_MMLU_LITE",
        "hellaswag": "compute.tasks.core_grid:HELLASWAG",
        "truthfulqa": "compute.tasks.core_grid:TRUTHFULQA",
    },
    "compute.tasks:Task",
)

load_task = TASKS.load


LM_EVAL = "lm_eval:"
"""What the names of lm-evaluation-harness's tasks begin with in a study."""


def open_task(name: str, language: str | None, own: Mapping[str, FolderTaskSettings]) -> Task:
    """Return a task that has `language`: one of `own` (a study's folders), of lm-evaluation-harness, or of the
    registry.

    Without a language it is only looked up.

    Raises:
        UnknownName: there is none of that name, or it does not have the language.
        UserError: its data, or the extra it needs, are missing.
    """
    if name in own:
        from compute.tasks.folder import FolderTask

        task: Task = FolderTask.open(name, own[name], language)
    elif name.startswith(LM_EVAL):
        from compute.tasks.lm_eval import load_lm_eval

        task = load_lm_eval(name.removeprefix(LM_EVAL), language)
    elif name in TASKS:
        task = load_task(name)
    else:
        raise UnknownName("task", name, [*TASKS, *own, f"{LM_EVAL}<name>"])
    if language is not None:
        task.check_language(language)
    return task
