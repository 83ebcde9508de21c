"""How lm-evaluation-harness reads and judges the answers that are generated for its tasks.

The harness does it itself: its task's filters on the text (of several pipelines the first, which it prints first),
then its `process_results`, with all the answers it accepts, its normalization and its functions.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compute.tasks import LM_EVAL
from compute.tasks.lm_eval import harness_task, load_lm_eval, readable
from compute.tasks.task import Item


@dataclass(frozen=True)
class HarnessJudge:
    """Judges the answers to one task's items; see `compute.tasks.answers.Judge`."""

    name: str
    path: Path

    @classmethod
    def of(cls, name: str) -> HarnessJudge:
        """Return the judge of the task that a study calls `name`. Raises as `load_lm_eval`."""
        return cls(name, load_lm_eval(name.removeprefix(LM_EVAL), None).path)

    def judge(self, item: Item, text: str) -> tuple[str | None, bool]:
        """Return what the task's filters leave of `text`, and whether the harness counts it as an exact match.

        Raises:
            UserError: the harness cannot load the task, or fails on the answer.
        """
        from lm_eval.api.instance import Instance

        with readable(self.name, f"judge the answer to item {item.item_id}"):
            task: Any = harness_task(self.path)
            document = task.eval_docs[int(item.item_id)]
            instance = Instance("generate_until", document, (item.context, {}), 0, resps=[text])
            pipeline = task._filters[0]
            pipeline.apply([instance])
            found = instance.filtered_resps[pipeline.name]
            correct = task.process_results(document, [found])["exact_match"]
        return (None if found is None else str(found)), bool(float(correct) == 1.0)
