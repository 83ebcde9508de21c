"""A predictor of transfer: how many letters the codes of the two languages share."""

from __future__ import annotations

from compute.prediction.grid import Cell, Grid
from compute.prediction.mixed_model import Floats
from compute.prediction.predictors import Predictor


def _shared(source: Cell, target: Cell) -> float:
    return float(len(set(source[1]) & set(target[1])))


@Predictor
def letters_shared(grid: Grid) -> Floats:
    """Return the number of letters that the codes of source and target language share, [cell]."""
    return grid.of_pairs(_shared)
