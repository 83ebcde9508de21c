"""Greedy generation: the text that follows each context, as if each were alone.

In batches where model and settings allow it, else one by one (`compute.language_models.one_by_one`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel, PreTrainedTokenizerBase

from compute.language_models.encoding import (
    PLAIN,
    Encoding,
    context_limit,
    first_token,
    pad_left,
    positions,
    render_contexts,
    tokenize,
)
from compute.language_models.fidelity import check_vectors
from compute.language_models.kernels import quick_kernels
from compute.language_models.memory import Limits, Load, run_in_batches
from compute.language_models.one_by_one import generate_one, in_batches
from compute.language_models.regimes import regime_of
from compute.tasks.task import Item

_CACHED_TOKENS = {"cpu": 8192, "cuda": 65536}
"""Of a batch, read and generated: a step costs about the same for few rows as for many."""


@dataclass(frozen=True)
class GeneratedText:
    """What follows an item's context, up to the first stop text; `truncated_tokens` were cut off the context."""

    text: str
    truncated_tokens: int = 0


@dataclass(frozen=True)
class _Ending:
    """When a text ends: one of these tokens, one of these texts, or as many tokens."""

    tokens: frozenset[int]
    texts: tuple[str, ...]
    max_new_tokens: int


@torch.inference_mode()
def generate_items(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    items: Sequence[Item],
    stop: Sequence[str],
    max_new_tokens: int,
    batch_tokens: int | None = None,
    device: str | torch.device = "cpu",
    encoding: Encoding = PLAIN,
    settings: Mapping[str, Any] | None = None,
) -> list[GeneratedText]:
    """Return the most likely next token again and again, for each item, in the items' order.

    Equal to `generate_until` of lm-evaluation-harness at batch size 1, the model's own generation settings included:
    of most models these are end tokens and a repetition penalty (Keskar et al., arXiv 1909.05858).

    Args:
        model: in evaluation mode, on `device`.
        tokenizer: the model's.
        items: their choices are not looked at.
        stop: texts that end the answer, themselves left out; an end-of-text token ends it as well.
        max_new_tokens: the longest answer, in tokens.
        batch_tokens: tokens of a batch, read and generated, padding included. None: what suits the device.
        device: where the model is.
        encoding: how texts become tokens; a context is cut so that the longest answer fits after it.
        settings: further ones of the task, for transformers' `generate`.

    Raises:
        ValueError: a context too long for the model, unless it is to be truncated; an item that alone needs more
            memory than there is; `max_new_tokens` that leave no room for a context; a token that the model has no
            vector for; settings that transformers refuses.
    """
    contexts = render_contexts(tokenizer, items, encoding)
    rows = [ids or [first_token(tokenizer)] for ids in tokenize(tokenizer, contexts)]
    for item, row in zip(items, rows, strict=True):
        check_vectors(model, tokenizer, item.label, row)
    limit = context_limit(model, tokenizer)
    truncated = [0] * len(rows)
    if limit is not None:
        room = limit - max_new_tokens
        if room < 1:
            raise ValueError(f"max_new_tokens {max_new_tokens} leaves no room for a context: the model takes {limit}")
        truncated = [max(0, len(row) - room) for row in rows]
        for item, row, cut in zip(items, rows, truncated, strict=True):
            if cut and not encoding.truncate:
                raise ValueError(
                    f"{item.label}: {len(row)} tokens of context and up to {max_new_tokens} generated, and the "
                    f"model takes {limit}; with `truncate: true` the context's beginning is cut off"
                )
        rows = [row[cut:] for row, cut in zip(rows, truncated, strict=True)]

    ending = _Ending(_end_tokens(model, tokenizer), tuple(text for text in stop if text), max_new_tokens)
    results = [GeneratedText("", cut) for cut in truncated]

    def keep(numbers: Sequence[int], texts: Sequence[Sequence[int]]) -> None:
        for i, tokens in zip(numbers, texts, strict=True):
            results[i] = replace(results[i], text=_text(tokenizer, tokens, ending.texts))

    def generate_together(batch: list[int]) -> None:
        numbers = [together[i] for i in batch]
        keep(numbers, _generate(model, tokenizer, [rows[i] for i in numbers], ending, device))

    def generate_alone(batch: list[int]) -> None:
        for i in (alone[number] for number in batch):
            keep([i], [generate_one(model, tokenizer, rows[i], ending.texts, max_new_tokens, settings or {})])

    if max_new_tokens < 1:
        return results
    # A row that would come to where the model changes how it reads is left to transformers, too.
    regime, batched = regime_of(model), in_batches(model, settings or {})
    together = [i for i, row in enumerate(rows) if batched and regime(len(row) + max_new_tokens) == regime(1)]
    alone = sorted(set(range(len(rows))) - set(together))
    kind = "cpu" if torch.device(device).type == "cpu" else "cuda"
    limits = Limits(tokens=batch_tokens or _CACHED_TOKENS[kind], logits=len(rows))
    loads = [Load(len(row) + max_new_tokens, 1, item.label) for row, item in zip(rows, items, strict=True)]
    run_in_batches([loads[i] for i in together], limits, generate_together)
    run_in_batches([loads[i] for i in alone], Limits(tokens=0, logits=1), generate_alone)
    return results


def _end_tokens(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    own = model.generation_config.eos_token_id if model.generation_config is not None else None
    ends = {*own} if isinstance(own, list) else {own}
    return frozenset(int(token) for token in (*ends, tokenizer.eos_token_id) if token is not None)


def _generate(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    contexts: Sequence[Sequence[int]],
    ending: _Ending,
    device: str | torch.device,
) -> list[list[int]]:
    """Return the new tokens of each context, with what ended them. Rows that have ended leave the batch."""
    generated: list[list[int]] = [[] for _ in contexts]
    ids, mask = pad_left(contexts, 0, device)
    penalty = _RepetitionPenalty(model, ids, mask)
    cache = DynamicCache(config=model.config)
    places = positions(mask)
    left = list(range(len(contexts)))
    while left:
        with quick_kernels(model, ids.shape[1]):
            logits = model(
                input_ids=ids, attention_mask=mask, position_ids=places, past_key_values=cache, use_cache=True,
                logits_to_keep=1,
            ).logits[:, -1]  # fmt: skip
        chosen = penalty(logits.float()).argmax(-1)
        for row, token in zip(left, chosen.tolist(), strict=True):
            generated[row].append(token)
        ended = _ended(tokenizer, [generated[row] for row in left], ending)
        if any(ended):
            stay = [i for i, end in enumerate(ended) if not end]
            left = [left[i] for i in stay]
            if not left:
                break
            kept = torch.tensor(stay, device=device)
            cache.reorder_cache(kept)  # type: ignore[arg-type]  # selects rows, be they as many or not
            chosen, mask, places = chosen[kept], mask[kept], places[kept]
            penalty.keep(kept)
        ids = chosen[:, None]
        penalty.see(ids)
        mask = torch.cat([mask, mask.new_ones(len(mask), 1)], dim=1)
        places = places[:, -1:] + 1
    return generated


def _ended(tokenizer: PreTrainedTokenizerBase, generated: Sequence[Sequence[int]], ending: _Ending) -> list[bool]:
    """Return whether each row of tokens has just come to its end."""
    ended = [tokens[-1] in ending.tokens or len(tokens) >= ending.max_new_tokens for tokens in generated]
    if ending.texts:
        # A text of n bytes has at most n tokens; what decoding does to the first token is left out of view.
        tail = max(len(text.encode()) for text in ending.texts) + 2
        texts = tokenizer.batch_decode([list(tokens[-tail:]) for tokens in generated])
        ended = [end or any(stop in text for stop in ending.texts) for end, text in zip(ended, texts, strict=True)]
    return ended


def _text(tokenizer: PreTrainedTokenizerBase, tokens: Sequence[int], stop: Sequence[str]) -> str:
    text = str(tokenizer.decode(list(tokens), skip_special_tokens=True))
    end = () if tokenizer.eos_token_id is None else (str(tokenizer.decode(tokenizer.eos_token_id)),)
    for term in (*stop, *end):
        if term:
            text = text.split(term)[0]
    return text


class _RepetitionPenalty:
    """Makes tokens that a row has seen less likely, by the model's own factor; by none, nothing is done."""

    def __init__(self, model: PreTrainedModel, ids: Tensor, mask: Tensor) -> None:
        settings = model.generation_config
        self.factor = float((settings.repetition_penalty if settings is not None else None) or 1.0)
        if self.factor != 1.0:
            vocabulary = model.config.get_text_config(decoder=True).vocab_size
            seen = torch.zeros(len(ids), vocabulary, dtype=torch.int64, device=ids.device)
            self.seen = seen.scatter_add_(1, ids, mask).bool()

    def __call__(self, logits: Tensor) -> Tensor:
        if self.factor == 1.0:
            return logits
        less = torch.where(logits < 0, logits * self.factor, logits / self.factor)
        return torch.where(self.seen, less, logits)

    def see(self, ids: Tensor) -> None:
        """Takes note of another token of each row, [rows, 1]."""
        if self.factor != 1.0:
            self.seen.scatter_(1, ids, True)

    def keep(self, rows: Tensor) -> None:
        """Drops all but these rows."""
        if self.factor != 1.0:
            self.seen = self.seen[rows]
