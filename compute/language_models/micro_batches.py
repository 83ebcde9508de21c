"""A step's items as micro-batches: which rows go together, as tensors, and the losses of their answers.

Short rows are packed: several of an adapter lie one after the other in a line, none of which sees another, where the
model's attention takes a mask of each token against each (`branching`). Adapters' groups of lines have one shape, and
sums of several rows' lengths differ less than the lengths: there is less padding, and fewer passes are needed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from compute.language_models.branching import branch_arguments, can_branch
from compute.language_models.logits import logits_at
from compute.language_models.memory import to_device

_LAUNCH_FLOP = {"cpu": 3e7, "cuda": 1e11}
"""What a device computes in the time that one linear layer's share of a forward and backward pass takes to start."""

_LINE = {"cpu": 128, "cuda": 1024}
"""Tokens of a line that rows are packed into: attention is computed, and masked, for each token against each."""


@dataclass(frozen=True)
class TrainingRow:
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
    """Rows of several adapters as tensors: lines of one length, equally many an adapter.

    Attributes:
        tokens: fed, int64 [groups * lines, longest line].
        items: of which row of its line, counted from 1, a token is; 0 for padding. Like `tokens`.
        positions: of the tokens in their rows, like `tokens`.
        is_packed: some line holds more than one row.
        row: of each token fed, its row's number among [groups * rows], int64 [tokens fed].
        place: of each token fed, its place in the row, int64 [tokens fed].
        at: of each token fed, its place in `tokens` flattened, int64 [tokens fed].
        places: of the answers' predictions in `tokens` flattened, int64 [answer tokens].
        targets: what is to be predicted there, int64 [answer tokens].
        cells: of the predictions in a table [groups * rows, longest answer], int64 [answer tokens].
        longest_answer: tokens.
        groups: adapters.
        rows: of an adapter, those that are not there included.
    """

    tokens: Tensor
    items: Tensor
    positions: Tensor
    is_packed: bool
    row: Tensor
    place: Tensor
    at: Tensor
    places: Tensor
    targets: Tensor
    cells: Tensor
    longest_answer: int
    groups: int
    rows: int

    def laid_out(self, values: Tensor) -> Tensor:
        """Return what belongs to the tokens of rows, [groups * rows, longest row], where `tokens` has them; else 0."""
        lines = values.new_zeros(self.tokens.numel())
        return lines.index_copy_(0, self.at, values[self.row, self.place]).view(self.tokens.shape)


def line_capacity(model: PreTrainedModel, device: torch.device) -> int:
    """Return tokens of a line that rows are packed into; 0 where each row has a line of its own."""
    return _LINE.get(device.type, _LINE["cuda"]) if can_branch(model) else 0


def groups_of_adapters(tokens: Sequence[int], overhead: float) -> list[list[int]]:
    """Return which adapters' rows go through the model together at least cost: those with about as many tokens.

    A group of n adapters costs n times the most tokens that one of them has, and `overhead` more.

    Args:
        tokens: of each adapter's rows.
        overhead: as for `plan`.

    Returns:
        The adapters' numbers, each once; ascending in each group.
    """
    order = sorted(range(len(tokens)), key=lambda k: -tokens[k])
    bounds = _cheapest(len(order), lambda start, end: overhead + (end - start) * tokens[order[start]])
    return [sorted(order[start:end]) for start, end in pairwise(bounds)]


def plan(lengths: Sequence[Sequence[int]], most_rows: int, overhead: float, capacity: int = 0) -> list[int]:
    """Return where to part a step's rows into micro-batches so that they cost least.

    A micro-batch of n rows an adapter costs as many tokens as it has with padding (packed as evenly as can be), and
    `overhead` more.

    Args:
        lengths: of each adapter's rows, longest first.
        most_rows: of an adapter in a micro-batch.
        overhead: tokens that are computed in the time that a pass takes beside them.
        capacity: of a line, as `line_capacity` has it.

    Returns:
        The first row of each micro-batch, and the number of rows: [0, ..., n].
    """
    size = max(map(len, lengths))
    longest = [max((group[row] for group in lengths if row < len(group)), default=0) for row in range(size)]
    sums = [[0, *accumulate(group)] + [sum(group)] * (size - len(group)) for group in lengths]

    def tokens(start: int, end: int) -> int:
        most = max(group[end] - group[start] for group in sums)
        lines = _lines_needed(most, longest[start], end - start, capacity)
        length = longest[start] if lines == end - start else max(longest[start], math.ceil(most / lines))
        return len(lengths) * lines * length

    return _cheapest(size, lambda start, end: overhead + tokens(start, end), most_rows)


def _cheapest(size: int, cost: Callable[[int, int], float], most: int | None = None) -> list[int]:
    """Return the bounds, [0, ..., size], of the parts, of at most `most` each, whose costs are least in sum."""
    costs, starts = [0.0], [0]
    for end in range(1, size + 1):
        first = max(0, end - most) if most is not None else 0
        least, start = min((costs[start] + cost(start, end), start) for start in range(first, end))
        costs.append(least)
        starts.append(start)
    bounds = [size]
    while bounds[-1]:
        bounds.append(starts[bounds[-1]])
    return bounds[::-1]


def _lines_needed(most: int, longest: int, rows: int, capacity: int) -> int:
    """Lines for `rows` rows of an adapter, of `most` tokens in all, the longest of `longest`."""
    return min(rows, math.ceil(most / max(capacity, longest))) if capacity else rows


def packed(lengths: Sequence[int], lines: int) -> list[list[int]]:
    """Return which rows go into each of so many lines: the longest first, each into the shortest line so far."""
    found: list[list[int]] = [[] for _ in range(lines)]
    filled = [0] * lines
    for row in sorted(range(len(lengths)), key=lambda row: -lengths[row]):
        line = filled.index(min(filled))
        found[line].append(row)
        filled[line] += lengths[row]
    return found


def pass_overhead(model: PreTrainedModel, layers: int, device: torch.device) -> float:
    """Return tokens worth a forward and backward pass beside them, for a model with so many adapted layers; see `plan`.

    A rough figure on purpose: measuring would make the order of sums, and so the last digits, depend on the moment.
    """
    flop_a_token = 4 * sum(parameter.numel() for parameter in model.parameters())
    return _LAUNCH_FLOP.get(device.type, _LAUNCH_FLOP["cuda"]) * layers / flop_a_token


def collate(groups: Sequence[Sequence[TrainingRow]], device: torch.device, capacity: int = 0) -> MicroBatch:
    """Return the rows as tensors, in lines padded on the right; groups that have fewer rows are filled up with empty
    ones.

    Padding on the right needs no mask where a line is a row, since no token looks ahead. It repeats the line's first
    token, so that an embedding that is not finite spoils the lines that hold it only.
    """
    size = max(map(len, groups))
    rows = [row for group in groups for row in group]
    most = max(sum(row.length for row in group) for group in groups)
    lines = _lines_needed(most, max(row.length for row in rows), size, capacity)
    laid: list[tuple[int, int, int, int]] = []
    for g, group in enumerate(groups):
        lay = {
            r: (g * lines + line, item, offset)
            for line, held in enumerate(packed([row.length for row in group], lines))
            for item, (r, offset) in enumerate(
                zip(held, accumulate((group[r].length for r in held), initial=0), strict=False), 1
            )
        }
        laid += [(g * size + r, *lay[r]) for r in range(len(group))]
    number, line, item, offset = torch.tensor(laid).T
    lengths = torch.tensor([row.length for row in rows])
    answers = torch.tensor([row.answer for row in rows])
    longest, longest_answer = int((offset + lengths).max()), int(answers.max())

    firsts = torch.zeros(len(groups) * lines, 1, dtype=torch.int64)
    begins = offset == 0
    firsts[line[begins], 0] = torch.stack([row.tokens[0] for row in rows])[begins]
    tokens = firsts.repeat(1, longest)
    items, positions = torch.zeros_like(tokens), torch.zeros_like(tokens)
    start = line * longest + offset
    of, place = _lines(lengths)
    at = start[of] + place
    tokens.view(-1)[at] = torch.cat([row.tokens[:-1] for row in rows])
    items.view(-1)[at] = item[of]
    positions.view(-1)[at] = place
    of_answer, step = _lines(answers)
    return MicroBatch(
        tokens=to_device(tokens, device),
        items=to_device(items, device),
        positions=to_device(positions, device),
        is_packed=bool((item > 1).any()),
        row=to_device(number[of], device),
        place=to_device(place, device),
        at=to_device(at, device),
        places=to_device((start + lengths - answers)[of_answer] + step, device),
        targets=to_device(torch.cat([row.tokens[-row.answer :] for row in rows]), device),
        cells=to_device(number[of_answer] * longest_answer + step, device),
        longest_answer=longest_answer,
        groups=len(groups),
        rows=size,
    )


def _lines(lengths: Tensor) -> tuple[Tensor, Tensor]:
    """Of lines of these lengths, one after the other: each entry's line, and its place in it."""
    line = torch.repeat_interleave(lengths)
    return line, torch.arange(len(line)) - (lengths.cumsum(0) - lengths)[line]


def answer_losses(model: PreTrainedModel, batch: MicroBatch) -> Tensor:
    """Negative log-likelihood of each row's answer, in nats: float32 [groups, rows]."""
    among = branch_arguments(model, batch.items, batch.positions) if batch.is_packed else {}
    logits = logits_at(model, batch.places, input_ids=batch.tokens, use_cache=False, **among)
    losses = nn.functional.cross_entropy(logits.float(), batch.targets.to(logits.device), reduction="none")
    # A table without two values in a cell is summed in a fixed order; adding up by row would not be, on a GPU.
    cells = losses.new_zeros(batch.groups * batch.rows * batch.longest_answer)
    table = cells.index_put((batch.cells.to(losses.device),), losses)
    return table.view(batch.groups, batch.rows, -1).sum(2)
