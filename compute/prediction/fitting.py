"""Fits a grid's measured cells and predicts the others; trained cells (MT-ML) are a population of their own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from compute.prediction.effects import design_of, unknowable
from compute.prediction.grid import Grid
from compute.prediction.mixed_model import Design, Floats, MixedModel, Variances, fit
from compute.prediction.spread import EVEN, Spread, moderated

VERSION = "2"
"""Of what is computed: raise it when the same cells would be predicted otherwise."""

LEAST_CELLS = 8
"""Measured cells that a fit takes."""

_FOLDS = 10


@dataclass(frozen=True)
class Fit:
    """One population of cells and what was learned of it.

    Attributes:
        is_own: whether it is the trained cells.
        n_cells: measured.
        variances: squared percentage points; of_error is a share.
        spread: how unlike the errors of pairs of tasks are.
        validation: None with fewer than two sources.
    """

    is_own: bool
    n_cells: int
    variances: Variances
    spread: Spread
    validation: Validation | None


@dataclass(frozen=True)
class Validation:
    """Each source's measured cells predicted from those of the others, the variances as fitted to all, the spread as
    the others show it.

    Attributes:
        n_cells: predicted so.
        r2: 1 - the squared errors' sum over that about the mean of the other sources' cells.
        coverage_50, coverage_95: the share of cells within their interval.
    """

    n_cells: int
    r2: float
    coverage_50: float
    coverage_95: float


@dataclass(frozen=True)
class Predictions:
    """What is expected of a grid's cells that were not measured. Arrays are [row].

    Attributes:
        row: number of the cell in the grid.
        mean: percentage points.
        expected_se: standard error of the expected difference.
        measured_se: of the difference that a computation would measure, its own error and luck in it.
        degrees: of freedom of measured_se.
        is_bounded: whether there is an interval: something new of a kind of which only one was measured has none.
    """

    row: NDArray[np.intp]
    mean: Floats
    expected_se: Floats
    measured_se: Floats
    degrees: Floats
    is_bounded: NDArray[np.bool_]

    def interval(self, level: float) -> tuple[Floats, Floats]:
        """Return the bounds that what would be measured lies within with probability `level`; NaN where there are
        none."""
        half = np.where(self.is_bounded, stats.t.ppf((1 + level) / 2, self.degrees) * self.measured_se, np.nan)
        return self.mean - half, self.mean + half


def predict(grid: Grid, validate: bool = True) -> Iterator[tuple[Fit, Predictions]]:
    """Yield a fit and its predictions for the transfer cells, then for the trained cells, if they can be fitted."""
    for is_own in (False, True):
        numbers = np.flatnonzero(grid.is_own == is_own)
        part = grid.part(grid.is_own == is_own)
        measured = part.is_measured
        if measured.sum() < LEAST_CELLS or np.ptp(part.delta[measured]) == 0:
            continue
        design, y = design_of(part), part.delta
        variances, uncertainty = fit(design.rows(measured), y[measured])
        model = MixedModel(design.rows(measured), y[measured], variances)
        found = model.predict(design.rows(~measured), uncertainty)
        left_out = _left_out(part, design, variances, uncertainty)
        spread = moderated(left_out.grid, left_out.ratio) if left_out else EVEN
        factor, known_from = spread.of(part.part(~measured))
        predictions = Predictions(
            numbers[~measured],
            found.mean,
            np.sqrt(found.variance * factor),
            np.sqrt(found.variance_measured * factor),
            _together(found.degrees, known_from),
            ~unknowable(part)[~measured],
        )
        validation = _validated(left_out) if validate and left_out else None
        yield Fit(is_own, int(measured.sum()), variances, spread, validation), predictions


@dataclass(frozen=True)
class _LeftOut:
    """Measured cells, each predicted with its source left out whole, one or a few sources at a time. Arrays are [cell].

    Attributes:
        fold: number of the sources that were left out together.
        error: what was measured less what was predicted, percentage points; `ratio`: over its standard error.
        about_mean: what was measured less the mean of the cells that were seen.
        degrees: of freedom of the standard error.
    """

    grid: Grid
    fold: NDArray[np.intp]
    error: Floats
    ratio: Floats
    about_mean: Floats
    degrees: Floats


def _left_out(grid: Grid, design: Design, variances: Variances, uncertainty: Floats) -> _LeftOut | None:
    measured = np.flatnonzero(grid.is_measured)
    sources = np.unique(grid.source[measured])
    if len(sources) < 2:
        return None
    parts = []
    for number, fold in enumerate(np.array_split(sources, min(_FOLDS, len(sources)))):
        hidden = measured[np.isin(grid.source[measured], fold)]
        seen = measured[~np.isin(grid.source[measured], fold)]
        found = MixedModel(design.rows(seen), grid.delta[seen], variances).predict(design.rows(hidden), uncertainty)
        error = grid.delta[hidden] - found.mean
        about_mean = grid.delta[hidden] - grid.delta[seen].mean()
        ratio = error / np.sqrt(found.variance_measured)
        parts.append((hidden, np.full(len(hidden), number), error, ratio, about_mean, found.degrees))
    cell, fold, *arrays = map(np.concatenate, zip(*parts, strict=True))
    order = np.argsort(cell)
    return _LeftOut(grid.part(grid.is_measured), fold[order], *(values[order] for values in arrays))


def _validated(left_out: _LeftOut) -> Validation:
    """Return how well sources are predicted that are left out whole; what is predicted has no part in the spread."""
    ratio, degrees = left_out.ratio.copy(), left_out.degrees.copy()
    for number in np.unique(left_out.fold):
        asked = left_out.fold == number
        spread = moderated(left_out.grid.part(~asked), left_out.ratio[~asked])
        factor, known_from = spread.of(left_out.grid.part(asked))
        ratio[asked] /= np.sqrt(factor)
        degrees[asked] = _together(degrees[asked], known_from)
    covered = {level: float(np.mean(np.abs(ratio) <= stats.t.ppf((1 + level) / 2, degrees))) for level in (0.5, 0.95)}
    r2 = 1 - float((left_out.error**2).sum() / (left_out.about_mean**2).sum())
    return Validation(len(ratio), r2, covered[0.5], covered[0.95])


def _together(degrees: Floats, others: Floats) -> Floats:
    """Return the degrees of freedom of a variance that is a product of two estimates."""
    return np.asarray(1 / (1 / degrees + 1 / others))


def posterior(grid: Grid) -> tuple[Floats, Floats]:
    """Return the expected difference of every cell, measured or not, and its variance, [cell].

    Of a measured cell: its own difference drawn towards what the others say of it. All cells are of one population,
    transfer or trained, `LEAST_CELLS` or more of them measured.
    """
    measured = grid.is_measured
    design, y = design_of(grid), grid.delta
    variances, _ = fit(design.rows(measured), y[measured])
    model = MixedModel(design.rows(measured), y[measured], variances)
    found = model.predict(design)
    mean, variance = found.mean.copy(), found.variance.copy()
    own = variances.of_error * design.errors[measured] ** 2
    share = own / np.maximum(own + variances.residual, 1e-12)
    mean[measured] += variances.residual * model.projected
    variance[measured] = (variance[measured] - variances.residual) * share**2 + variances.residual * share
    return mean, variance
