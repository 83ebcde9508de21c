"""How alike the languages of source and target are."""

from __future__ import annotations

import numpy as np

from compute.languages import script_of
from compute.prediction.grid import Cell, Grid
from compute.prediction.languages import mean_distance
from compute.prediction.mixed_model import Floats
from compute.prediction.predictors import Predictor


@Predictor
def shared_script(grid: Grid) -> Floats:
    """Return 1 where both languages are most often written in one script, else 0; NaN where it is not known."""

    def shared(source: Cell, target: Cell) -> float:
        one, other = script_of(source[1]), script_of(target[1])
        return np.nan if one is None or other is None else float(one == other)

    return grid.of_pairs(shared)


@Predictor
def uriel(grid: Grid) -> Floats:
    """Return less the mean of the study's language distances, each over its mean; 0 of one language with itself."""
    languages = grid.languages()
    number = {language: i for i, language in enumerate(languages)}
    distance = mean_distance(languages, grid.distances)
    return grid.of_pairs(lambda source, target: -float(distance[number[source[1]], number[target[1]]]))
