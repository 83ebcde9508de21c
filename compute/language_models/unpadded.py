"""Rows of unlike length one after another in a single line of tokens, so that nothing is computed for padding.

All that a model does token by token is done on the line, [1, tokens]. Attention alone sets the rows side by side,
[rows, n]: transformers' function for it is replaced while the model runs. Query heads that share a key head are read
as more queries of it, so that keys and values are not repeated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from compute.language_models.branching import BRANCHING, BranchedRow, can_branch, row_masks
from compute.language_models.kernels import has_quick_kernels

_BY_ITSELF = frozenset({"falcon"})
"""Of the families whose rows may branch, those whose attention is not a function that can be replaced."""

# The others call their layers `layers`, and what follows a layer's attention `mlp`: see `last_layer_at`.

_SHORT = 128
"""Tokens of a row; longer ones go by blocks."""


def can_be_unpadded(model: PreTrainedModel) -> bool:
    """Return whether rows of this model can be read in a line, and it is worth it."""
    config = model.config.get_text_config(decoder=True)
    return (
        can_branch(model)
        and model.config.model_type in BRANCHING - _BY_ITSELF
        and getattr(config, "_attn_implementation", None) == "sdpa"
        and has_quick_kernels(model)
    )


@dataclass(frozen=True)
class Line:
    """Rows in a line, each of at least one token."""

    rows: Sequence[BranchedRow]

    @cached_property
    def longest(self) -> int:
        """Tokens of the longest row."""
        return max(len(row.tokens) for row in self.rows)

    @cached_property
    def starts(self) -> list[int]:
        """Where each row begins."""
        starts = [0]
        for row in self.rows[:-1]:
            starts.append(starts[-1] + len(row.tokens))
        return starts

    def arguments(self, model: PreTrainedModel) -> dict[str, Any]:
        """Return what to call the model with; its masks are by row, [rows, 1, n, n], for `attention`."""
        tokens = torch.tensor([[token for row in self.rows for token in row.tokens]], device=model.device)
        positions = torch.tensor([[place for row in self.rows for place in row.positions]], device=model.device)
        masks = row_masks(model, self.rows)
        return {"input_ids": tokens, "position_ids": positions, "attention_mask": masks, "use_cache": False}

    @contextmanager
    def attention(self) -> Iterator[None]:
        """Attend within rows in the block, wherever a model asks for `sdpa`."""
        functions: Any = ALL_ATTENTION_FUNCTIONS
        functions["sdpa"] = _Attention(self)
        try:
            yield
        finally:
            del functions["sdpa"]


@contextmanager
def last_layer_at(model: PreTrainedModel, places: Tensor) -> Iterator[None]:
    """Compute the last layer's feed-forward part, which looks at no other token, at `places` of a line alone: what is
    elsewhere goes nowhere. It is 0 there."""
    part = model.get_decoder().layers[-1].mlp
    tokens: list[int] = []

    def pick(module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        tokens.append(inputs[0].shape[1])
        return (inputs[0].index_select(1, places),)

    def lay_back(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        return output.new_zeros(1, tokens.pop(), output.shape[-1]).index_copy_(1, places, output)

    handles = [part.register_forward_pre_hook(pick), part.register_forward_hook(lay_back)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


class _Attention:
    """What transformers calls for attention; indices are made once for all layers of as many heads."""

    def __init__(self, line: Line) -> None:
        n = line.longest
        tokens = torch.arange(n)
        self.side_by_side = torch.stack([start + tokens.clamp(max=len(row.tokens) - 1)
                                         for start, row in zip(line.starts, line.rows, strict=True)])  # fmt: skip
        """int64 [rows, n]: numbers of tokens in the line, a row's last in the place of padding."""
        self.row = torch.cat([torch.full((len(row.tokens),), number) for number, row in enumerate(line.rows)])
        self.place = torch.cat([tokens[: len(row.tokens)] for row in line.rows])
        self.indices: dict[tuple[int, int], tuple[Tensor, Tensor, Tensor]] = {}

    def __call__(
        self,
        module: nn.Module,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attention_mask: Tensor,
        scaling: float | None = None,
        softcap: float | None = None,
        **_: Any,
    ) -> tuple[Tensor, None]:
        """[1, heads, tokens, d], [1, key heads, tokens, d] and a mask [rows, 1, n, n] that is added ->
        [1, tokens, heads, d]."""
        if softcap is not None:
            raise ValueError("sdpa attention does not cap its scores")
        heads, shared = query.shape[1], key.shape[1]
        queries, keys, back = self._indices(heads, shared)
        rows, n = self.side_by_side.shape
        each = heads // shared
        q, k, v = (
            _by_token(array).index_select(0, index) for array, index in ((query, queries), (key, keys), (value, keys))
        )
        attend: Callable[..., Tensor] = _in_products if n <= _SHORT else _by_blocks
        out = attend(
            q.view(rows, shared, each * n, -1),
            k.view(rows, shared, n, -1),
            v.view(rows, shared, n, -1),
            attention_mask,
            query.shape[-1] ** -0.5 if scaling is None else scaling,
        )
        return out.view(rows * heads * n, -1).index_select(0, back).view(1, -1, heads, value.shape[-1]), None

    def _indices(self, heads: int, shared: int) -> tuple[Tensor, Tensor, Tensor]:
        """Of [tokens * heads] for queries, of [tokens * key heads] for keys and values, and of what comes out."""
        if (heads, shared) not in self.indices:
            n = self.side_by_side.shape[1]
            by_head = self.side_by_side[:, None, :]
            self.indices[heads, shared] = (
                (by_head * heads + torch.arange(heads)[:, None]).flatten(),
                (by_head * shared + torch.arange(shared)[:, None]).flatten(),
                ((self.row[:, None] * heads + torch.arange(heads)) * n + self.place[:, None]).flatten(),
            )
        return self.indices[heads, shared]


def _by_token(array: Tensor) -> Tensor:
    """[1, heads, tokens, d] -> [tokens * heads, d], as it lies in memory."""
    return array[0].transpose(0, 1).reshape(-1, array.shape[-1])


def _in_products(q: Tensor, k: Tensor, v: Tensor, mask: Tensor, scaling: float) -> Tensor:
    """q [rows, key heads, queries a head, d], k and v [rows, key heads, n, d]; their queries are several times n."""
    rows, shared, queries, _ = q.shape
    n = k.shape[2]
    scores = torch.matmul(q, k.transpose(2, 3)).mul_(scaling)
    scores.view(rows, shared, queries // n, n, n).add_(mask[:, :, None])
    return torch.matmul(scores.softmax(-1), v)


def _by_blocks(q: Tensor, k: Tensor, v: Tensor, mask: Tensor, scaling: float) -> Tensor:
    rows, shared, queries, d = q.shape
    each = queries // k.shape[2]
    k, v = (array.repeat_interleave(each, 1) for array in (k, v))
    out = nn.functional.scaled_dot_product_attention(
        q.view(rows, shared * each, -1, d), k, v, attn_mask=mask, scale=scaling
    )
    return out.contiguous()
