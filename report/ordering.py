"""Rows and columns of a grid in the order of their likeness."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import pdist

from report.charts import Key


def by_likeness(
    sources: Sequence[Key], targets: Sequence[Key], values: Mapping[tuple[Key, Key], float]
) -> tuple[list[Key], list[Key]]:
    """Sources and targets, alike ones side by side: average linkage of Euclidean distances between their profiles,
    leaves in the order that makes neighbours most alike (Bar-Joseph et al. 2001). Missing values count as the mean.
    """
    grid = np.array([[values.get((source, target), np.nan) for target in targets] for source in sources])
    grid = np.where(np.isnan(grid), np.nanmean(grid) if np.isfinite(grid).any() else 0.0, grid)
    return [sources[i] for i in _leaves(grid)], [targets[i] for i in _leaves(grid.T)]


def _leaves(profiles: np.ndarray) -> list[int]:
    if len(profiles) < 3:
        return list(range(len(profiles)))
    order = leaves_list(linkage(pdist(profiles), method="average", optimal_ordering=True))
    return [int(i) for i in order]
