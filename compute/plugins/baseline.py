"""Plugin `baseline`: the base model scored on every target, once per (model, target, prompt)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from compute.plugin import Context, Job, Outcome, Planned, Plugin
from compute.plugins.bases import BASE, load_base
from compute.plugins.costs import model_weights, scoring_cost
from compute.plugins.one_job import one_by_one
from compute.plugins.products import BaseModel, label_of
from compute.plugins.scoring_rows import ITEMS, Scoring, score_rows, targets
from compute.study.schema import Study


class Baseline(Plugin):
    """Rows of `raw.item_scores` whose source, control and seed are NULL."""

    name = "baseline"
    version = "3"
    imports = ("compute.language_models.loading", "compute.language_models.scoring")

    def plan(self, study: Study, planned: Planned, config: Any) -> Iterable[Job]:
        if study.targets is None:
            return
        asked = targets(study, planned)
        for entry in study.models:
            base = planned.find(BaseModel, entry.name)
            model = label_of(base)
            weights = model_weights(entry)
            for target in asked:
                yield Job(
                    plugin=self.name,
                    version=self.version,
                    config=Scoring(model=model, place=base.product.place, **target.fields(base.product.reading)),
                    inputs={BASE: base.key, ITEMS: target.items},
                    label=f"baseline {entry.name} -> {target.label}",
                    batch=model,
                    cost=scoring_cost(weights, target.size),
                    work=f"{entry.name}/{target.asked['target_task']}",
                )

    def run(self, jobs: Sequence[Job], context: Context) -> Iterator[tuple[Job, Outcome]]:
        base = load_base(jobs[0], context)
        yield from one_by_one(jobs, context, lambda job, context: score_rows(job, base, context))
