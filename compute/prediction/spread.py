"""How far predictions miss, by source task and target task: one mixed model has one residual for all of them.

A task that nothing moves and one that much moves have unlike errors. Errors of sources that were left out whole tell
how unlike, and moderation (Smyth 2004) keeps pairs of tasks with few sources from being taken for more than they show.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from compute.prediction.grid import Grid
from compute.prediction.mixed_model import Floats

TaskPair = tuple[str, str]
"""Source task and target task."""


@dataclass(frozen=True)
class Spread:
    """What predicted variances are multiplied by, by pair of tasks, and from how many degrees of freedom it is known.

    A pair of tasks that was not seen has 1.
    """

    factors: Mapping[TaskPair, float]
    degrees: Mapping[TaskPair, float]

    def of(self, grid: Grid) -> tuple[Floats, Floats]:
        """Return factors and degrees of freedom, [cell]."""
        pairs = task_pairs(grid)
        return (
            np.array([self.factors.get(pair, 1.0) for pair in pairs], dtype=float),
            np.array([self.degrees.get(pair, np.inf) for pair in pairs], dtype=float),
        )


EVEN = Spread({}, {})
"""All pairs of tasks alike."""


def task_pairs(grid: Grid) -> list[TaskPair]:
    """Return the source task and target task of each cell, [cell]."""
    return [(grid.sources[s][0], grid.targets[t][0]) for s, t in zip(grid.source, grid.target, strict=True)]


def moderated(grid: Grid, ratios: Floats) -> Spread:
    """Return the spread that errors show.

    Args:
        grid: of cells that were predicted with their source left out.
        ratios: their errors over the predicted standard errors, [cell].
    """
    pairs = np.array(["\0".join(pair) for pair in task_pairs(grid)])
    names = np.unique(pairs)
    if len(names) < 2:
        return EVEN
    of = [pairs == name for name in names]
    squares = np.array([np.mean(ratios[cells] ** 2) for cells in of])
    # Cells of one adapter err together.
    adapters = [_n_adapters(grid, cells) for cells in of]
    own = np.array(adapters, dtype=float)
    logs = np.log(np.maximum(squares, 1e-9)) - special.digamma(own / 2) + np.log(own / 2)
    beyond_chance = float(logs.var(ddof=1) - special.polygamma(1, own / 2).mean())
    if beyond_chance <= _LEAST:
        return EVEN
    prior = 2 * float(optimize.brentq(lambda half: special.polygamma(1, half) - beyond_chance, 1e-3, 2 / _LEAST))
    common = np.exp(logs.mean() + special.digamma(prior / 2) - np.log(prior / 2))
    factors = (prior * common + own * squares) / (prior + own)
    # What all of them are together is the mixed model's to say.
    factors = factors / np.average(factors, weights=[cells.sum() for cells in of])
    keys: list[TaskPair] = [(name.partition("\0")[0], name.partition("\0")[2]) for name in names.tolist()]
    return Spread(dict(zip(keys, factors.tolist(), strict=True)), dict(zip(keys, (prior + own).tolist(), strict=True)))


_LEAST = 1e-3
"""Variance of the logarithms beyond chance that is none."""


def _n_adapters(grid: Grid, cells: NDArray[np.bool_]) -> int:
    return len(set(zip(grid.model[cells].tolist(), grid.source[cells].tolist(), strict=True)))
