"""How much of the target's wording the source has."""

from __future__ import annotations

import numpy as np

from compute.prediction.grid import Cell, Grid
from compute.prediction.mixed_model import Floats
from compute.prediction.predictors import Predictor


@Predictor
def lexical_overlap(grid: Grid) -> Floats:
    """Return the share of the target's character trigrams, as a set, that the source has; NaN without texts."""

    def overlap(source: Cell, target: Cell) -> float:
        one, other = grid.trigrams.get(source), grid.trigrams.get(target)
        return len(one & other) / len(other) if one and other else np.nan

    return grid.of_pairs(overlap)
