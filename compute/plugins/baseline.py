"""Plugin `baseline`: the base model scored on every target, once per (model, target, prompt)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from compute.plugin import Context, Job, Outcome, Planned, Plugin
from compute.plugins.bases import load_base
from compute.plugins.costs import TEST_ITEMS, scoring_cost
from compute.plugins.products import items_product, model_label
from compute.plugins.scoring_rows import score_rows, target_config
from compute.study import Study


class Baseline(Plugin):
    """Rows of `raw.item_scores` whose source, control and seed are NULL."""

    name = "baseline"
    version = "3"

    def plan(self, study: Study, planned: Planned, config: Any) -> Iterable[Job]:
        if study.targets is None:
            return
        for entry in study.models:
            base = planned.find("model", entry.name)
            model = model_label(entry.name, base)
            for task, language in study.targets.cells:
                yield Job(
                    plugin=self.name,
                    version=self.version,
                    config={
                        "model": model,
                        "variant": "default",
                        "source_task": None,
                        "source_language": None,
                        "control": None,
                        "seed": None,
                        **target_config(study, task, language),
                    },
                    inputs=(base.key, planned.find("items", items_product(task, language)).key),
                    label=f"baseline {entry.name} -> {task}/{language}",
                    batch=model,
                    cost=scoring_cost(entry, study.items.test or TEST_ITEMS),
                    hints=base.hints,
                )

    def run(self, jobs: Sequence[Job], context: Context) -> Iterator[tuple[Job, Outcome]]:
        base = load_base(jobs[0], context)
        for done, job in enumerate(jobs):
            context.report_progress(job.label, done / len(jobs))
            yield job, score_rows(job, base, context)
