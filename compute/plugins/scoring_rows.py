"""What scoring jobs share: the target part of their configuration, and their rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from compute.errors import JobError
from compute.plugin import Job, Outcome
from compute.tasks import Item, load_task

if TYPE_CHECKING:
    from compute.language_models.scoring import ItemScore

KEY_COLUMNS = (
    "model", "variant", "source_task", "source_language", "control", "seed", "target_task", "target_language", "prompt",
)  # fmt: skip


def target_config(task: str, language: str, test_items: int | None) -> dict[str, Any]:
    """The part of a scoring job's configuration that names its target and how many test items are asked."""
    return {
        "target_task": task,
        "target_language": language,
        "prompt": load_task(task).prompt().label,
        "test_items": test_items,
    }


def target_items(job: Job) -> list[Item]:
    """The test items of a scoring job."""
    task = load_task(job.config["target_task"])
    return task.items(job.config["target_language"], "test")[: job.config["test_items"]]


def score_rows(job: Job, score: Callable[[Sequence[Item]], Sequence[ItemScore]]) -> Outcome:
    """Rows of `raw.item_scores` for the target of `job`, or why it could not be scored."""
    items = target_items(job)
    try:
        scores = score(items)
    except ValueError as error:
        return JobError(str(error))
    keys = {name: job.config[name] for name in KEY_COLUMNS}
    return {
        "item_scores": [
            {
                **keys,
                "item_id": item.item_id,
                "gold": item.gold,
                "logprobs": result.logprobs,
                "token_counts": result.token_counts,
                "char_counts": result.char_counts,
                "byte_counts": result.byte_counts,
            }
            for item, result in zip(items, scores, strict=True)
        ]
    }
