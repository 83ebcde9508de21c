"""Hidden states of the tokens of texts, as a base model has them at one of its layers.

A causal model's state of a token depends on the tokens up to it alone. A beginning that several texts share is kept
once, with the number of tokens that it stands for: states that are equal stay so to the last digit, whatever batch
each was read in, and may be counted as the ties that they are.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from compute.language_models.branching import BranchedRow, forward_arguments
from compute.language_models.encoding import PLAIN, Encoding, context_limit, render_contexts, tokenize
from compute.language_models.fidelity import check_letters, check_vectors
from compute.language_models.kernels import quick_kernels
from compute.language_models.memory import Limits, Load, default_limits, run_in_batches, to_device
from compute.language_models.regimes import reads_alone, regime_of
from compute.tasks.task import Item

Texts = Sequence[Sequence[int]]
"""Token ids of each text."""


@dataclass(frozen=True)
class TokenStates:
    """States of the tokens of groups of texts.

    Attributes:
        vectors: of each distinct beginning of a text the state of its last token, in the model's number type, on the
            CPU: [beginnings, width].
        counts: tokens of each group that it stands for, int64 [beginnings, groups].
    """

    vectors: Tensor
    counts: Tensor


def unlabelled_texts(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, items: Sequence[Item], encoding: Encoding = PLAIN
) -> list[list[int]]:
    """Return the items' texts as tokens, without what is right: their contexts; of an item without context its choices,
    each a text.

    Raises:
        ValueError: a text too long for the model, unless it is to be truncated; a token that the model has no vector
            for; texts in a script that the tokenizer does not know.
    """
    labels, texts = [], []
    for item, context in zip(items, render_contexts(tokenizer, items, encoding), strict=True):
        own = [context.rstrip()] if context.strip() else list(item.answers)
        labels += [item.label] * len(own)
        texts += own
    found = tokenize(tokenizer, texts)
    if texts:
        check_letters(tokenizer, "texts", labels, texts, found)
    limit = context_limit(model, tokenizer)
    for number, (label, ids) in enumerate(zip(labels, found, strict=True)):
        check_vectors(model, tokenizer, label, ids)
        if limit is not None and len(ids) > limit:
            if not encoding.truncate:
                raise ValueError(
                    f"{label}: {len(ids)} tokens, and the model takes {limit}; with `truncate: true` the beginning is "
                    "cut off"
                )
            found[number] = ids[-limit:]
    return found


@torch.inference_mode()
def token_states(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    groups: Sequence[Texts],
    layer: int | None = None,
    batch_tokens: int | None = None,
) -> TokenStates:
    """Return the states of all tokens but special ones and the first of each text.

    The first token sees nothing but itself, and in most causal models its state is of another size than all others',
    whatever the text (Sun et al., arXiv 2402.17762).

    Args:
        model: in evaluation mode.
        tokenizer: the model's.
        groups: of texts; what is counted is counted for each.
        layer: after which layer, from 1. None: two thirds of the way up.
        batch_tokens: tokens of a batch, padding included. None: what suits the device.

    Raises:
        ValueError: a model without such a layer, or one that does not give its states; states that are no numbers; a
            text that alone needs more memory than there is.
    """
    rows, counts = _distinct(model, groups, frozenset(tokenizer.all_special_ids))
    limits = default_limits(model.device, model.config.get_text_config(decoder=True).vocab_size)
    if batch_tokens is not None:
        limits = replace(limits, tokens=batch_tokens)
    if reads_alone(model):
        limits = Limits(tokens=0, logits=1)
    numbers: list[int] = []
    found: list[Tensor] = []

    def read(some: Sequence[_Row]) -> Callable[[list[int]], None]:
        def run(chosen: list[int]) -> None:
            batch = [some[i] for i in chosen]
            found.append(_states_at(model, batch, layer))
            numbers.extend(number for row in batch for number in row.numbers)

        return run

    for some in rows.values():
        run_in_batches([Load(len(row.tokens), 1, "a text") for row in some], limits, read(some))
    if not found:
        return TokenStates(torch.zeros(0, 0), counts)
    vectors = torch.cat(found)[torch.tensor(numbers).argsort()]
    if not torch.isfinite(vectors).all():
        raise ValueError(
            "hidden states are no finite numbers; damaged weights, or too large for float16: take bfloat16 or float32"
        )
    return TokenStates(vectors, counts)


@dataclass
class _Row:
    """A text, the places in it whose states are kept, and their numbers."""

    tokens: list[int]
    places: list[int] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)


def _distinct(
    model: PreTrainedModel, groups: Sequence[Texts], special: frozenset[int]
) -> tuple[dict[int, list[_Row]], Tensor]:
    """Return what is to be read, by regime, and how many tokens of each group a state stands for, [states, groups]."""
    regime, alone = regime_of(model), reads_alone(model)
    beginnings: dict[tuple[Hashable, int], int] = {}
    """By the beginning before it and its last token; each text begins with how it is read."""
    states: dict[int, int] = {}
    seen: list[int] = []
    rows: dict[int, list[_Row]] = {}
    for group, texts in enumerate(groups):
        for ids in texts:
            row = _Row(list(ids))
            before: Hashable = ("reading", regime(len(ids)), tuple(ids) if alone else ())
            for place, token in enumerate(ids):
                before = beginnings.setdefault((before, token), len(beginnings))
                if place == 0 or token in special:
                    continue
                if before not in states:
                    row.places.append(place)
                    row.numbers.append(len(states))
                    states[before] = len(states)
                seen.append(states[before] * len(groups) + group)
            if row.places:
                rows.setdefault(regime(len(ids)), []).append(row)
    cells = torch.bincount(torch.tensor(seen, dtype=torch.int64), minlength=len(states) * len(groups))
    return rows, cells.view(len(states), len(groups))


def _states_at(model: PreTrainedModel, batch: Sequence[_Row], layer: int | None) -> Tensor:
    """Return the states at the rows' places, [places of all rows, width], on the CPU."""
    branches = [BranchedRow(row.tokens, [*range(len(row.tokens))], [0] * len(row.tokens)) for row in batch]
    arguments = forward_arguments(model, branches)
    longest = arguments["input_ids"].shape[1]
    with quick_kernels(model, longest):
        states = _at_layer(model, layer, arguments)
    places = torch.tensor([number * longest + place for number, row in enumerate(batch) for place in row.places])
    return states.flatten(0, 1).index_select(0, to_device(places, states.device)).cpu()


def _at_layer(model: PreTrainedModel, layer: int | None, arguments: dict[str, Any]) -> Tensor:
    """Return the states after a layer, [rows, tokens, width]; without logits, which a large vocabulary makes dear."""
    body: Any = getattr(model, "base_model", model)
    try:
        states = body(**arguments, output_hidden_states=True).hidden_states
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # whatever a model of other people's making leads to
        reason = next(iter(str(error).splitlines()), "") or type(error).__name__
        raise ValueError(f"{type(model).__name__}: its hidden states cannot be had: {reason}") from error
    if not states:
        raise ValueError(f"{type(model).__name__}: it does not give its hidden states")
    layers = len(states) - 1  # before the first layer there are the embeddings
    if layer is not None and layer > layers:
        raise ValueError(f"layer {layer}: expected 1 to {layers}, as many as the model has")
    return states[default_layer(layers) if layer is None else layer]


def default_layer(layers: int) -> int:
    """Return the layer two thirds of the way up, from 1."""
    return max(1, round(2 * layers / 3))
