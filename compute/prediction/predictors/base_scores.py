"""What the base model can do before anything is tuned."""

from __future__ import annotations

import numpy as np

from compute.prediction.grid import Grid
from compute.prediction.mixed_model import Floats
from compute.prediction.predictors import Predictor


@Predictor
def base_score(grid: Grid) -> Floats:
    """Return the base model's score on the source's own cell; NaN where that is no target of the study."""
    number = {target: i for i, target in enumerate(grid.targets)}
    own = [number.get(source) for source in grid.sources]
    cells = zip(grid.model, grid.source, strict=True)
    return np.array([np.nan if own[s] is None else grid.base.get((m, own[s]), np.nan) for m, s in cells], dtype=float)


@Predictor
def headroom(grid: Grid) -> Floats:
    """Return 1 - the base model's score on the target: one value for all sources of a target."""
    return 1 - grid.base_scores()
