"""How alike source and target are to the base model."""

from __future__ import annotations

import numpy as np

from compute.prediction.grid import Grid
from compute.prediction.mixed_model import Floats
from compute.prediction.predictors import Predictor


@Predictor
def nn_rank(grid: Grid) -> Floats:
    """Return the share of the target's nearest tokens that are the source's (plugin `nn_rank`).

    NaN without it, and of one cell with itself.
    """
    shares = grid.similarities.get("nn_rank", {})
    cells = zip(grid.model, grid.source, grid.target, strict=True)
    found = [shares.get((grid.models[m].name, grid.sources[s], grid.targets[t]), np.nan) for m, s, t in cells]
    return np.array(found, dtype=float)
