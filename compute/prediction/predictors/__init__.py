"""What may be said of transfer before anything is tuned: a predictor is one function of a grid.

A predictor returns one value a cell, more where more transfer is expected, on whatever scale; NaN where it has nothing
to say. It may look at everything of a grid but `delta` and `error`, which it is not given.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from compute.errors import UserError
from compute.prediction.grid import Grid
from compute.prediction.mixed_model import Floats
from compute.registry import Registry


@dataclass(frozen=True)
class Predictor:
    """A predictor of transfer.

    Attributes:
        function: of a grid whose cells are not measured; returns [cell].
        is_habit: whether it is how people pick a source without looking at anything else; habits are compared with
            predictors, and are no part of all together.
    """

    function: Callable[[Grid], Floats]
    is_habit: bool = False

    def __call__(self, grid: Grid) -> Floats:
        return self.function(grid)


_MODULES = {
    "habits": ("same_task", "same_language", "english", "nearest_language", "random"),
    "relatedness": ("shared_script", "uriel"),
    "wording": ("lexical_overlap",),
    "base_scores": ("base_score", "headroom"),
    "geometry": ("isometry", "bli"),
    "hidden_states": ("nn_rank",),
}

PREDICTORS: Registry[Predictor] = Registry(
    "predictor",
    "transfer.predictors",
    {name: f"compute.prediction.predictors.{module}:{name}" for module, names in _MODULES.items() for name in names},
    "compute.prediction.predictors:Predictor",
)
"""By name in `rpt_predictors`."""

TOGETHER = "together"
"""The name of all of them together (`compute.prediction.judging`), which no predictor may have."""


def values_of(name: str, grid: Grid) -> Floats:
    """Return what one predictor says of each cell, [cell].

    Raises:
        UserError: it is one of another package, and what it returns is no such array.
    """
    hidden = replace(grid, delta=np.full(len(grid), np.nan), error=np.full(len(grid), np.nan))
    predictor = PREDICTORS.load(name)
    try:
        values = np.asarray(predictor(hidden), dtype=float)
    except Exception as error:  # whatever the code of another package does
        if PREDICTORS.package(name) is None:
            raise
        raise UserError(f"predictor {name!r}: {type(error).__name__}: {str(error).partition(chr(10))[0]}") from error
    if values.shape != (len(grid),):
        raise UserError(f"predictor {name!r}: expected one value a cell, {len(grid)}, found {values.shape}")
    return np.where(np.isfinite(values), values, np.nan)
