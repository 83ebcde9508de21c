"""A step's items as micro-batches: which rows go together, as tensors, and the losses of their answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from compute.language_models.logits import logits_at
from compute.language_models.memory import to_device

_LAUNCH_FLOP = {"cpu": 3e7, "cuda": 1e11}
"""What a device computes in the time that one linear layer's share of a forward and backward pass takes to start."""


@dataclass(frozen=True)
class Row:
    """One item as trained on.

    Attributes:
        item_id: the item's.
        tokens: the context and the gold choice after it, int64 [tokens].
        answer: tokens of the choice.
        truncated: the context was cut to fit the model.
    """

    item_id: str
    tokens: Tensor
    answer: int
    truncated: bool

    @property
    def length(self) -> int:
        """Tokens that are fed: the last one is only predicted."""
        return len(self.tokens) - 1


@dataclass(frozen=True)
class MicroBatch:
    """Rows of several adapters, one group of equal size each, as tensors.

    Attributes:
        tokens: fed, int64 [groups * rows, longest].
        places: of the answers' predictions in `tokens` flattened, int64 [answer tokens].
        targets: what is to be predicted there, int64 [answer tokens].
        cells: of the predictions in a table [groups * rows, longest answer], int64 [answer tokens].
        longest_answer: tokens.
        groups: adapters.
    """

    tokens: Tensor
    places: Tensor
    targets: Tensor
    cells: Tensor
    longest_answer: int
    groups: int


def plan(lengths: Sequence[Sequence[int]], most_rows: int, overhead: float) -> list[int]:
    """Where to part a step's rows into micro-batches so that they cost least.

    A micro-batch of n rows an adapter costs as many tokens as it has with padding, and `overhead` more.

    Args:
        lengths: of each adapter's rows, longest first.
        most_rows: of an adapter in a micro-batch.
        overhead: tokens that are computed in the time that a pass takes beside them.

    Returns:
        The first row of each micro-batch, and the number of rows: [0, ..., n].
    """
    size = max(map(len, lengths))
    longest = [max((group[row] for group in lengths if row < len(group)), default=0) for row in range(size)]
    costs, starts = [0.0], [0]
    for end in range(1, size + 1):
        options = [
            (costs[start] + overhead + len(lengths) * (end - start) * longest[start], start)
            for start in range(max(0, end - most_rows), end)
        ]
        cost, start = min(options)
        costs.append(cost)
        starts.append(start)
    bounds = [size]
    while bounds[-1]:
        bounds.append(starts[bounds[-1]])
    return bounds[::-1]


def pass_overhead(model: PreTrainedModel, layers: int, device: torch.device) -> float:
    """Tokens worth a forward and backward pass beside them, for a model with so many adapted layers; see `plan`.

    A rough figure on purpose: measuring would make the order of sums, and so the last digits, depend on the moment.
    """
    flop_a_token = 4 * sum(parameter.numel() for parameter in model.parameters())
    return _LAUNCH_FLOP.get(device.type, _LAUNCH_FLOP["cuda"]) * layers / flop_a_token


def collate(groups: Sequence[Sequence[Row]], device: torch.device) -> MicroBatch:
    """The rows as tensors, padded on the right; groups that have fewer rows are filled up with rows without answer.

    Padding on the right needs no mask, since no token looks ahead, and the places are those of the row alone. It
    repeats the row's first token, so that an embedding that is not finite spoils the items that hold it only.
    """
    size = max(map(len, groups))
    rows = [row for group in groups for row in group]
    numbers = torch.tensor([g * size + r for g, group in enumerate(groups) for r in range(len(group))])
    lengths = torch.tensor([row.length for row in rows])
    answers = torch.tensor([row.answer for row in rows])
    longest, longest_answer = int(lengths.max()), int(answers.max())

    first = torch.zeros(len(groups) * size, 1, dtype=torch.int64)
    first[numbers, 0] = torch.stack([row.tokens[0] for row in rows])
    tokens = first.repeat(1, longest)
    line, place = _lines(lengths)
    tokens[numbers[line], place] = torch.cat([row.tokens[:-1] for row in rows])
    line, place = _lines(answers)
    return MicroBatch(
        tokens=to_device(tokens, device),
        places=to_device(numbers[line] * longest + (lengths - answers)[line] + place, device),
        targets=to_device(torch.cat([row.tokens[-row.answer :] for row in rows]), device),
        cells=to_device(numbers[line] * longest_answer + place, device),
        longest_answer=longest_answer,
        groups=len(groups),
    )


def _lines(lengths: Tensor) -> tuple[Tensor, Tensor]:
    """Of lines of these lengths, one after the other: each entry's line, and its place in it."""
    line = torch.repeat_interleave(lengths)
    return line, torch.arange(len(line)) - (lengths.cumsum(0) - lengths)[line]


def answer_losses(model: PreTrainedModel, batch: MicroBatch) -> Tensor:
    """Negative log-likelihood of each row's answer, in nats: float32 [groups, rows]."""
    logits = logits_at(model, batch.places, input_ids=batch.tokens, use_cache=False)
    losses = nn.functional.cross_entropy(logits.float(), batch.targets.to(logits.device), reduction="none")
    rows = len(batch.tokens)
    # A table without two values in a cell is summed in a fixed order; adding up by row would not be, on a GPU.
    table = losses.new_zeros(rows * batch.longest_answer).index_put((batch.cells.to(losses.device),), losses)
    return table.view(batch.groups, rows // batch.groups, -1).sum(2)
