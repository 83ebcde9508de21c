"""Cells of a study's grid as the marts have them: those measured, and those that are to be predicted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compute.prediction.mixed_model import Floats

Cell = tuple[str, str]
"""(task, language)"""


@dataclass(frozen=True)
class Model:
    """A language model: its name with revision, and what is known of it."""

    name: str
    family: str | None = None
    parameters: int | None = None


@dataclass(frozen=True)
class Grid:
    """Cells of one study, variant and prompt pool. Arrays are [cell], in the same order.

    Attributes:
        models, sources, targets: what the numbers below count.
        model, source, target: number of each.
        delta: percentage points; NaN where the cell was not measured.
        error: standard error of delta; NaN where there is none.
        base: score of the base model on each model's targets, 0 to 1, by (model, target) number.
        distances: by measure, of (source language, target language).
        geometry: the same of word vectors: isometry measures and bli_map.
        trigrams: of the texts of the items of some cells.
        similarities: by measure, of (model name, source, target): how alike they are to the base model.
    """

    models: tuple[Model, ...]
    sources: tuple[Cell, ...]
    targets: tuple[Cell, ...]
    model: NDArray[np.intp]
    source: NDArray[np.intp]
    target: NDArray[np.intp]
    delta: Floats
    error: Floats
    base: Mapping[tuple[int, int], float] = field(default_factory=dict)
    distances: Mapping[str, Mapping[tuple[str, str], float]] = field(default_factory=dict)
    geometry: Mapping[str, Mapping[tuple[str, str], float]] = field(default_factory=dict)
    trigrams: Mapping[Cell, frozenset[str]] = field(default_factory=dict)
    similarities: Mapping[str, Mapping[tuple[str, Cell, Cell], float]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.delta)

    @property
    def is_measured(self) -> NDArray[np.bool_]:
        """[cell]"""
        return np.isfinite(self.delta)

    @property
    def is_own(self) -> NDArray[np.bool_]:
        """Whether the source is the target, [cell]."""
        return self.of_pairs(lambda source, target: float(source == target)) == 1

    def part(self, chosen: NDArray[np.bool_]) -> Grid:
        """Return some of the cells."""
        arrays = {name: getattr(self, name)[chosen] for name in ("model", "source", "target", "delta", "error")}
        return replace(self, **arrays)

    def without(self, hidden: NDArray[np.bool_]) -> Grid:
        """Return the same cells, some of them as if they had not been measured."""
        return replace(self, delta=np.where(hidden, np.nan, self.delta), error=np.where(hidden, np.nan, self.error))

    def of_pairs(self, value: Callable[[Cell, Cell], float]) -> Floats:
        """Return a value of each cell's source and target, [cell]."""
        table = np.array([[value(source, target) for target in self.targets] for source in self.sources], dtype=float)
        return np.asarray(table[self.source, self.target])

    def base_scores(self) -> Floats:
        """Return the base model's score on each cell's target, [cell]; NaN where it is not known."""
        return np.array(
            [self.base.get(pair, np.nan) for pair in zip(self.model, self.target, strict=True)], dtype=float
        )

    def languages(self) -> tuple[str, ...]:
        """Return every language of the sources and targets, sorted."""
        return tuple(sorted({language for _, language in (*self.sources, *self.targets)}))


def whole(
    models: Sequence[Model],
    sources: Sequence[Cell],
    targets: Sequence[Cell],
    delta: Mapping[tuple[str, Cell, Cell], float],
    error: Mapping[tuple[str, Cell, Cell], float],
    base: Mapping[tuple[str, Cell], float],
    **known: Any,
) -> Grid:
    """Return every source on every target for every model, measured where `delta` has it; `known`: other fields."""
    shape = (len(models), len(sources), len(targets))
    model, source, target = (axis.ravel() for axis in np.indices(shape))
    keys = [(models[m].name, sources[s], targets[t]) for m, s, t in zip(model, source, target, strict=True)]
    values = np.array([delta.get(key, np.nan) for key in keys], dtype=float)
    errors = np.array([error.get(key, np.nan) for key in keys], dtype=float)
    scores = {
        (m, t): base[model.name, target]
        for m, model in enumerate(models)
        for t, target in enumerate(targets)
        if (model.name, target) in base
    }
    return Grid(tuple(models), tuple(sources), tuple(targets), model, source, target, values, errors, scores, **known)
