"""Training several LoRA adapters in one pass over a frozen base, each as if it were alone.

Adapters meet only in the base's matrix products. Each has its own order of items, loss, clipping, learning-rate
schedule, dropout and AdamW state, and leaves the stack when its steps are done, so that in float32 the result is that
of training one by one, up to the rounding of sums of other lengths: the tests hold matrices to 1e-3 of their greatest
entry after tens of steps, losses to 1e-4. Alone, an adapter is trained as Hugging Face's `Trainer` trains PEFT's.

A step's rows go through the model in micro-batches: short ones share a line, none seeing another; adapters whose rows
are of unlike lengths go apart where padding would cost more than another pass; and passes are made smaller when memory
runs out. The losses are summed and divided by the answer tokens of the whole step.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import replace

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from compute.language_models import Progress
from compute.language_models.encoding import PLAIN, Encoding, encode_items
from compute.language_models.memory import release_memory
from compute.language_models.micro_batches import TrainingRow
from compute.language_models.probes import Trial
from compute.language_models.settings import Lora
from compute.language_models.targets import find_targets
from compute.language_models.training_loop import PreparedSource, StackTooLargeError, StackTraining
from compute.language_models.training_records import TrainedAdapter, TrainingFailure, TrainingSource
from compute.tasks.task import Item


def shuffle_labels(items: Sequence[Item], seed: int) -> list[Item]:
    """Return the items with their gold indices permuted among them: as many of each label, none tied to its
    question."""
    golds = [item.gold for item in items]
    random.Random(f"placebo {seed}").shuffle(golds)
    return [replace(item, gold=gold % len(item.choices)) for item, gold in zip(items, golds, strict=True)]


def item_order(seed: int, items: int, epochs: int) -> list[list[int]]:
    """Return the order of items in each epoch, from the source's seed."""
    order = random.Random(f"order {seed}")
    return [order.sample(range(items), items) for _ in range(epochs)]


def train_stack(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    sources: Sequence[TrainingSource],
    settings: Lora,
    device: str | torch.device = "cpu",
    progress: Progress | None = None,
    encoding: Encoding = PLAIN,
    trial: Trial | None = None,
) -> list[TrainedAdapter | TrainingFailure]:
    """Trains one adapter a source, all in one pass; the model itself is left as it was.

    The loss is that of the gold choice's tokens given the context, the mean over a batch's answer tokens. If not even
    a row an adapter fits in the device's memory, the stack is trained in halves, one after the other.

    Args:
        model: frozen, on `device`.
        tokenizer: the model's.
        sources: with distinct keys; their sizes may differ.
        settings: of every adapter.
        device: where the model is.
        progress: called after every step.
        encoding: how texts become tokens.
        trial: of adapters on this model; where they do not stack, they are trained one after the other.

    Returns:
        A result a source, in order: one that cannot be trained, for its items or for a NaN, does not stop the others.

    Raises:
        ValueError: target modules the model lacks.
    """
    results: dict[str, TrainedAdapter | TrainingFailure] = {}
    prepared = []
    for source in sources:
        try:
            prepared.append(_prepare(model, tokenizer, source, settings, encoding))
        except ValueError as error:
            results[source.key] = TrainingFailure(source.key, 0, "", f"source {source.key}: {error}", [])
    targets = trial.targets if trial is not None else find_targets(model, settings)
    stacks = [prepared] if prepared else []
    if trial is not None and not trial.stacks:
        stacks = [[one] for one in prepared]
    while stacks:
        stack = stacks.pop(0)
        excess = None
        try:
            for result in StackTraining(model, stack, settings, torch.device(device), progress, targets).run():
                results[result.key] = result
        except StackTooLargeError as error:
            excess = error.with_traceback(None)  # which holds on to the tensors of what was tried
        if excess is None:
            continue
        release_memory()
        if len(stack) == 1:
            results[stack[0].source.key] = excess.failure(stack[0].source.key)
        else:
            half = len(stack) // 2
            stacks = [stack[:half], stack[half:], *stacks]
    return [results[source.key] for source in sources]


def _prepare(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    source: TrainingSource,
    settings: Lora,
    encoding: Encoding,
) -> PreparedSource:
    if not source.items:
        raise ValueError("no items to train on")
    if source.shuffled_labels and settings.best_checkpoint:
        raise ValueError("a placebo is compared without checkpoint selection")
    if settings.best_checkpoint and not source.eval_items:
        raise ValueError("best_checkpoint needs dev items, and it has none")
    items = shuffle_labels(source.items, source.seed) if source.shuffled_labels else source.items
    batches = [
        indices[i : i + settings.batch_size]
        for indices in item_order(source.seed, len(items), settings.epochs)
        for i in range(0, len(items), settings.batch_size)
    ]
    rows, eval_rows = (_rows(model, tokenizer, part, encoding) for part in (items, source.eval_items))
    return PreparedSource(source, rows, eval_rows, batches, math.ceil(len(items) / settings.batch_size))


def _rows(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, items: Sequence[Item], encoding: Encoding
) -> list[TrainingRow]:
    golds = [replace(item, choices=(item.choices[item.gold],), gold=0) for item in items]
    rows = []
    for item, encoded in zip(golds, encode_items(model, tokenizer, golds, encoding), strict=True):
        (answer,) = encoded.choices
        rows.append(
            TrainingRow(item.item_id, torch.tensor(encoded.context + answer), len(answer), encoded.truncated > 0)
        )
    return rows
