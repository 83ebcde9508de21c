"""Log-likelihoods of choices: a context is read once for all choices after it, logits are made where they are asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from compute.language_models.branching import BranchedRow, can_branch, forward_arguments, rows
from compute.language_models.encoding import PLAIN, EncodedItem, Encoding, encode_items
from compute.language_models.kernels import quick_kernels
from compute.language_models.logits import logits_at
from compute.language_models.memory import Limits, Load, default_limits, run_in_batches, to_device
from compute.language_models.regimes import Regime, reads_alone, regime_of
from compute.language_models.unpadded import Line, can_be_unpadded, last_layer_at
from compute.tasks.task import Item

_SOFTMAX_ROWS = 256
"""Rows of logits in float32 at a time."""


@dataclass(frozen=True)
class ItemScore:
    """An item's choices, in order: log-likelihood given the context (nats), and lengths to normalize by.

    Characters and bytes (UTF-8) are counted without the delimiter that parts a choice from its context, as in
    lm-evaluation-harness. `truncated_tokens` were cut off the context's beginning.
    """

    logprobs: list[float]
    token_counts: list[int]
    char_counts: list[int]
    byte_counts: list[int]
    truncated_tokens: int = 0


@torch.inference_mode()
def score_items(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    items: Sequence[Item],
    batch_tokens: int | None = None,
    device: str | torch.device = "cpu",
    encoding: Encoding = PLAIN,
) -> list[ItemScore]:
    """Return the scores of each item, in the items' order.

    Batches depend on the items alone. Where the GPU's memory is not enough for one, they are halved.

    Args:
        model: in evaluation mode, on `device`.
        tokenizer: the model's.
        items: questions of one or several tasks.
        batch_tokens: tokens of a batch, padding included; a longer row is a batch by itself. None: what suits the
            device.
        device: where the model is.
        encoding: how texts become tokens.

    Raises:
        ValueError: an item that cannot be encoded (see `encode_items`), or that alone needs more memory than there is.
    """
    encoded = encode_items(model, tokenizer, items, encoding)
    columns = _columns(encoded)
    vocabulary = model.config.get_text_config(decoder=True).vocab_size
    limits = default_limits(device, vocabulary, is_padded=not can_be_unpadded(model))
    if batch_tokens is not None:
        limits = replace(limits, tokens=batch_tokens)
    alone = reads_alone(model)
    if alone:
        limits = Limits(tokens=0, logits=1)
    by_regime: dict[int, tuple[list[BranchedRow], list[Load]]] = {}
    regime = regime_of(model)
    for context, (first_item, choices) in _prompts(encoded, columns).items():
        parts = [[choice] for choice in choices] if alone else [choices]
        for number, alike in (found for part in parts for found in _by_regime(len(context), part, regime).items()):
            all_rows, loads = by_regime.setdefault(number, ([], []))
            for row in rows(context, alike, can_branch(model)):
                all_rows.append(row)
                loads.append(Load(len(row.tokens), len(row.predicting()), items[first_item].label))
    done: list[tuple[list[int], Tensor]] = []

    def score(chosen: list[BranchedRow]) -> None:
        predicted_columns = [target.column for row in chosen for target in row.targets]
        done.append((predicted_columns, _target_logprobs(model, chosen)))

    for all_rows, loads in by_regime.values():
        run_in_batches(loads, limits, partial(_run_on, score, all_rows))
    logprobs = torch.zeros(columns[-1], dtype=torch.float64)
    for predicted_columns, values in done:
        logprobs.index_add_(0, torch.tensor(predicted_columns), values.cpu())

    by_column = logprobs.tolist()
    return [
        ItemScore(
            by_column[columns[i] : columns[i + 1]],
            [len(choice) for choice in encoded[i].choices],
            [len(answer) for answer in item.answers],
            [len(answer.encode()) for answer in item.answers],
            encoded[i].truncated,
        )
        for i, item in enumerate(items)
    ]


def _run_on(run: Callable[[list[BranchedRow]], None], among: Sequence[BranchedRow], numbers: list[int]) -> None:
    run([among[i] for i in numbers])


def _columns(encoded: Sequence[EncodedItem]) -> list[int]:
    """Return where each item's choices begin among those of all items, and last how many there are."""
    columns = [0]
    for item in encoded:
        columns.append(columns[-1] + len(item.choices))
    return columns


def _prompts(
    encoded: Sequence[EncodedItem], columns: Sequence[int]
) -> dict[tuple[int, ...], tuple[int, list[tuple[int, list[int]]]]]:
    """Return the different contexts, each with the first item that has it and all choices that follow it: (column,
    tokens)."""
    prompts: dict[tuple[int, ...], tuple[int, list[tuple[int, list[int]]]]] = {}
    for i, item in enumerate(encoded):
        for j, choice in enumerate(item.choices):
            _, choices = prompts.setdefault(tuple(item.context_of(j)), (i, []))
            choices.append((columns[i] + j, choice))
    return prompts


def _by_regime(
    context: int, choices: Sequence[tuple[int, list[int]]], regime: Regime
) -> dict[int, list[tuple[int, list[int]]]]:
    """Choices after a context of so many tokens, by the regime in which each would be read by itself."""
    found: dict[int, list[tuple[int, list[int]]]] = {}
    for column, choice in choices:
        found.setdefault(regime(context + len(choice) - 1), []).append((column, choice))
    return found


def _target_logprobs(model: PreTrainedModel, batch: Sequence[BranchedRow]) -> Tensor:
    """float64 [targets of all rows], on the model's device."""
    predicting = [row.predicting() for row in batch]
    logits = (_logits_of_line if can_be_unpadded(model) else _logits_of_padded)(model, batch, predicting)
    at, start = [], 0
    for row, afters in zip(batch, predicting, strict=True):
        order = {after: start + k for k, after in enumerate(afters)}
        at += [order[target.after] for target in row.targets]
        start += len(afters)
    tokens = [target.token for row in batch for target in row.targets]
    return _picked_logprobs(logits, torch.tensor(at), torch.tensor(tokens))


def _logits_of_padded(model: PreTrainedModel, batch: Sequence[BranchedRow], predicting: list[list[int]]) -> Tensor:
    """[places of all rows, vocabulary]."""
    arguments = forward_arguments(model, batch)
    n = arguments["input_ids"].shape[1]
    places = torch.tensor([i * n + after for i, afters in enumerate(predicting) for after in afters])
    with quick_kernels(model, n):
        return logits_at(model, to_device(places, model.device), **arguments)


def _logits_of_line(model: PreTrainedModel, batch: Sequence[BranchedRow], predicting: list[list[int]]) -> Tensor:
    """[places of all rows, vocabulary], without padding."""
    line = Line(batch)
    places = torch.tensor(
        [start + after for start, afters in zip(line.starts, predicting, strict=True) for after in afters]
    )
    with quick_kernels(model, line.longest), line.attention(), last_layer_at(model, places):
        return logits_at(model, places, **line.arguments(model))


def _picked_logprobs(logits: Tensor, at: Tensor, tokens: Tensor) -> Tensor:
    """float64 [targets]: log-probability of each token, from logits [rows, vocabulary] at rows `at`."""
    at, order = at.sort(stable=True)
    row, token, place = (to_device(index, logits.device) for index in (at, tokens[order], order.argsort()))
    values = []
    for start in range(0, len(logits), _SOFTMAX_ROWS):
        part = logits[start : start + _SOFTMAX_ROWS].float().log_softmax(-1)
        here = slice(*torch.searchsorted(at, torch.tensor([start, start + _SOFTMAX_ROWS])).tolist())
        values.append(part[row[here] - start, token[here]].double())
    return torch.cat(values)[place]
