"""Plugin `baseline`: the base model scored on every target, once per (model, target, prompt)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any

from compute.plugin import Context, Job, Outcome, Planned, Plugin
from compute.plugins.costs import scoring_cost
from compute.plugins.products import items_product, model_label
from compute.plugins.scoring_rows import score_rows, target_config
from compute.study import Study


class Baseline(Plugin):
    """Rows of `raw.item_scores` whose source, control and seed are NULL."""

    name = "baseline"
    version = "1"

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
                        **target_config(task, language, study.items.test),
                    },
                    inputs=(base.key, planned.find("items", items_product(task, language)).key),
                    label=f"baseline {entry.name} -> {task}/{language}",
                    batch=model,
                    cost=scoring_cost(entry.architecture, study.items.test or 100),
                )

    def run(self, jobs: Sequence[Job], context: Context) -> Iterator[tuple[Job, Outcome]]:
        from compute.language_models.loading import load_model
        from compute.language_models.scoring import score_items

        model, tokenizer = load_model(context.artifacts.path(jobs[0].inputs[0]), device=context.device)
        score = partial(score_items, model, tokenizer, device=context.device)
        for done, job in enumerate(jobs):
            context.report_progress(job.label, done / len(jobs))
            yield job, score_rows(job, score)
