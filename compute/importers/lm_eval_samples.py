"""The items of a samples file, where log-probabilities and verdicts give what the harness gave; else why they do not.

A task may score answers in a way of its own (`process_results`, several right choices, graded metrics). So what the
warehouse will derive from the items is computed here and held against each sample's own metrics and against the results
file. Only where nothing differs are items taken.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from compute.errors import UserError
from compute.importers.lm_eval_files import read_samples
from compute.importers.lm_eval_metrics import Score
from compute.json_text import parse_json

CHOICE_METRICS = ("acc", "acc_norm", "acc_bytes")
GENERATION_METRIC = "exact_match"
"""What SQL derives from items."""

_NO_METRICS = (
    *("doc_id", "doc", "target", "arguments", "resps", "filtered_resps", "filter", "metrics"),
    *("doc_hash", "prompt_hash", "target_hash"),
)
_ROUNDING = 1e-6


@dataclass(frozen=True)
class Item:
    """One item: `columns` of `raw.item_scores` that tell its answer, and its `choices` as the model was given them."""

    item_id: str
    choices: Sequence[str]
    columns: Mapping[str, Any]


@dataclass
class Reading:
    """What a samples file holds.

    Attributes:
        items: empty where they would not give the harness's scores.
        reason: why they would not; None where they do.
        remark: something to tell all the same.
        metrics: those that SQL derives from the items.
        values: of the samples, by the harness's name of the metric.
    """

    items: list[Item] = field(default_factory=list)
    reason: str | None = None
    remark: str | None = None
    metrics: tuple[str, ...] = ()
    values: dict[str, list[Any]] = field(default_factory=dict)


class _NotByItem(Exception):
    """The reason why a task cannot be had item by item."""


@dataclass(frozen=True)
class _Sample:
    """A sample without its document and context.

    Attributes:
        said: its own metrics.
        choices, logprobs: of a choice task.
        prediction: of a generation task.
        reason: why it is neither.
    """

    item_id: str
    target: Any
    said: Mapping[str, Any]
    choices: tuple[str, ...] = ()
    logprobs: tuple[float, ...] = ()
    prediction: str | None = None
    reason: str | None = None


def read_items(file: Path, config: Mapping[str, Any], scores: Mapping[str, Score], n_items: int | None) -> Reading:
    """Read a samples file. Where a task has several filters, the first in the file is taken.

    Args:
        file: the samples of one task.
        config: the task's settings.
        scores: what the results file says of it.
        n_items: how many items it says there are; None if it does not.

    Raises:
        UserError: something in it is no sample: file and line.
    """
    samples = list(_samples(file, config))
    reading = Reading()
    for sample in samples:
        for metric, value in sample.said.items():
            reading.values.setdefault(metric, []).append(value)
    try:
        is_partial = _check_sizes(samples, n_items)
        whole = {} if is_partial else scores
        if samples[0].prediction is not None:
            reading.items, reading.metrics = _generated(samples, whole), (GENERATION_METRIC,)
        else:
            reading.items, reading.metrics = _chosen(samples, config, whole), CHOICE_METRICS
        if is_partial:
            reading.remark = f"{file.name} holds {len(samples)} of {n_items} items, and those are imported"
    except _NotByItem as problem:
        reading.reason = str(problem)
    return reading


def _samples(file: Path, config: Mapping[str, Any]) -> Iterator[_Sample]:
    first_filter: str | None = None
    seen: set[str] = set()
    for place, sample in read_samples(file):
        try:
            item_id = str(sample["doc_id"])
            if "filter" in sample:
                first_filter = first_filter or str(sample["filter"])
                if str(sample["filter"]) != first_filter:
                    continue
            elif item_id in seen:  # before 0.4.5 filters had no name there: each goes through all items again
                continue
            seen.add(item_id)
            yield _sample(item_id, sample, config)
        except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
            raise UserError(
                f"{place}: not a sample of lm-evaluation-harness ({type(error).__name__}: {error})"
            ) from None


def _sample(item_id: str, sample: Mapping[str, Any], config: Mapping[str, Any]) -> _Sample:
    said = {name: value for name, value in sample.items() if name not in _NO_METRICS}
    requests, answers, target = _requests(sample["arguments"]), sample["filtered_resps"], sample.get("target")
    kind = str(config.get("output_type") or _kind(requests, answers))
    if kind == "generate_until":
        if isinstance(answers[0], str):
            return _Sample(item_id, target, said, prediction=answers[0])
        return _Sample(item_id, target, said, reason="several answers to one item")
    if kind != "multiple_choice":
        return _Sample(item_id, target, said, reason=f"its output_type is {kind}")
    choices, logprobs = [str(request[1]) for request in requests], [float(answer[0]) for answer in answers]
    if len(choices) != len(logprobs):
        raise ValueError(f"{len(choices)} continuations, {len(logprobs)} log-likelihoods")
    if "acc_mutual_info" in said and len(choices) % 2 == 0:  # then the choices follow once more, without the context
        choices, logprobs = choices[: len(choices) // 2], logprobs[: len(choices) // 2]
    if len(set(choices)) == 1 and len(choices) > 1:
        return _Sample(item_id, target, said, reason="its choices stand in the contexts, not in the answers")
    if not all(map(math.isfinite, logprobs)):
        return _Sample(item_id, target, said, reason="a log-likelihood is no finite number")
    return _Sample(item_id, target, said, tuple(choices), tuple(logprobs))


def _requests(arguments: Any) -> list[Sequence[Any]]:
    """Return what was asked for an item: lists, or since 0.4.3 mappings of `gen_args_0` to `arg_0`, `arg_1`."""
    if isinstance(arguments, Mapping):
        return [tuple(request.values()) for request in arguments.values()]
    return list(arguments)


def _kind(requests: Sequence[Sequence[Any]], answers: Sequence[Any]) -> str:
    """Return the `output_type` of a task whose settings do not say."""
    if isinstance(answers[0], str | float | int):
        return "loglikelihood_rolling" if requests and len(requests[0]) == 1 else "generate_until"
    return "multiple_choice" if len(answers) > 1 else "loglikelihood"


def _check_sizes(samples: Sequence[_Sample], n_items: int | None) -> bool:
    """Return whether samples are missing. Raises _NotByItem where some are of another kind, or too many."""
    if not samples:
        raise _NotByItem("its samples file is empty")
    for sample in samples:
        if sample.reason is not None:
            raise _NotByItem(sample.reason)
    if len({sample.item_id for sample in samples}) < len(samples):
        raise _NotByItem("a doc_id stands in its samples twice")
    if n_items is not None and len(samples) > n_items:
        raise _NotByItem(f"{len(samples)} samples of {n_items} items")
    return n_items is not None and len(samples) < n_items


def _generated(samples: Sequence[_Sample], scores: Mapping[str, Score]) -> list[Item]:
    items, verdicts = [], []
    for sample in samples:
        verdict = sample.said.get(GENERATION_METRIC)
        if verdict is None:
            raise _NotByItem(f"it is scored by {', '.join(sample.said) or 'nothing'}, not by {GENERATION_METRIC}")
        if verdict not in (0, 1):
            raise _NotByItem(f"its {GENERATION_METRIC} is graded: {verdict!r:.40}")
        verdicts.append(float(verdict))
        columns = {"gold": 0, "prediction": sample.prediction, "correct": verdict == 1}
        items.append(Item(sample.item_id, [str(sample.target)], columns))
    _compare_means({GENERATION_METRIC: verdicts}, scores)
    return items


def _chosen(samples: Sequence[_Sample], config: Mapping[str, Any], scores: Mapping[str, Score]) -> list[Item]:
    """Return the items under the first reading of delimiter and target that gives the harness's own numbers."""
    problem: _NotByItem | None = None
    for delimiter in _delimiters(samples, config):
        for by_text in (False, True):
            try:
                return _read_as(samples, delimiter, by_text, scores)
            except _NotByItem as error:
                problem = problem or error
    raise problem or _NotByItem("its choices cannot be told from what precedes them")


def _delimiters(samples: Sequence[_Sample], config: Mapping[str, Any]) -> Iterator[str]:
    """Yield what may precede each choice, likeliest first: the task's own delimiter; nothing, as in most chats."""
    own = config.get("target_delimiter", " ")
    for delimiter in dict.fromkeys((own if isinstance(own, str) else " ", " ", "")):
        if all(choice.startswith(delimiter) for sample in samples for choice in sample.choices):
            yield delimiter


def _read_as(samples: Sequence[_Sample], delimiter: str, by_text: bool, scores: Mapping[str, Score]) -> list[Item]:
    items: list[Item] = []
    means: dict[str, list[float]] = {metric: [] for metric in CHOICE_METRICS}
    n_compared = 0
    for sample in samples:
        texts = [choice.removeprefix(delimiter) for choice in sample.choices]
        gold = _gold(sample.target, texts, by_text)
        columns = {
            "gold": gold,
            "logprobs": list(sample.logprobs),
            "char_counts": [len(text) for text in texts],
            "byte_counts": [len(text.encode()) for text in texts],
        }
        items.append(Item(sample.item_id, sample.choices, columns))
        for metric, value in _accuracies(columns).items():
            means[metric].append(value)
            said = sample.said.get(metric)
            if isinstance(said, bool | int | float):
                n_compared += 1
                if abs(said - value) > _ROUNDING:
                    raise _NotByItem(
                        f"{metric} of item {sample.item_id} is {said:g} there, {value:g} by its log-likelihoods"
                    )
    n_compared += _compare_means(means, scores)
    if n_compared == 0:
        raise _NotByItem("it has no accuracy to hold its log-likelihoods against")
    return items


def _gold(target: Any, texts: Sequence[str], by_text: bool) -> int:
    """Index of the right choice: the target is it, or the choice's text."""
    rights = _listed(target)
    if rights is not None:
        if len(rights) != 1:
            raise _NotByItem(f"{len(rights)} choices of an item are right")
        target = rights[0]
    text = str(target)
    if by_text:
        if text not in texts:
            raise _NotByItem(f"an item's target {text!r:.60} is none of its choices")
        return texts.index(text)
    if not (text.isascii() and text.isdigit() and int(text) < len(texts)):
        raise _NotByItem(f"an item's target {text!r:.60} is none of its {len(texts)} choices")
    return int(text)


def _listed(target: Any) -> list[Any] | None:
    """Return the right choices, if the target is a list of them; samples since 0.4.3 have it as text."""
    if isinstance(target, str) and target.startswith("[") and target.endswith("]"):
        try:
            target = parse_json(target)
        except ValueError:
            return None
    return target if isinstance(target, list) else None


def _accuracies(columns: Mapping[str, Any]) -> dict[str, float]:
    """Return what SQL derives from an item: log-probabilities in single precision, divided in double (see
    `int_item_correctness`)."""
    logprobs = [float(value) for value in np.asarray(columns["logprobs"], dtype=np.float32)]
    found = {}
    for metric, lengths in zip(
        CHOICE_METRICS, ([1] * len(logprobs), columns["char_counts"], columns["byte_counts"]), strict=True
    ):
        shares = [value / length if length else -math.inf for value, length in zip(logprobs, lengths, strict=True)]
        found[metric] = float(shares.index(max(shares)) == columns["gold"])
    return found


def _compare_means(values: Mapping[str, Iterable[float]], scores: Mapping[str, Score]) -> int:
    """Return how many means were found in the results file. Raises _NotByItem where one differs."""
    n_compared = 0
    for metric, of_items in values.items():
        if metric in scores:
            n_compared += 1
            mean = float(np.mean(list(of_items)))
            if abs(mean - scores[metric].value) > _ROUNDING:
                raise _NotByItem(f"{metric} is {scores[metric].value:g} in the results file, {mean:g} by its samples")
    return n_compared
