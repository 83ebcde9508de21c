"""What a training is given and what comes out of it, as values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from compute.language_models.adapters import Adapter
from compute.tasks.task import Item


@dataclass(frozen=True)
class TrainingSource:
    """What one adapter is trained on.

    Attributes:
        key: names it in results.
        items: trained on, in a new order each epoch.
        eval_items: for `eval_loss` after each epoch, and the best checkpoint; may be empty.
        seed: of A's first values and the order; a source and its placebo of one seed share both.
        shuffled_labels: the placebo: the items' gold indices are permuted among them.
        fractions: of its steps, after which the adapter is kept as it is then.
    """

    key: str
    items: Sequence[Item]
    eval_items: Sequence[Item] = ()
    seed: int = 0
    shuffled_labels: bool = False
    fractions: tuple[float, ...] = ()


@dataclass(frozen=True)
class TrainingLogRow:
    """One step of one adapter, as in `raw.training_log`.

    Attributes:
        step: counted from 1.
        epoch: passes over the source's items so far.
        tokens: trained on so far, without padding.
        loss: nats an answer token, the mean over the step's answer tokens.
        eval_loss: where an epoch ends, as `Trainer` has it: the mean over the evaluation items of their batch's loss,
            in batches of the training's size and in order. Else None.
        learning_rate: of this step.
        seconds: since the stack's start.
        truncated: items of the step whose context was cut to fit the model.
    """

    step: int
    epoch: float
    tokens: int
    loss: float
    eval_loss: float | None
    learning_rate: float
    seconds: float
    truncated: int


@dataclass(frozen=True)
class TrainedAdapter:
    """An adapter that finished, and what it was after the fractions of its training that its source names."""

    key: str
    adapter: Adapter
    log: list[TrainingLogRow]
    on_the_way: dict[float, Adapter] = field(default_factory=dict)


@dataclass(frozen=True)
class TrainingFailure:
    """An adapter that could not be trained: its loss or gradient became NaN or infinite, an item cannot be encoded,
    or does not fit in memory. `step` and `item_id` are where; 0 and empty if it is at no item of a step."""

    key: str
    step: int
    item_id: str
    reason: str
    log: list[TrainingLogRow]
