"""How people pick a source: what predictors are compared with."""

from __future__ import annotations

from functools import partial

import numpy as np

from compute.prediction.grid import Grid
from compute.prediction.languages import mean_distance
from compute.prediction.mixed_model import Floats
from compute.prediction.predictors import Predictor


@partial(Predictor, is_habit=True)
def same_task(grid: Grid) -> Floats:
    """Return 1 where the source has the target's task, else 0."""
    return grid.of_pairs(lambda source, target: float(source[0] == target[0]))


@partial(Predictor, is_habit=True)
def same_language(grid: Grid) -> Floats:
    """Return 1 where the source has the target's language, else 0."""
    return grid.of_pairs(lambda source, target: float(source[1] == target[1]))


@partial(Predictor, is_habit=True)
def english(grid: Grid) -> Floats:
    """Return 1 where the source is English, else 0; NaN where no source is."""
    if all(language != "en" for _, language in grid.sources):
        return np.full(len(grid), np.nan)
    return grid.of_pairs(lambda source, target: float(source[1] == "en"))


@partial(Predictor, is_habit=True)
def nearest_language(grid: Grid) -> Floats:
    """Return 1 where the source's language is, of all sources' other languages, the nearest to the target's; else 0.

    Near is what `uriel` says; NaN without distances.
    """
    languages = grid.languages()
    distance = mean_distance(languages, grid.distances)
    number = {language: i for i, language in enumerate(languages)}
    tuned_on = sorted({language for _, language in grid.sources})

    def nearest(target: str) -> str | None:
        others = [one for one in tuned_on if one != target and np.isfinite(distance[number[one], number[target]])]
        return min(others, key=lambda one: (distance[number[one], number[target]], one)) if others else None

    chosen = {target: nearest(target) for target in languages}
    return grid.of_pairs(
        lambda source, target: np.nan if chosen[target[1]] is None else float(source[1] == chosen[target[1]])
    )


@partial(Predictor, is_habit=True)
def random(grid: Grid) -> Floats:
    """Return one value for all: of equals each is as likely the first."""
    return np.zeros(len(grid))
