"""What scoring jobs share: the target part of their configuration, and their rows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from compute.errors import JobError, UserError
from compute.plugin import Context, Job, Outcome
from compute.plugins.bases import Base
from compute.study import Study
from compute.tasks import Generation, Item, Prompt, Split
from compute.tasks.answers import open_judge
from compute.tasks.store import load_questions

KEY_COLUMNS = (
    "model", "variant", "source_task", "source_language", "control", "seed", "target_task", "target_language", "prompt",
)  # fmt: skip


def target_config(study: Study, task_name: str, language: str) -> dict[str, Any]:
    """The part of a scoring job's configuration that says what is asked of the target, and how."""
    task = study.task(task_name, language)
    prompt = task.prompt(study.prompt_name(task_name))
    return {
        "target_task": task_name,
        "target_language": language,
        "prompt": prompt.label,
        "prompt_format": asdict(prompt),
        "generation": None if task.generation is None else task.generation.identity,
        "test_items": study.items_used(task_name, language, "test"),
        "truncate": study.truncate,
    }


def asked_items(job: Job, items_key: str, split: Split, limit: int | None, context: Context) -> list[Item]:
    """The first `limit` questions of a split of an items job, in the words of the prompt in `job`'s configuration."""
    render = Prompt(**job.config["prompt_format"]).item
    questions = load_questions(context.artifacts.path(items_key), split)
    if limit is not None and limit > len(questions):
        context.note(f"{job.label}: {limit} {split} items asked for, and there are {len(questions)}: all are used")
    return [render(question) for question in questions[:limit]]


def score_rows(job: Job, base: Base, context: Context) -> Outcome:
    """Rows of `raw.item_scores` for the target of `job` (its last input: the items), or why it could not be scored."""
    keys = {name: job.config[name] for name in KEY_COLUMNS}
    try:
        items = asked_items(job, job.inputs[-1], "test", job.config["test_items"], context)
        score = _scored if job.config["generation"] is None else _generated
        return {"item_scores": [{**keys, **row} for row in score(job, items, base, context)]}
    except (ValueError, JobError, UserError) as error:  # the last of a task's own way to judge
        return JobError(str(error))


def _scored(job: Job, items: list[Item], base: Base, context: Context) -> Iterable[Mapping[str, Any]]:
    from compute.language_models.scoring import score_items

    scores = score_items(base.model, base.tokenizer, items, device=context.device, encoding=base.encoding)
    for item, score in zip(items, scores, strict=True):
        if not all(map(math.isfinite, score.logprobs)):
            found = ", ".join(f"{value:.4g}" for value in score.logprobs)
            raise ValueError(
                f"{item.label}: the log-probabilities of its choices are {found}; damaged weights, or too large for "
                "float16: take bfloat16 or float32"
            )
        yield {"item_id": item.item_id, "gold": item.gold, **asdict(score)}


def _generated(job: Job, items: list[Item], base: Base, context: Context) -> Iterable[Mapping[str, Any]]:
    from compute.language_models.generation import generate_items

    generation = Generation(**job.config["generation"])
    judge = open_judge(generation.answer)
    texts = generate_items(
        base.model,
        base.tokenizer,
        items,
        stop=tuple(generation.stop),
        max_new_tokens=generation.max_new_tokens,
        device=context.device,
        encoding=base.encoding,
        settings=generation.settings,
    )
    for item, text in zip(items, texts, strict=True):
        prediction, correct = judge.judge(item, text.text)
        yield {
            "item_id": item.item_id,
            "gold": item.gold,
            "prediction": prediction,
            "correct": correct,
            "truncated_tokens": text.truncated_tokens,
        }
