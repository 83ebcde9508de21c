"""Writes `compute/tasks/sizes.tsv`, which `compute.tasks.sizes` describes, where the files of all tasks can be had.

python -m maintenance.task_sizes > sizes.tsv && mv sizes.tsv compute/tasks/
"""

from __future__ import annotations

import csv
import sys

from compute.tasks import TASKS
from compute.tasks.cataloged import CatalogedTask
from compute.tasks.task import SPLITS


def main() -> None:
    """Write the table, of every task whose files have digests."""
    writer = csv.writer(sys.stdout, delimiter="\t", lineterminator="\n")
    writer.writerow(("task", "language", "digest", *SPLITS))
    for name in TASKS:
        task = TASKS.load(name)
        if isinstance(task, CatalogedTask) and type(task).size is CatalogedTask.size:
            for language in task.languages:
                numbers = (len(task.questions(language, split)) for split in SPLITS)
                writer.writerow((name, language, task.digest(language), *numbers))


if __name__ == "__main__":
    main()
