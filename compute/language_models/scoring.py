"""Log-likelihoods of choices: the prompt encoded once, its key-value cache shared by the choices."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel, PreTrainedTokenizerBase

from compute.language_models.encoding import EncodedItem, encode_items, pad_left, positions
from compute.language_models.lora import LoraStack
from compute.tasks.task import Item


@dataclass(frozen=True)
class ItemScore:
    """An item's choices, in order: log-likelihood given the context (nats), and lengths to normalise by.

    Characters and bytes (UTF-8) are counted without the space that parts a choice from its context, as in
    lm-evaluation-harness.
    """

    logprobs: list[float]
    token_counts: list[int]
    char_counts: list[int]
    byte_counts: list[int]


def score_items(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    items: Sequence[Item],
    batch_tokens: int = 8192,
    device: str | torch.device = "cpu",
) -> list[ItemScore]:
    """The scores of each item, in the items' order.

    Args:
        model: in evaluation mode, on `device`.
        tokenizer: the model's.
        items: questions of one or several tasks.
        batch_tokens: tokens of a batch, padding included; a longer item is a batch by itself.
        device: where the model is.

    Raises:
        ValueError: a choice without tokens or too long for the model.
    """
    return _score(model, tokenizer, items, batch_tokens, device, groups=1)[0]


def score_adapters(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    items: Sequence[Item],
    stack: LoraStack,
    batch_tokens: int = 8192,
    device: str | torch.device = "cpu",
) -> list[list[ItemScore]]:
    """The same for every active adapter of a stack installed on the model: one list of scores an adapter, in order.

    A batch has `batch_tokens` an adapter, so that batches do not depend on how many adapters there are.
    """
    return _score(model, tokenizer, items, batch_tokens, device, groups=len(stack.active))


@torch.inference_mode()
def _score(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    items: Sequence[Item],
    batch_tokens: int,
    device: str | torch.device,
    groups: int,
) -> list[list[ItemScore]]:
    encoded = encode_items(model, tokenizer, items)
    logprobs: list[list[list[float]]] = [[[] for _ in items] for _ in range(groups)]
    for batch in _batches(encoded, batch_tokens):
        chosen = [encoded[i] for i in batch]
        values = iter(_choice_logprobs(model, chosen, groups, tokenizer.pad_token_id, device).tolist())
        for group in range(groups):
            for i in batch:
                logprobs[group][i] = [next(values) for _ in encoded[i].choices]
    texts = [[choice.removeprefix(" ") for choice in item.choices] for item in items]
    return [
        [
            ItemScore(
                logprobs[group][i],
                [len(choice) for choice in encoded[i].choices],
                [len(text) for text in texts[i]],
                [len(text.encode()) for text in texts[i]],
            )
            for i in range(len(items))
        ]
        for group in range(groups)
    ]


def _batches(encoded: Sequence[EncodedItem], batch_tokens: int) -> Iterator[list[int]]:
    """Indices of items of like length, longest first, so that the first batch shows whether memory is enough."""
    batch: list[int] = []
    for i in sorted(range(len(encoded)), key=lambda i: (-encoded[i].longest, -len(encoded[i].context), i)):
        if batch and (len(batch) + 1) * encoded[batch[0]].longest > batch_tokens:
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch


def _choice_logprobs(
    model: PreTrainedModel, batch: Sequence[EncodedItem], groups: int, pad: int, device: str | torch.device
) -> Tensor:
    """float64 on the CPU, [groups * choices of all items]: group by group, item by item, choice by choice."""
    ids, mask = pad_left([item.context for item in batch], pad, device)
    ids, mask = ids.repeat(groups, 1), mask.repeat(groups, 1)
    rows = [row for row, item in enumerate(batch) for _ in item.choices]
    choices = [choice for item in batch for choice in item.choices]
    row_of = torch.tensor([group * len(batch) + row for group in range(groups) for row in rows], device=device)
    longest = max(map(len, choices))
    cache = DynamicCache(config=model.config) if longest > 1 else None
    output = model(
        input_ids=ids, attention_mask=mask, position_ids=positions(mask), logits_to_keep=1,
        past_key_values=cache, use_cache=cache is not None,
    )  # fmt: skip
    first = torch.tensor([choice[0] for choice in choices] * groups, device=device)
    total = _logprob(output.logits[:, -1][row_of], first)
    if cache is not None:
        # The choices go on from their context's cache; their last tokens are predicted, never fed.
        cache.batch_select_indices(row_of)
        padded = [list(choice) + [pad] * (longest - len(choice)) for choice in choices]
        tokens = torch.tensor(padded, device=device).repeat(groups, 1)
        real = torch.tensor([[int(j < len(c)) for j in range(longest)] for c in choices], device=device)
        real = real.repeat(groups, 1)
        seen = torch.cat([mask[row_of], real[:, :-1]], dim=1)
        output = model(
            input_ids=tokens[:, :-1], attention_mask=seen, past_key_values=cache, use_cache=True,
            position_ids=positions(seen)[:, -(longest - 1) :],
        )  # fmt: skip
        total += (_logprob(output.logits, tokens[:, 1:]) * real[:, 1:]).sum(-1)
    return total.cpu()


def _logprob(logits: Tensor, tokens: Tensor) -> Tensor:
    """float64: the log-probability of each token, [...] from logits [..., vocabulary] and tokens [...]."""
    logits = logits.float()
    picked = logits.gather(-1, tokens[..., None])[..., 0]
    return (picked - logits.logsumexp(-1)).double()
