"""What predictors say of measured transfer cells, each alone and all together, for `rpt_predictors` to judge."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from compute.prediction.grid import Grid
from compute.prediction.mixed_model import Floats
from compute.prediction.predictors import PREDICTORS, TOGETHER, values_of

_RIDGE = 0.01
"""Of the cells' number: what a weight costs, of predictors in standard deviations."""


def judged(grid: Grid) -> dict[str, Floats]:
    """Return each predictor's values of the grid's cells, [cell]; those that say nothing of any are left out."""
    values = {name: values_of(name, grid) for name in PREDICTORS}
    known = {name: one for name, one in values.items() if np.isfinite(one).any()}
    parts = {name: one for name, one in known.items() if not PREDICTORS.load(name).is_habit}
    # The task and the language are known before tuning too: whatever else is worth is worth it beside them.
    parts |= {name: known[name] for name in ("same_task", "same_language")}
    return known | {TOGETHER: together(grid, parts)}


def together(grid: Grid, values: Mapping[str, Floats]) -> Floats:
    """Return what all of them say together of each measured cell, [cell].

    A ridge regression of the differences on the values, in standard deviations, fitted for each model and target
    language on the other models and on cells that have that language on neither side. One model: on itself, the
    language left out. NaN where nothing is left to fit to.
    """
    columns = np.column_stack([_filled(one) for one in values.values()])
    measured = grid.is_measured
    languages = grid.languages()
    number = {language: i for i, language in enumerate(languages)}
    source = np.array([number[language] for _, language in grid.sources])[grid.source]
    target = np.array([number[language] for _, language in grid.targets])[grid.target]
    models = np.unique(grid.model[measured])
    found = np.full(len(grid), np.nan)
    for model in models:
        for language in np.unique(target):
            asked = (grid.model == model) & (target == language)
            others = measured & (source != language) & (target != language)
            others &= (grid.model != model) | (len(models) == 1)
            if others.sum() > 2:
                found[asked] = _ridge(columns[others], grid.delta[others], columns[asked])
    return found


def _ridge(x: Floats, y: Floats, at: Floats) -> Floats:
    center, spread = x.mean(axis=0), x.std(axis=0)
    spread = np.where(spread > 1e-9, spread, np.inf)
    scaled = (x - center) / spread
    normal = scaled.T @ scaled + _RIDGE * len(y) * np.eye(x.shape[1])
    weights = np.linalg.solve(normal, scaled.T @ (y - y.mean()))
    return np.asarray(y.mean() + (at - center) / spread @ weights)


def _filled(values: Floats) -> Floats:
    return np.where(np.isfinite(values), values, np.nanmean(values))
