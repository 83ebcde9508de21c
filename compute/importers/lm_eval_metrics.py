"""What a results file says of a task: scores with their errors, their direction and their scale.

The file gives a direction (`higher_is_better`) and no scale: accuracy is a share, chrF goes to 100, perplexity has no
end. A metric's name tells its scale, its values confirm it, and the map of an import may say it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

SHARE_UNIT = "pp"
"""Unit of a difference of shares: percentage points. Any other metric's unit is the metric itself."""

_WORD = r"(?:^|_)(?:{})(?:_|$)"
_SHARE = re.compile(
    _WORD.format(r"acc|accuracy|exact|exact_match|em|f1|precision|recall|mc1|mc2") + r"|^pass@\d+$|match$"
)
"""Names of metrics that are shares where their values lie between 0 and 1 (SQuAD's F1 goes to 100)."""

_NO_SHARE = re.compile(
    r"perplexity|bits_per|bleu|chrf|likelihood|logprob|brier|bias|" + _WORD.format(r"ter|wer|cer|loss|nll|mcc|diff|max")
)
"""Names of metrics that may lie between 0 and 1, and are shares of nothing."""

_LOWER = re.compile(r"perplexity|bits_per|brier|" + _WORD.format(r"ter|wer|cer|loss|nll"))
"""Names of metrics of which less is better, for files that do not say (before 0.4.3)."""

_HIGHER = re.compile(r"bleu|chrf|rouge")


@dataclass(frozen=True)
class Score:
    """One number of a results file.

    Attributes:
        value: the score.
        error: its standard error; None if the file has none.
        metric: the harness's name of the metric, without the filter.
        filter: the harness's name of the filter, `none` for most tasks.
    """

    value: float
    error: float | None
    metric: str
    filter: str


def scores(found: Mapping[str, Any]) -> dict[str, Score]:
    """Return a task's finite scores by metric.

    Under a filter a metric is called `metric:filter`; the metric's first filter, whose answers are what items show,
    leaves the plain name.
    """
    named: dict[str, Score] = {}
    for key, value in found.items():
        metric, comma, filter_name = key.partition(",")
        if not comma or metric.endswith("_stderr") or not _is_number(value):
            continue
        error = found.get(f"{metric}_stderr,{filter_name}")
        name = f"{metric}:{filter_name}" if metric in named else metric
        named[name] = Score(float(value), float(error) if _is_number(error) else None, metric, filter_name)
    return named


def not_finite(found: Mapping[str, Any]) -> list[str]:
    """Metrics whose score is NaN or infinite."""
    return [
        key.partition(",")[0]
        for key, value in found.items()
        if "," in key and "_stderr," not in key and isinstance(value, float) and not math.isfinite(value)
    ]


def higher_is_better(metric: str, content: Mapping[str, Any], task: str) -> bool | None:
    """Return whether more of a metric is better: as the file says, else as the task's settings, else by the metric's
    name."""
    said = content.get("higher_is_better", {}).get(task)
    if isinstance(said, Mapping) and isinstance(said.get(metric), bool):
        return bool(said[metric])
    config = content["configs"].get(task)
    for entry in (config.get("metric_list") if isinstance(config, Mapping) else None) or ():
        if isinstance(entry, Mapping) and entry.get("metric") == metric:
            declared = str(entry.get("higher_is_better")).lower()
            if declared in ("true", "false"):
                return declared == "true"
    if _LOWER.search(metric):
        return False
    return True if _SHARE.search(metric) or _HIGHER.search(metric) else None


@dataclass
class Scale:
    """What is known of the values of one metric, over the runs and languages of a task."""

    lowest: float = math.inf
    highest: float = -math.inf
    seen_items: bool = False
    """Whether values of single items are among them."""
    is_scalar: bool = True
    """False: some item's value is no number, so that the score is not their mean."""

    def add(self, values: Iterable[Any], of_items: bool) -> None:
        """Take note of values."""
        for value in values:
            if isinstance(value, bool | int | float) and math.isfinite(value):
                self.lowest, self.highest = min(self.lowest, float(value)), max(self.highest, float(value))
            else:
                self.is_scalar = False
            self.seen_items |= of_items

    def unit(self, metric: str, is_declared_share: bool = False) -> str:
        """`pp` where the metric is a share, else the metric's name: by name and values, or by values of items alone
        where the name tells nothing."""
        if is_declared_share:
            return SHARE_UNIT
        is_accuracy = metric.endswith("_acc")  # also bleu_acc: whether BLEU prefers the right answer
        if not 0 <= self.lowest <= self.highest <= 1 or (_NO_SHARE.search(metric) and not is_accuracy):
            return metric
        proven = self.seen_items and self.is_scalar and self.highest > 0
        return SHARE_UNIT if _SHARE.search(metric) or proven else metric


def _is_number(value: Any) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
