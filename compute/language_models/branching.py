"""Rows in which a context is followed by several choices, none of which sees another.

A row holds the context's tokens and then each choice's but the last, which is predicted and never read. A choice's
tokens attend to the context and to their own choice, and are at the positions that follow the context. One pass then
gives what a pass for each choice would give, and the context is read once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from compute.language_models.memory import to_device

BRANCHING = frozenset(
    {
        "falcon", "gemma2", "gemma3", "gemma3_text", "gpt_neox", "llama", "mistral", "olmo2", "phi3", "qwen2", "qwen3",
    }
)  # fmt: skip
"""Families (`config.model_type`) whose attention takes a mask of each token against each, as
tests/conformance/test_lm_eval.py shows. Others read a row for each choice of more than one token: right for any, and
slower."""

_KNOWN_LAYERS = {"full_attention", "sliding_attention"}


@dataclass(frozen=True)
class Target:
    """A token to be predicted: after which token of the row, which one, and the column of the results it adds to."""

    after: int
    token: int
    column: int


@dataclass
class BranchedRow:
    """Tokens of a row; `branches`: 0 for the context, 1 and up for the choices after it."""

    tokens: list[int]
    positions: list[int]
    branches: list[int]
    targets: list[Target] = field(default_factory=list)

    def predicting(self) -> list[int]:
        """Return the tokens that something is predicted after, each once, in order."""
        return sorted({target.after for target in self.targets})


def can_branch(model: PreTrainedModel) -> bool:
    """Return whether rows of this model may have several branches of their own tokens."""
    config = model.config.get_text_config(decoder=True)
    return (
        isinstance(model, PreTrainedModel)  # not one with learnt vectors before its texts, which takes no masks
        and model.config.model_type in BRANCHING
        and not getattr(config, "alibi", False)  # it reads positions off the two-dimensional mask
        and getattr(config, "_attn_implementation", "eager") in ("eager", "sdpa")
        and _layer_types(model) <= _KNOWN_LAYERS
    )


def rows(
    context: Sequence[int], choices: Iterable[tuple[int, Sequence[int]]], branching: bool
) -> Iterator[BranchedRow]:
    """Yield the rows that predict all `choices`, (column, tokens), after `context`: one, or if need be one a choice."""
    row = BranchedRow([*context], [*range(len(context))], [0] * len(context))
    for column, choice in choices:
        if not branching and len(choice) > 1 and row.branches[-1]:
            yield row
            row = BranchedRow([*context], [*range(len(context))], [0] * len(context))
        after, branch = len(context) - 1, row.branches[-1] + 1
        for step, token in enumerate(choice):
            row.targets.append(Target(after, token, column))
            if step < len(choice) - 1:
                after = len(row.tokens)
                row.tokens.append(token)
                row.positions.append(len(context) + step)
                row.branches.append(branch)
    yield row


def forward_arguments(model: PreTrainedModel, batch: Sequence[BranchedRow]) -> dict[str, Any]:
    """Return what to call the model with for a batch.

    Rows are padded on the right: no token sees the padding after it, and nothing is predicted there.
    """
    arguments: dict[str, Any] = {"input_ids": _padded(model, [row.tokens for row in batch]), "use_cache": False}
    if any(row.branches[-1] > 1 for row in batch):
        arguments |= branch_arguments(model, *_branches(model, batch))
    return arguments


def _padded(model: PreTrainedModel, values: Sequence[list[int]]) -> Tensor:
    longest = max(map(len, values))
    return to_device(torch.tensor([[*row, *[0] * (longest - len(row))] for row in values]), model.device)


def _branches(model: PreTrainedModel, batch: Sequence[BranchedRow]) -> tuple[Tensor, Tensor]:
    """Branches and positions, each int64 [rows, n]."""
    return _padded(model, [row.branches for row in batch]), _padded(model, [row.positions for row in batch])


def branch_arguments(model: PreTrainedModel, branches: Tensor, positions: Tensor) -> dict[str, Any]:
    """Return what to call the model with besides so that tokens see their own branch and branch 0 alone, int64 [rows,
    n]."""
    return {"attention_mask": branch_masks(model, branches, positions), "position_ids": positions}


def row_masks(model: PreTrainedModel, batch: Sequence[BranchedRow]) -> Tensor | dict[str, Tensor]:
    """Return the masks of rows, as `branch_masks` does."""
    return branch_masks(model, *_branches(model, batch))


def branch_masks(model: PreTrainedModel, branches: Tensor, positions: Tensor) -> Tensor | dict[str, Tensor]:
    """Return what is added to attention [rows, 1, n, n], 0 where a token is seen, else the least number: one mask for a
    model of one type of layer, else one a type."""
    n = branches.shape[1]
    earlier = torch.ones(n, n, dtype=torch.bool, device=branches.device).tril()
    keys, queries = branches[:, None, :], branches[:, :, None]
    seen = earlier & ((keys == 0) | (keys == queries))
    config = model.config.get_text_config(decoder=True)
    masks = {}
    for kind in _layer_types(model):
        mask = seen
        if kind == "sliding_attention":
            mask = seen & (positions[:, :, None] - positions[:, None, :] < config.sliding_window)
        unseen = torch.finfo(model.dtype).min
        masks[kind] = torch.zeros(mask.shape, dtype=model.dtype, device=mask.device).masked_fill(~mask, unseen)[:, None]
    (first, *others) = masks.values()
    return masks if others else first


def _layer_types(model: PreTrainedModel) -> set[str]:
    """As transformers' own caches tell them: a configuration that lists none has one type of layer."""
    config = model.config.get_text_config(decoder=True)
    listed = getattr(config, "layer_types", None)
    if listed is not None:
        return set(listed)
    if getattr(config, "sliding_window", None) is not None:
        return {"sliding_attention"}
    return {"chunked_attention" if getattr(config, "attention_chunk_size", None) is not None else "full_attention"}
