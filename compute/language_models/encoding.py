"""Items as tokens, cut where lm-evaluation-harness cuts them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from compute.tasks.task import Item


@dataclass(frozen=True)
class EncodedItem:
    """Token ids of an item's context, and of each choice after it."""

    context: list[int]
    choices: list[list[int]]

    @property
    def longest(self) -> int:
        """Tokens of the context and its longest choice."""
        return len(self.context) + max(map(len, self.choices))


def encode_items(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, items: Sequence[Item]
) -> list[EncodedItem]:
    """The items as tokens, with the boundary as in lm-evaluation-harness (`TemplateLM._encode_pair`).

    Spaces that end the context move to the choices; a choice's tokens are those of context and choice together from
    the context's number of tokens on. What the model is too short for is cut off the context's beginning. An empty
    context is the tokenizer's beginning-of-text token, or else its end-of-text token.

    Raises:
        ValueError: a choice of no tokens, or one that alone is too long for the model.
    """
    contexts, wholes = [], []
    for item in items:
        context = item.context.rstrip()
        spaces = item.context[len(context) :]
        contexts.append(context)
        wholes += [context + spaces + choice for choice in item.choices]
    if not items:
        return []
    context_ids = tokenizer(contexts)["input_ids"]
    whole_ids = iter(tokenizer(wholes)["input_ids"])
    first = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
    limit = getattr(model.config, "max_position_embeddings", None) or 2**31
    encoded = []
    for item, ids in zip(items, context_ids, strict=True):
        choices = [next(whole_ids)[len(ids) :] for _ in item.choices]
        room = limit - max(map(len, choices))
        if not all(choices):
            empty = item.choices[choices.index([])]
            raise ValueError(f"item {item.item_id}: choice {empty!r} has no tokens of its own")
        if room < 1:
            raise ValueError(f"item {item.item_id}: a choice of {limit - room} tokens, the model takes {limit}")
        encoded.append(EncodedItem((ids or [first])[-room:], choices))
    return encoded


def pad_left(rows: Sequence[Sequence[int]], pad: int, device: str | torch.device) -> tuple[Tensor, Tensor]:
    """Token ids and mask (1: a token, 0: padding), both int64 [rows, longest]; the last tokens are aligned."""
    longest = max(map(len, rows))
    ids = torch.tensor([[pad] * (longest - len(row)) + list(row) for row in rows], device=device)
    mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows], device=device)
    return ids, mask


def positions(mask: Tensor) -> Tensor:
    """Position of each token counted from its row's first real one (0 in the padding): int64, shaped as `mask`."""
    return (mask.cumsum(-1) - 1).clamp(min=0)
