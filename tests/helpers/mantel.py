"""Mantel's test, worked out in full."""

from __future__ import annotations

import itertools

import numpy as np
from scipy import stats


def exact_mantel(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Spearman's correlation of two matrices off their diagonals, and its p over every permutation of the languages."""
    off = ~np.eye(len(x), dtype=bool)
    ranks = np.zeros((2, *x.shape))
    ranks[0][off], ranks[1][off] = stats.rankdata(np.round(x[off], 9)), stats.rankdata(np.round(y[off], 9))
    found = [
        np.corrcoef(ranks[0][np.ix_(order, order)][off], ranks[1][off])[0, 1]
        for order in map(list, itertools.permutations(range(len(x))))
    ]
    return float(found[0]), float(np.mean(np.abs(found) >= abs(found[0]) - 1e-9))
