"""The loop that trains a stack, read top to bottom: steps of micro-batches, looks at the losses, evaluations."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from itertools import pairwise

import torch
from torch import Tensor
from transformers import PreTrainedModel

from compute.language_models import Progress
from compute.language_models.adapters import Adapter, initial_adapter
from compute.language_models.dropout import row_keys, token_keys
from compute.language_models.kernels import quick_kernels
from compute.language_models.lora import LoraStack
from compute.language_models.memory import release_memory, to_device
from compute.language_models.micro_batches import (
    TrainingRow,
    answer_losses,
    collate,
    groups_of_adapters,
    line_capacity,
    pass_overhead,
    plan,
)
from compute.language_models.optimiser import StackedAdamW, share_of_peak
from compute.language_models.regimes import regime_of
from compute.language_models.settings import Lora
from compute.language_models.targets import Targets, find_targets
from compute.language_models.training_records import TrainedAdapter, TrainingFailure, TrainingLogRow, TrainingSource

_STEPS_A_LOOK = 10
"""Losses are read from the device, and looked at, every so many steps: reading waits for all that is queued."""


@dataclass(frozen=True)
class PreparedSource:
    """A source's items as rows, and the rows of each step's batch."""

    source: TrainingSource
    rows: list[TrainingRow]
    eval_rows: list[TrainingRow]
    batches: list[list[int]]
    batches_an_epoch: int


@dataclass
class _Run:
    """An adapter in training."""

    prepared: PreparedSource
    tokens: int = 0
    log: list[TrainingLogRow] = field(default_factory=list)
    failure: TrainingFailure | None = None
    best: tuple[float, Adapter] | None = None
    on_the_way: dict[float, Adapter] = field(default_factory=dict)

    @property
    def steps(self) -> int:
        return len(self.prepared.batches)

    def batch(self, step: int) -> list[TrainingRow]:
        return [self.prepared.rows[i] for i in self.prepared.batches[step - 1]]

    def ends_epoch(self, step: int) -> bool:
        return step % self.prepared.batches_an_epoch == 0

    def fractions_at(self, step: int) -> list[float]:
        """Return the fractions whose last step this is, a part of a step counting as one."""
        # To nine decimals: 0.1 of 30 steps are 3.
        return [f for f in self.prepared.source.fractions if math.ceil(round(f * self.steps, 9)) == step]


@dataclass(frozen=True)
class _Step:
    """What a step left on the device, until it is looked at.

    `losses` is [active], `norms` [adapters], `item_losses` [active, rows] of the rows in `rows`.
    """

    step: int
    active: list[int]
    rows: list[list[TrainingRow]]
    losses: Tensor
    norms: Tensor
    item_losses: Tensor
    rates: list[float]
    seconds: float


class StackTooLargeError(Exception):
    """Memory is not enough for the stack: at a row an adapter, or before any step (`row` None)."""

    def __init__(self, device: torch.device, step: int = 0, row: TrainingRow | None = None) -> None:
        self.device, self.step, self.row = device, step, row

    def failure(self, key: str) -> TrainingFailure:
        """Of an adapter that was alone."""
        if self.row is None:
            reason = f"source {key}: the memory of {self.device} is too small for an adapter and its optimiser's state"
            return TrainingFailure(key, 0, "", reason, [])
        what = f"item {self.row.item_id} of {len(self.row.tokens)} tokens"
        reason = f"source {key}: {what} does not fit in the memory of {self.device}, not even alone"
        return TrainingFailure(key, self.step, self.row.item_id, reason, [])


class _SmallerPasses(Exception):
    """What was computed of a step is to be computed again, in passes of fewer rows."""


class StackTraining:
    """One pass over one stack."""

    def __init__(
        self,
        model: PreTrainedModel,
        prepared: Sequence[PreparedSource],
        settings: Lora,
        device: torch.device,
        progress: Progress | None,
        targets: Targets | None = None,
    ) -> None:
        self.targets = targets or find_targets(model, settings)
        self.model, self.settings, self.device, self.progress = model, settings, device, progress
        self.runs = [_Run(source) for source in prepared]
        self.steps = max(run.steps for run in self.runs)
        self.most_rows = settings.batch_size
        self.pending: list[_Step] = []
        self.start = time.monotonic()
        self.text = ""

    def run(self) -> list[TrainedAdapter | TrainingFailure]:
        """Return the loop.

        Raises:
            StackTooLargeError: memory is not enough for all these adapters at once.
        """
        try:
            return self._run()
        except torch.OutOfMemoryError:
            pass
        # Outside of the handler: the exception holds on to what was tried.
        raise StackTooLargeError(self.device)

    def _run(self) -> list[TrainedAdapter | TrainingFailure]:
        seeds = [run.prepared.source.seed for run in self.runs]
        adapters = [initial_adapter(self.model, self.settings, seed, self.targets) for seed in seeds]
        self.stack = LoraStack(self.model, adapters)
        self.stack.require_gradients()
        self.optimiser = StackedAdamW(self.stack, self.settings)
        self.overhead = pass_overhead(self.model, len(adapters[0].matrices), self.device)
        self.capacity = line_capacity(self.model, self.device)
        self.regime = regime_of(self.model)
        with self.stack:
            for step in range(1, self.steps + 1):
                active = [k for k, run in enumerate(self.runs) if run.failure is None and step <= run.steps]
                if not active:
                    break
                self.stack.active = active
                self._step(step)
                for k in active:
                    for fraction in self.runs[k].fractions_at(step):
                        self.runs[k].on_the_way[fraction] = self.stack.adapter(k)
                ending = [k for k in active if self.runs[k].ends_epoch(step) and self.runs[k].prepared.eval_rows]
                if ending or step % _STEPS_A_LOOK == 1 or step == self.steps:
                    self._look()
                self._evaluate([k for k in ending if self.runs[k].failure is None], step)
                if self.progress is not None:
                    self.progress(step, self.steps, self.text)
            self._look()
            return [self._result(k) for k in range(len(self.runs))]

    def _result(self, k: int) -> TrainedAdapter | TrainingFailure:
        run = self.runs[k]
        adapter = run.best[1] if run.best is not None else self.stack.adapter(k)
        return run.failure or TrainedAdapter(run.prepared.source.key, adapter, run.log, run.on_the_way)

    def _step(self, step: int) -> None:
        """One step of the active adapters."""
        active = self.stack.active
        batches = [self.runs[k].batch(step) for k in active]
        # Longest first. Dropout draws by the place in the batch, which a sort by length does not change.
        orders = [sorted(range(len(batch)), key=lambda i: -batch[i].length) for batch in batches]
        rows = [[batch[i] for i in order] for batch, order in zip(batches, orders, strict=True)]
        names = [
            [f"{self.runs[k].prepared.source.seed} {step} {i}" for i in order]
            for k, order in zip(active, orders, strict=True)
        ]
        answer_tokens = torch.tensor([sum(row.answer for row in batch) for batch in batches])
        answer_tokens = to_device(answer_tokens, self.device)
        item_losses = self._item_losses(step, rows, answer_tokens, names)
        rates = [
            self.settings.learning_rate * share_of_peak(step, self.runs[k].steps, self.settings.warmup) for k in active
        ]
        norms = self.optimiser.step(rates)
        losses = item_losses.sum(1) / answer_tokens
        seconds = time.monotonic() - self.start
        self.pending.append(_Step(step, active, rows, losses, norms, item_losses, rates, seconds))

    def _item_losses(
        self,
        step: int,
        rows: Sequence[Sequence[TrainingRow]],
        answer_tokens: Tensor | None = None,
        names: Sequence[Sequence[str]] | None = None,
    ) -> Tensor:
        """Summed loss of each row's answer, [groups, rows of the largest group], in as few passes as memory allows and
        unlike lengths make worth while.

        With `answer_tokens`, by which the sums are divided, gradients are left in the stack. With `names` of the rows
        there is dropout.
        """
        active, size = self.stack.active, max(map(len, rows))
        regimes = sorted({self.regime(row.length) for group in rows for row in group})
        parts = [self._alike(rows, regime) for regime in regimes]
        while True:
            try:
                losses = torch.zeros(len(rows), size, device=self.device)
                for part in parts:
                    lengths = [sum(rows[i][r].length for r in part[i]) for i in part]
                    for group in groups_of_adapters(lengths, self.overhead):
                        chosen = {i: part[i] for i in (list(part)[place] for place in group)}
                        self.stack.active = [active[i] for i in chosen]
                        found = self._group_losses(
                            step,
                            [[rows[i][r] for r in places] for i, places in chosen.items()],
                            None if answer_tokens is None else answer_tokens.index_select(0, self._index([*chosen])),
                            None if names is None else [[names[i][r] for r in places] for i, places in chosen.items()],
                        )
                        at = [i * size + r for i, places in chosen.items() for r in places]
                        width = found.shape[1]
                        of = [g * width + k for g, places in enumerate(chosen.values()) for k in range(len(places))]
                        losses.view(-1)[self._index(at)] = found.flatten()[self._index(of)]
                self.stack.active = active
                return losses
            except _SmallerPasses:
                self.stack.zero_gradients()
                release_memory()

    def _alike(self, rows: Sequence[Sequence[TrainingRow]], regime: int) -> dict[int, list[int]]:
        """Of each group that has rows of a regime: which."""
        found = {
            i: [r for r, row in enumerate(group) if self.regime(row.length) == regime] for i, group in enumerate(rows)
        }
        return {i: places for i, places in found.items() if places}

    def _index(self, numbers: Sequence[int]) -> Tensor:
        return to_device(torch.tensor(numbers), self.device)

    def _group_losses(
        self,
        step: int,
        rows: Sequence[Sequence[TrainingRow]],
        answer_tokens: Tensor | None,
        names: Sequence[Sequence[str]] | None,
    ) -> Tensor:
        """Return the same of the adapters that are active.

        Raises:
            _SmallerPasses: memory was not enough; from now on passes have fewer rows.
            StackTooLargeError: it is not enough for a row an adapter.
        """
        lengths = [[row.length for row in group] for group in rows]
        passes = plan(lengths, self.most_rows, self.overhead, self.capacity)
        largest = max(end - start for start, end in pairwise(passes))
        try:
            parts = []
            for start, end in pairwise(passes):
                part = [group[start:end] for group in rows]
                keys = None if names is None else [group[start:end] for group in names]
                parts.append(self._pass(part, answer_tokens, keys))
            return torch.cat(parts, 1)
        except torch.OutOfMemoryError:
            pass
        # Outside of the handler: the exception holds on to the failed pass.
        if largest == 1:
            raise StackTooLargeError(self.device, step, max((r for g in rows for r in g), key=lambda row: row.length))
        self.most_rows = (largest + 1) // 2
        raise _SmallerPasses

    def _pass(
        self, rows: Sequence[Sequence[TrainingRow]], answer_tokens: Tensor | None, names: Sequence[Sequence[str]] | None
    ) -> Tensor:
        batch = collate(rows, self.device, self.capacity)
        dropout: AbstractContextManager[None] = nullcontext()
        if names is not None and self.settings.dropout:
            filled = [[*group, *[""] * (batch.rows - len(group))] for group in names]
            keys = to_device(row_keys([name for group in filled for name in group]), self.device)
            dropout = self.stack.dropout(self.settings.dropout, batch.laid_out(token_keys(keys, batch.tokens.shape[1])))
        with quick_kernels(self.model, batch.tokens.shape[1]):
            with dropout:
                losses = answer_losses(self.model, batch).to(self.device)
            if answer_tokens is not None:
                self.stack.add_gradients((losses.sum(1) / answer_tokens).sum())
        return losses.detach()

    def _look(self) -> None:
        """Read what the last steps left: log it, or fail what is no longer a number."""
        if not self.pending:
            return
        steps, self.pending = self.pending, []
        values = iter(torch.cat([part for step in steps for part in (step.losses, step.norms)]).tolist())
        for step in steps:
            losses, norms = [next(values) for _ in step.active], [next(values) for _ in self.runs]
            for place, k in enumerate(step.active):
                if self.runs[k].failure is None:
                    self._log(k, step, place, losses[place], norms[k])
        finite = [self.runs[k].log[-1].loss for k in steps[-1].active if self.runs[k].failure is None]
        tokens = sum(run.tokens for run in self.runs) / max(time.monotonic() - self.start, 1e-9)
        adapters = f"{len(finite)} adapter{'s' if len(finite) != 1 else ''}"
        mean = sum(finite) / len(finite) if finite else math.nan
        self.text = f"training {adapters}: loss {mean:.3f}, {tokens:,.0f} tokens/s"

    def _log(self, k: int, step: _Step, place: int, loss: float, norm: float) -> None:
        run, rows = self.runs[k], step.rows[place]
        key = run.prepared.source.key
        if not (math.isfinite(loss) and math.isfinite(norm)):
            item_losses = step.item_losses[place, : len(rows)].tolist()
            broken = [row for row, value in zip(rows, item_losses, strict=True) if not math.isfinite(value)]
            item_id = (self._broken(k, broken) if broken else rows[0]).item_id
            what = f"the loss is {loss}" if not math.isfinite(loss) else "the gradient is not finite"
            reason = f"source {key}: {what} at step {step.step} of {run.steps}, item {item_id}"
            run.failure = TrainingFailure(key, step.step, item_id, reason, run.log)
            return
        run.tokens += sum(len(row.tokens) for row in rows)
        epoch = step.step / run.prepared.batches_an_epoch
        truncated = sum(row.truncated for row in rows)
        run.log.append(
            TrainingLogRow(step.step, epoch, run.tokens, loss, None, step.rates[place], step.seconds, truncated)
        )

    @torch.no_grad()
    def _broken(self, k: int, rows: Sequence[TrainingRow]) -> TrainingRow:
        """Of rows whose losses are no numbers, the first that has none by itself either, over what is a number in the
        failed adapter: a row spoils all that share a line with it. If all are well, the first."""
        for vector in self.stack.trained(k):
            vector.nan_to_num_(0.0, 0.0, 0.0)
        active, self.stack.active = self.stack.active, [k]
        self.stack.refresh()
        found = next((row for row in rows if not self._pass([[row]], None, None).isfinite().all()), rows[0])
        self.stack.active = active
        return found

    @torch.no_grad()
    def _evaluate(self, ending: Sequence[int], step: int) -> None:
        """Adds `eval_loss` to the last log row of the adapters whose epoch ends, and keeps the best if asked to.

        One whose loss is not a number fails.
        """
        if not ending:
            return
        self.stack.active = ending
        orders, rows = [], []
        for k in ending:
            eval_rows = self.runs[k].prepared.eval_rows
            orders.append(sorted(range(len(eval_rows)), key=lambda i: -eval_rows[i].length))
            rows.append([eval_rows[i] for i in orders[-1]])
        item_losses = self._item_losses(step, rows).tolist()
        size = self.settings.batch_size
        for k, order, losses in zip(ending, orders, item_losses, strict=True):
            run, by_item = self.runs[k], dict(zip(order, losses, strict=False))
            total = 0.0
            for start in range(0, len(order), size):
                batch = range(start, min(start + size, len(order)))
                tokens = sum(run.prepared.eval_rows[i].answer for i in batch)
                total += len(batch) * sum(by_item[i] for i in batch) / tokens
            loss = total / len(order)
            if not math.isfinite(loss):
                broken = [i for i in range(len(order)) if not math.isfinite(by_item[i])] or [0]
                item_id = self._broken(k, [run.prepared.eval_rows[i] for i in broken]).item_id
                key = run.prepared.source.key
                reason = f"source {key}: the evaluation loss is {loss} at step {step} of {run.steps}, item {item_id}"
                run.failure = TrainingFailure(key, step, item_id, reason, run.log)
                continue
            run.log[-1] = replace(run.log[-1], eval_loss=loss)
            if self.settings.best_checkpoint and (run.best is None or loss < run.best[0]):
                run.best = (loss, self.stack.adapter(k))
