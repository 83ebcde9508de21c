"""Training several LoRA adapters in one pass over a frozen base, each as if it were alone.

Adapters meet only in the base's matrix products. Each has its own order of items, loss, clipping, learning-rate
schedule and AdamW state, and leaves the stack when its steps are done, so that in float32 the result is that of
training one by one, up to the rounding of sums of other lengths: the tests hold matrices to 1e-3 of their greatest
entry after tens of steps, losses to 1e-4. With dropout the draws depend on the padding, and so on the company.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from compute.language_models import Progress
from compute.language_models.encoding import EncodedItem, encode_items, pad_left, positions
from compute.language_models.lora import Adapter, LoraStack, initial_adapter
from compute.language_models.settings import Lora
from compute.tasks.task import Item

_IGNORED = -100


@dataclass(frozen=True)
class TrainingSource:
    """What one adapter is trained on.

    Attributes:
        key: names it in results.
        items: trained on, in a new order each epoch.
        eval_items: for `eval_loss` after each epoch, and the best checkpoint; may be empty.
        seed: of A's first values and the order; a source and its placebo of one seed share both.
        shuffled_labels: the placebo: the items' gold indices are permuted among them.
    """

    key: str
    items: Sequence[Item]
    eval_items: Sequence[Item] = ()
    seed: int = 0
    shuffled_labels: bool = False


@dataclass(frozen=True)
class TrainingLogRow:
    """One step of one adapter, as in `raw.training_log`: `tokens` without padding so far, losses in nats an answer
    token, `eval_loss` where an epoch ends, `seconds` since the stack's start."""

    step: int
    epoch: float
    tokens: int
    loss: float
    eval_loss: float | None
    learning_rate: float
    seconds: float


@dataclass(frozen=True)
class TrainedAdapter:
    """An adapter that finished."""

    key: str
    adapter: Adapter
    log: list[TrainingLogRow]


@dataclass(frozen=True)
class TrainingFailure:
    """An adapter whose loss or gradient became NaN or infinite; `item_id` is of the first item to blame."""

    key: str
    step: int
    item_id: str
    reason: str
    log: list[TrainingLogRow]


@dataclass
class _Run:
    """An adapter in training."""

    source: TrainingSource
    items: list[Item]
    encoded: list[EncodedItem]
    eval_encoded: list[EncodedItem]
    batches: list[list[int]]
    batches_an_epoch: int
    tokens: int = 0
    log: list[TrainingLogRow] = field(default_factory=list)
    failure: TrainingFailure | None = None
    best: tuple[float, Adapter] | None = None


def shuffle_labels(items: Sequence[Item], seed: int) -> list[Item]:
    """The items with their gold indices permuted among them: as many of each label, none tied to its question."""
    golds = [item.gold for item in items]
    random.Random(f"placebo {seed}").shuffle(golds)
    return [replace(item, gold=gold % len(item.choices)) for item, gold in zip(items, golds, strict=True)]


def train_stack(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    sources: Sequence[TrainingSource],
    settings: Lora,
    device: str | torch.device = "cpu",
    progress: Progress | None = None,
) -> list[TrainedAdapter | TrainingFailure]:
    """Trains one adapter a source, all in one pass; the model itself is left as it was.

    The loss is that of the gold choice's tokens given the context, the mean over a batch's answer tokens.

    Args:
        model: frozen, on `device`.
        tokenizer: the model's.
        sources: with distinct keys; their sizes may differ.
        settings: of every adapter.
        device: where the model is.
        progress: called after every step.

    Returns:
        A result a source, in order: one adapter's NaN does not stop the others.

    Raises:
        ValueError: a source without items; a placebo beside `best_checkpoint`; target modules the model lacks.
    """
    for source in sources:
        if not source.items:
            raise ValueError(f"source {source.key}: no items to train on")
        if source.shuffled_labels and settings.best_checkpoint:
            raise ValueError(f"source {source.key}: a placebo is compared without checkpoint selection")
        if settings.best_checkpoint and not source.eval_items:
            raise ValueError(f"source {source.key}: best_checkpoint needs evaluation items")
    runs = [_prepare(model, tokenizer, source, settings) for source in sources]
    steps = [len(run.batches) for run in runs]
    start = time.monotonic()
    stack = LoraStack(model, [initial_adapter(model, settings, source.seed) for source in sources])
    with stack, stack.dropout(settings.dropout, [source.seed for source in sources]):
        optimizer = _StackedAdamW(stack.parameters(), settings)
        for step in range(1, max(steps) + 1):
            stack.active = [k for k, run in enumerate(runs) if run.failure is None and step <= steps[k]]
            if not stack.active:
                break
            batches = [[runs[k].encoded[i] for i in runs[k].batches[step - 1]] for k in stack.active]
            golds = [[runs[k].items[i].gold for i in runs[k].batches[step - 1]] for k in stack.active]
            item_losses, answer_tokens = _losses(model, tokenizer, batches, golds, device)
            losses = item_losses.sum(1) / answer_tokens
            torch.autograd.backward(losses.sum())
            rates = {k: settings.learning_rate * _share_of_peak(step, steps[k], settings) for k in stack.active}
            norms = optimizer.step(stack.active, [rates[k] for k in stack.active])
            seconds = time.monotonic() - start
            for place, k in enumerate(stack.active):
                run, loss = runs[k], losses[place].item()
                if not (math.isfinite(loss) and math.isfinite(norms[place])):
                    run.failure = _failure(run, step, item_losses[place], loss)
                    continue
                run.tokens += sum(
                    len(item.context) + len(item.choices[gold])
                    for item, gold in zip(batches[place], golds[place], strict=True)
                )
                epoch = step / run.batches_an_epoch
                run.log.append(TrainingLogRow(step, epoch, run.tokens, loss, None, rates[k], seconds))
            _evaluate_epochs(model, tokenizer, stack, runs, step, settings, device)
            if progress is not None:
                progress(step, max(steps), f"training {len(stack.active)} adapters")
        results: list[TrainedAdapter | TrainingFailure] = []
        for k, run in enumerate(runs):
            adapter = run.best[1] if run.best is not None else stack.adapter(k)
            results.append(run.failure or TrainedAdapter(run.source.key, adapter, run.log))
    return results


def _prepare(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, source: TrainingSource, settings: Lora
) -> _Run:
    items = shuffle_labels(source.items, source.seed) if source.shuffled_labels else list(source.items)
    order = random.Random(f"order {source.seed}")
    batches = []
    for _ in range(settings.epochs):
        indices = order.sample(range(len(items)), len(items))
        batches += [indices[i : i + settings.batch_size] for i in range(0, len(items), settings.batch_size)]
    return _Run(
        source, items, encode_items(model, tokenizer, items), encode_items(model, tokenizer, source.eval_items),
        batches, math.ceil(len(items) / settings.batch_size),
    )  # fmt: skip


def _losses(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    batches: Sequence[Sequence[EncodedItem]],
    golds: Sequence[Sequence[int]],
    device: str | torch.device,
) -> tuple[Tensor, Tensor]:
    """Summed loss of each item's answer [groups, items of the largest batch], and answer tokens a group [groups].

    Padding on the left puts all answers last, so that logits are made for the longest answer's positions only.
    """
    size = max(map(len, batches))
    pad = tokenizer.pad_token_id
    rows: list[list[int]] = []
    answers: list[list[int]] = []
    for batch, chosen in zip(batches, golds, strict=True):
        answers += [item.choices[gold] for item, gold in zip(batch, chosen, strict=True)]
        rows += [item.context + item.choices[gold] for item, gold in zip(batch, chosen, strict=True)]
        # A short last batch is filled up with rows that have no answer.
        answers += [[]] * (size - len(batch))
        rows += [[pad]] * (size - len(batch))
    longest = max(map(len, answers))
    ids, mask = pad_left(rows, pad, device)
    labels = torch.tensor([[_IGNORED] * (longest - len(answer)) + answer for answer in answers], device=device)
    logits = model(
        input_ids=ids, attention_mask=mask, position_ids=positions(mask), logits_to_keep=longest + 1, use_cache=False
    ).logits[:, -longest - 1 : -1]
    losses = nn.functional.cross_entropy(
        logits.float().transpose(1, 2), labels, ignore_index=_IGNORED, reduction="none"
    )
    answer_tokens = (labels != _IGNORED).view(len(batches), -1).sum(1)
    return losses.sum(1).view(len(batches), size), answer_tokens


def _share_of_peak(step: int, steps: int, settings: Lora) -> float:
    """Share of the peak learning rate at a step counted from 1: linear warm-up, then linear to zero."""
    warmup = math.ceil(settings.warmup * steps)
    if step <= warmup:
        return step / warmup
    return (steps - step + 1) / (steps - warmup)


class _StackedAdamW:
    """AdamW (Loshchilov and Hutter, arXiv 1711.05101) as torch's, a rate and a clipped norm for each adapter.

    All adapters of a step have taken as many steps before, so that bias corrections are shared.
    """

    betas, epsilon = (0.9, 0.999), 1e-8

    def __init__(self, parameters: Sequence[nn.Parameter], settings: Lora) -> None:
        self.parameters = parameters
        self.settings = settings
        self.means = [torch.zeros_like(p) for p in parameters]
        self.squares = [torch.zeros_like(p) for p in parameters]
        self.steps = 0

    @torch.no_grad()
    def step(self, active: Sequence[int], rates: Sequence[float]) -> list[float]:
        """Updates the active adapters from `.grad`, clears it; returns their gradients' norms before clipping.

        An adapter whose norm is not finite is not updated.
        """
        self.steps += 1
        device = self.parameters[0].device
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        norms = torch.stack([g.square().sum((1, 2)) for g in gradients]).sum(0).sqrt()
        clip = (self.settings.max_grad_norm / (norms + 1e-6)).clamp(max=1.0)
        rate = torch.zeros_like(norms)
        rate[list(active)] = torch.tensor(rates, device=device, dtype=rate.dtype)
        rate = torch.where(norms.isfinite(), rate, 0.0)
        clip, rate = clip[:, None, None], rate[:, None, None]
        beta1, beta2 = self.betas
        for p, g, mean, square in zip(self.parameters, gradients, self.means, self.squares, strict=True):
            g = torch.nan_to_num(g * clip)
            mean.lerp_(g, 1 - beta1)
            square.mul_(beta2).addcmul_(g, g, value=1 - beta2)
            p.mul_(1 - rate * self.settings.weight_decay)
            denominator = (square / (1 - beta2**self.steps)).sqrt_().add_(self.epsilon)
            p.sub_(rate / (1 - beta1**self.steps) * mean / denominator)
            p.grad = None
        return norms[list(active)].tolist()


def _failure(run: _Run, step: int, item_losses: Tensor, loss: float) -> TrainingFailure:
    batch = run.batches[step - 1]
    broken = [i for i, value in zip(batch, item_losses.tolist(), strict=False) if not math.isfinite(value)]
    item_id = run.items[broken[0] if broken else batch[0]].item_id
    what = f"the loss is {loss}" if not math.isfinite(loss) else "the gradient is not finite"
    reason = f"source {run.source.key}: {what} at step {step} of {len(run.batches)}, item {item_id}"
    return TrainingFailure(run.source.key, step, item_id, reason, run.log)


@torch.no_grad()
def _evaluate_epochs(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    stack: LoraStack,
    runs: Sequence[_Run],
    step: int,
    settings: Lora,
    device: str | torch.device,
) -> None:
    """Adds `eval_loss` to the last log row of each adapter whose epoch ends, and keeps the best if asked to."""
    for k in stack.active:
        run = runs[k]
        if run.failure is not None or not run.eval_encoded or step % run.batches_an_epoch:
            continue
        alone, stack.active = stack.active, [k]
        golds = [item.gold for item in run.source.eval_items]
        total, tokens = 0.0, 0
        for i in range(0, len(golds), settings.batch_size):
            part = slice(i, i + settings.batch_size)
            losses, count = _losses(model, tokenizer, [run.eval_encoded[part]], [golds[part]], device)
            total, tokens = total + losses.sum().item(), tokens + int(count.sum())
        stack.active = alone
        run.log[-1] = replace(run.log[-1], eval_loss=total / tokens)
        if settings.best_checkpoint and (run.best is None or total / tokens < run.best[0]):
            run.best = (total / tokens, stack.adapter(k))
