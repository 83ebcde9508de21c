"""What an adapter is trained on: a source of the grid, or a mixture of several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pydantic import field_serializer

from compute.language_models.settings import Lora
from compute.plugin import Context, Job
from compute.plugins.scoring_rows import Prompted, SourceKeys, WordedCell, asked_items, worded_items
from compute.study.mixtures import ItemsOfMixture, items_of_parts
from compute.tasks import Item, Split

if TYPE_CHECKING:
    from compute.language_models.training_records import TrainingSource


class _Trained(SourceKeys):
    """How an adapter is trained, whatever on."""

    step: Literal["train"] = "train"
    seed: int
    lora: Lora
    left_out: tuple[str, ...] = ()
    """Endings of the names of layers that no adapter is put on, though `lora` asks for them."""

    added = SourceKeys.added | {"left_out"}

    @field_serializer("lora")
    def _training_alone(self, lora: Lora) -> dict[str, Any]:
        """Where an adapter is looked at on the way does not change it."""
        return lora.model_dump(mode="json", exclude={"score_at"})


class Tuning(_Trained, Prompted):
    """An adapter trained on a source of the grid."""

    train_items: int | None
    dev_items: int | None

    added = _Trained.added


class Part(WordedCell):
    """A source of the grid as a part of a mixture: as many of its first items as fall to its share."""

    share: float
    train_items: int | None
    """Items that it alone is tuned on, at most."""
    dev_items: int | None


class MixedTuning(_Trained):
    """An adapter trained on a mixture."""

    source_name: str
    parts: tuple[Part, ...]
    items: ItemsOfMixture


@dataclass(frozen=True)
class TakenPart:
    """What a mixture has of a part: the first `items` of those that the part alone is tuned on."""

    part: Part
    items: Sequence[Item]
    n_alone: int


def taken_parts(job: Job, context: Context) -> list[TakenPart]:
    """Return what the mixture of a job has of each part. Raises ValueError where there are too few items."""
    found = {part.name: _of_part(job, part, "train", part.train_items, context) for part in job.config.parts}
    there = {name: len(items) for name, items in found.items()}
    counts = items_of_parts(job.config.items, [part.share for part in job.config.parts], there)
    return [
        TakenPart(part, found[part.name][:count], there[part.name])
        for part, count in zip(job.config.parts, counts, strict=True)
    ]


def part_rows(job: Job, context: Context) -> list[Mapping[str, Any]]:
    """Return the rows of `raw.source_parts`."""
    return [
        {
            "source_name": job.config.source_name,
            "task": taken.part.task,
            "language": taken.part.language,
            "weight": taken.part.share,
            "items": len(taken.items),
            "items_alone": taken.n_alone,
        }
        for taken in taken_parts(job, context)
    ]


def training_source(job: Job, fractions: Sequence[float], context: Context) -> TrainingSource:
    """Return what an adapter is trained on, and the fractions of its training after which it is kept.

    A mixture's items are those of its parts, one part after the other, and its dev items all those of its parts. The
    placebo's labels are permuted within each part.

    Raises:
        ValueError, JobError: its items are too few, or cannot be read.
    """
    from compute.language_models.training import shuffle_labels
    from compute.language_models.training_records import TrainingSource

    config: Tuning | MixedTuning = job.config
    is_placebo = config.control == "placebo"
    if isinstance(config, Tuning):
        items = asked_items(job, "train", config.train_items, context)
        eval_items = asked_items(job, "dev", config.dev_items, context)
    else:
        taken = [part.items for part in taken_parts(job, context)]
        items = [item for part in taken for item in (shuffle_labels(part, config.seed) if is_placebo else part)]
        eval_items = [item for part in config.parts for item in _of_part(job, part, "dev", part.dev_items, context)]
    return TrainingSource(
        key=job.key,
        items=items,
        eval_items=eval_items,
        seed=config.seed,
        shuffled_labels=is_placebo and isinstance(config, Tuning),
        fractions=tuple(fractions),
    )


def _of_part(job: Job, part: Part, split: Split, limit: int | None, context: Context) -> list[Item]:
    return worded_items(job, part.input, part.prompt_format, split, limit, context)
