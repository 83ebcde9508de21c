"""Plugin `items`: lands what is asked, one job per task and language."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from compute.plugin import Context, Job, Outcome, Planned, Plugin
from compute.plugins.costs import SECOND
from compute.plugins.products import items_product
from compute.study import Study
from compute.tasks import SPLITS, load_task


class Items(Plugin):
    """Rows of `raw.tasks` and `raw.items`; its key carries the data's digest to every job that uses the items."""

    name = "items"
    version = "1"

    def plan(self, study: Study, planned: Planned, config: Any) -> Iterable[Job]:
        grids = [grid for grid in (study.sources, study.targets) if grid is not None]
        for task_name, language in dict.fromkeys(cell for grid in grids for cell in grid.cells):
            task = load_task(task_name)
            yield Job(
                plugin=self.name,
                version=self.version,
                config={
                    "task": task_name,
                    "language": language,
                    "prompt": task.prompt().label,
                    "sha256": task.digest(language),
                },
                label=f"items of {task_name}/{language}",
                batch="all",
                cost=0.02 * SECOND,
                provides=("items", items_product(task_name, language)),
            )

    def run(self, jobs: Sequence[Job], context: Context) -> Iterator[tuple[Job, Outcome]]:
        for job in jobs:
            task, language = load_task(job.config["task"]), job.config["language"]
            items = [
                {
                    "task": task.name,
                    "language": language,
                    "item_id": item.item_id,
                    "parallel_id": item.parallel_id,
                    "split": split,
                    "gold": item.gold,
                    "choices": list(item.choices),
                    "prompt": task.prompt().label,
                }
                for split in SPLITS
                for item in task.items(language, split)
            ]
            description = {
                "task": task.name,
                "kind": task.kind,
                "primary_metric": task.primary_metric,
                "chance": task.chance,
                "licence": task.licence,
                "source_url": task.source_url,
                "sha256": job.config["sha256"],
            }
            yield job, {"tasks": [description], "items": items}
