"""How alike the word vectors of the two languages are, as this house measures it in a study's embeddings."""

from __future__ import annotations

import numpy as np

from compute.prediction.grid import Grid
from compute.prediction.languages import Distances
from compute.prediction.mixed_model import Floats
from compute.prediction.predictors import Predictor

_LIKE = {"relational_similarity": 1.0, "eigenvector_similarity": -1.0, "gromov_hausdorff": -1.0}
"""Measures that say how alike two spaces are, and whether more is more alike (1) or less (-1)."""


@Predictor
def isometry(grid: Grid) -> Floats:
    """Return the mean of the isometry measures there are, each in standard deviations over language pairs; NaN for one
    language with itself, and without measures."""
    parts = [
        sign * _standardized(_of_cells(grid, grid.geometry[name]))
        for name, sign in _LIKE.items()
        if name in grid.geometry
    ]
    return np.mean(parts, axis=0) if parts else np.full(len(grid), np.nan)  # fmt: skip


@Predictor
def bli(grid: Grid) -> Floats:
    """Return MAP of bilingual lexicon induction from the source's to the target's language (`rpt_language_pairs`)."""
    return _of_cells(grid, grid.geometry.get("bli_map", {}))


def _of_cells(grid: Grid, measure: Distances) -> Floats:
    return grid.of_pairs(lambda source, target: measure.get((source[1], target[1]), np.nan))


def _standardized(values: Floats) -> Floats:
    known = values[np.isfinite(values)]
    return (values - known.mean()) / known.std() if known.size and known.std() > 0 else np.zeros_like(values)
