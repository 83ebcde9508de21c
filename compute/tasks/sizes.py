"""How many questions the cataloged tasks have, known without their files: `sizes.tsv`.

A row holds for the digest of the task and language that it names, and for no other: after a change of the files or of
how they are read, nothing is said until the table is written anew, where the files can be had:
`python -m maintenance.task_sizes > sizes.tsv`, then `mv sizes.tsv compute/tasks/`.
"""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from compute.tasks.task import SPLITS, Split

if TYPE_CHECKING:
    from compute.tasks.cataloged import CatalogedTask

_TABLE = Path(__file__).with_name("sizes.tsv")


def known_size(task: CatalogedTask, language: str, split: Split) -> int | None:
    """Return how many questions a split has; None where the table does not have the task as it is."""
    return _table().get((task.name, language, task.digest(language)), {}).get(split)


@cache
def _table() -> dict[tuple[str, str, str], dict[Split, int]]:
    """Return the numbers by task, language and digest."""
    with open(_TABLE, encoding="utf-8", newline="") as file:
        return {
            (row["task"], row["language"], row["digest"]): {split: int(row[split]) for split in SPLITS}
            for row in csv.DictReader(file, delimiter="\t")
        }
