"""What scoring jobs share: the target part of their configuration, and their rows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, field_serializer

from compute.errors import JobError, UserError
from compute.language_models.stored_reading import Reading
from compute.plugin import Context, Job, Outcome, Planned
from compute.plugins.bases import Base, OnBase
from compute.plugins.costs import items_asked
from compute.plugins.products import TaskItems
from compute.study.schema import Study
from compute.tasks import Generation, Item, Prompt, Split
from compute.tasks.answers import open_judge
from compute.tasks.store import load_questions

ITEMS = "items"
"""The input of jobs that ask questions: the items job that has them."""


class SourceKeys(OnBase):
    """By which rows about a tuned model are told apart; the base model's have no source, control and seed."""

    variant: str = "default"
    source_task: str | None = None
    source_language: str | None = None
    source_name: str | None = None
    """Of a mixture; a source of the grid is known by its task and language."""
    control: str | None = None
    seed: int | None = None
    fraction: float | None = None
    """The part of the training that was done; None: all of it."""
    leaves_out_end: bool = False
    """Tokens that the tokenizer puts after every text are left out."""
    parts_by_length: bool = False
    """No batch spans a length at which the model changes how it reads."""

    added = frozenset({"source_name", "fraction", "leaves_out_end", "parts_by_length"})


class Prompted(SourceKeys):
    """A model and the words in which it is trained or asked."""

    prompt: str
    prompt_format: Prompt


class Scoring(Prompted):
    """A model scored on a target."""

    target_task: str
    target_language: str
    generation: Generation | None
    test_items: int | None
    alone: bool = False
    """Every text is read by itself, as others would change its score."""

    added = SourceKeys.added | {"alone"}

    @field_serializer("generation")
    def _identity(self, generation: Generation | None) -> dict[str, Any] | None:
        return None if generation is None else generation.identity

    @property
    def keys(self) -> dict[str, Any]:
        """The columns of raw.item_scores that all of its rows share."""
        return self.model_dump(include=set(_KEY_COLUMNS))


SOURCE_KEYS = ("variant", "source_task", "source_language", "source_name", "control", "seed", "fraction")
"""By which rows about one tuned model are told from those about another of its base."""

_KEY_COLUMNS = ("model", *SOURCE_KEYS, "target_task", "target_language", "prompt")


@dataclass(frozen=True)
class Target:
    """A target of a study, as the jobs that score a model on it have it.

    Attributes:
        label: task/language.
        asked: the fields of a `Scoring` that say what is asked.
        items: key of the job that has the questions.
        size: about how many they are.
    """

    label: str
    asked: Mapping[str, Any]
    items: str
    size: int

    def fields(self, reading: Reading) -> dict[str, Any]:
        """Return the fields of a `Scoring` that say what is asked, and how a model reads it."""
        is_choice = self.asked["generation"] is None
        alone = reading.alone if is_choice else reading.generates_alone
        told = {"leaves_out_end": reading.leaves_out_end, "parts_by_length": reading.parts_by_length}
        return {**self.asked, **told, "alone": alone}


def targets(study: Study, planned: Planned) -> list[Target]:
    """Return a study's targets, each looked up once for all the jobs that ask it."""
    assert study.targets is not None
    found = []
    for task, language in study.targets.cells:
        label = f"{task}/{language}"
        size = items_asked(study, task, language, "test")
        found.append(Target(label, _asked(study, task, language), planned.find(TaskItems, label).key, size))
    return found


def _asked(study: Study, task_name: str, language: str) -> dict[str, Any]:
    task = study.task(task_name, language)
    prompt = task.prompt(study.prompt_name(task_name))
    return {
        "target_task": task_name,
        "target_language": language,
        "prompt": prompt.label,
        "prompt_format": prompt,
        "generation": task.generation,
        "test_items": study.items_used(task_name, language, "test"),
        "truncate": study.truncate,
    }


class WordedCell(BaseModel):
    """A task in a language, in a prompt's words, of which a job reads items."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    task: str
    language: str
    prompt: str
    prompt_format: Prompt

    @property
    def name(self) -> str:
        return f"{self.task}/{self.language}"

    @property
    def input(self) -> str:
        """The input of a job that reads it: the job that has its items."""
        return f"items of {self.name}"


def asked_items(job: Job[Prompted], split: Split, limit: int | None, context: Context) -> list[Item]:
    """Return the first `limit` questions of a split of a job's items, in the words of its prompt."""
    return worded_items(job, ITEMS, job.config.prompt_format, split, limit, context)


def worded_items(job: Job, items: str, prompt: Prompt, split: Split, limit: int | None, context: Context) -> list[Item]:
    """Return the first `limit` questions of a split, in a prompt's words; `items` names the job's input that has
    them."""
    questions = load_questions(context.artifacts.path(job.inputs[items]), split)
    if limit is not None and limit > len(questions):
        context.note(f"{job.label}: {limit} {split} items asked for, and there are {len(questions)}: all are used")
    return [prompt.item(question) for question in questions[:limit]]


def score_rows(job: Job[Scoring], base: Base, context: Context) -> Outcome:
    """Return rows of `raw.item_scores` for the target of `job`, or why it could not be scored."""
    keys, generation = job.config.keys, job.config.generation
    try:
        items = asked_items(job, "test", job.config.test_items, context)
        rows = _scored(items, base, context) if generation is None else _generated(generation, items, base, context)
        return {"item_scores": [{**keys, **row} for row in rows]}
    except (ValueError, JobError, UserError) as error:  # the last of a task's own way to judge
        return JobError(str(error))


def _scored(items: list[Item], base: Base, context: Context) -> Iterable[Mapping[str, Any]]:
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


def _generated(generation: Generation, items: list[Item], base: Base, context: Context) -> Iterable[Mapping[str, Any]]:
    from compute.language_models.generation import generate_items

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
