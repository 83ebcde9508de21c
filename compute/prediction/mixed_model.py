"""A linear mixed model of crossed effects, by restricted maximum likelihood, with predictions of what was not measured.

    y = X b + sum_k F_k u_k + e,    u_k ~ N(0, theta_k I),    e_i ~ N(0, theta_r + theta_s s_i^2)

X holds what is estimated freely, each sparse F_k one kind of effect (a column a level, or features whose product F F'
is a kernel), s_i the known standard error of measurement i. theta_s, at most 1, is the part of it that is a
measurement's own: what several share (a baseline, the luck of an adapter) is in the effects that they share.

Henderson's equations are solved: C (b, u) = W'R^-1 y, C = W'R^-1 W + diag(0, 1 / theta). The kind with the most levels
is absorbed, since its part of C is diagonal; what is left is dense and of the size of all the others, however many
measurements there are. Standard deviations have a prior, gamma of shape 2 (Chung et al. 2013, Psychometrika 78), which
keeps few levels from being taken for none; the intervals are Student's, with Satterthwaite's degrees of freedom from
the average information matrix (Johnson & Thompson 1995).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, sparse

Floats = NDArray[np.float64]

_LEAST, _MOST, _LEAST_SHARE = 1e-6, 1e2, 1e-3
"""Of variances, in that of y; of the errors' share."""
_PRIOR_RATE = 2.0
"""Of standard deviations, in that of y."""
_STEP = 1e-4
_DAMPING, _LONGEST, _HALVINGS, _MOST_STEPS, _ENOUGH = 0.1, 2.0, 6, 60, 1e-2
"""How Newton's steps go; `_ENOUGH` is the gain in log-likelihood that is not worth another."""
_RIDGE = 1e-9
"""Precision of what is estimated freely, so that a column that says nothing does no harm."""
_CHUNK = 2_000


@dataclass(frozen=True)
class Design:
    """What moves each row of some cells.

    Attributes:
        fixed: [row, column].
        effects: kind -> [row, level].
        errors: standard error of the row's own measurement, [row].
    """

    fixed: Floats
    effects: Mapping[str, sparse.csr_matrix]
    errors: Floats

    def rows(self, chosen: NDArray[np.intp] | NDArray[np.bool_]) -> Design:
        """Return some of the rows, with all the columns."""
        parts = {kind: matrix[chosen] for kind, matrix in self.effects.items()}
        return Design(self.fixed[chosen], parts, self.errors[chosen])


@dataclass(frozen=True)
class Variances:
    """Variances by kind of effect, in the square of y's unit; `of_error` is a share of the known errors' squares."""

    effects: Mapping[str, float]
    residual: float
    of_error: float


@dataclass(frozen=True)
class Predicted:
    """What is expected of rows, [row].

    Attributes:
        mean: the expected value.
        variance: of the true value about it.
        variance_measured: of what would be measured, with an error as the design has it.
        degrees: Satterthwaite's, of variance_measured.
    """

    mean: Floats
    variance: Floats
    variance_measured: Floats
    degrees: Floats


class MixedModel:
    """The model with known variances, given the measurements."""

    def __init__(self, design: Design, y: Floats, variances: Variances) -> None:
        """Solve the equations. `y`: [row]."""
        self.design, self.y, self.variances = design, y, variances
        self.absorbed = _absorbed(design)
        self.kept = [kind for kind in design.effects if kind != self.absorbed]
        self.noise = np.maximum(variances.residual + variances.of_error * design.errors**2, 1e-12)
        weight = 1 / self.noise
        self.rows, self.one = self._kept(design), self._one(design)
        precision = np.concatenate(
            [np.full(design.fixed.shape[1], _RIDGE)]
            + [np.full(design.effects[kind].shape[1], 1 / variances.effects[kind]) for kind in self.kept]
        )
        weighted = sparse.diags(weight) @ self.rows
        c = (self.rows.T @ weighted).toarray()
        c[np.diag_indices_from(c)] += precision
        right = weighted.T @ y
        if self.one is not None:
            self.one_precision = self.one.T @ weight + 1 / variances.effects[self.absorbed or ""]
            between = sparse.csr_matrix(self.one.T @ weighted)
            self.share = sparse.csr_matrix(sparse.diags(1 / self.one_precision) @ between)
            c -= (between.T @ self.share).toarray()
            one_right = self.one.T @ (weight * y)
            right = right - self.share.T @ one_right
        self.factor = linalg.cholesky(c, lower=True, overwrite_a=True, check_finite=False)
        self.solution = linalg.cho_solve((self.factor, True), right, check_finite=False)
        fitted = self.rows @ self.solution
        self.one_solution = np.zeros(0)
        if self.one is not None:
            self.one_solution = one_right / self.one_precision - self.share @ self.solution
            fitted = fitted + self.one @ self.one_solution
        self.projected = weight * (y - fitted)
        """P y, [row]."""

    def log_likelihood(self) -> float:
        """Return the restricted log-likelihood, less its constant."""
        total = np.log(self.noise).sum() + 2 * np.log(np.diag(self.factor)).sum() + self.y @ self.projected
        for kind, matrix in self.design.effects.items():
            total += matrix.shape[1] * np.log(self.variances.effects[kind])
        if self.absorbed is not None:
            total += np.log(self.one_precision).sum()
        return float(-total / 2)

    def inverse(self) -> Floats:
        """Return the inverse of C's kept part, [column, column]."""
        lower, _ = linalg.lapack.dpotri(self.factor, lower=True)
        return np.asarray(np.tril(lower) + np.tril(lower, -1).T)

    def slopes(self) -> tuple[dict[str, float], float]:
        """Return the log-likelihood's slope in the logarithm of each kind's variance, and of all the noise at once."""
        inverse = self.inverse()
        traces = dict.fromkeys(self.design.effects, 0.0)
        for kind, span in self._spans().items():
            traces[kind] = float(np.diag(inverse)[span].sum())
        if self.absorbed is not None:
            shared = float(self.share.multiply(self.share @ inverse).sum())
            traces[self.absorbed] = float((1 / self.one_precision).sum() + shared)
        slopes, unknown = {}, float(self.design.fixed.shape[1])
        for kind, matrix in self.design.effects.items():
            variance = self.variances.effects[kind]
            levels = matrix.shape[1]
            used = levels - traces[kind] / variance
            unknown += used
            slopes[kind] = -0.5 * (used - float((self.effect(kind) ** 2).sum()) / variance)
        of_noise = -0.5 * (len(self.y) - unknown - float((self.noise * self.projected**2).sum()))
        return slopes, of_noise

    def effect(self, kind: str) -> Floats:
        """Return the predicted effects of a kind, [level]."""
        return self.one_solution if kind == self.absorbed else self.solution[self._spans()[kind]]

    def information(self) -> Floats:
        """Return the average information on the variances: the kinds', the residual's, the error's share."""
        moved = [matrix @ (matrix.T @ self.projected) for matrix in self.design.effects.values()]
        moved += [self.projected, self.design.errors**2 * self.projected]
        columns = np.column_stack(moved)
        return np.asarray(columns.T @ self._projected(columns) / 2)

    def predict(self, design: Design, uncertainty: Floats | None = None) -> Predicted:
        """Return what is expected of other rows with the same columns.

        Args:
            uncertainty: covariance of the variances' estimates, ordered as `information`; None: they are known.
        """
        parts = [
            self._predict(design.rows(np.arange(start, min(start + _CHUNK, len(design.errors)))), uncertainty)
            for start in range(0, max(len(design.errors), 1), _CHUNK)
        ]
        return Predicted(*(np.concatenate(one) for one in zip(*parts, strict=True)))

    def _predict(self, design: Design, uncertainty: Floats | None) -> tuple[Floats, Floats, Floats, Floats]:
        kept, one = self._kept(design), self._one(design)
        mean = kept @ self.solution
        of_one = np.zeros(len(mean))
        if one is not None:
            mean = mean + one @ self.one_solution
            kept = kept - one @ self.share
            of_one = one @ (1 / self.one_precision)
        rows = _dense(kept)
        solved = linalg.cho_solve((self.factor, True), rows.T, check_finite=False)
        variance = np.einsum("ij,ji->i", rows, solved) + of_one
        own = self.variances.residual + self.variances.of_error * design.errors**2
        measured = variance + own
        degrees = np.full(len(mean), np.inf)
        if uncertainty is not None:
            slopes = []
            for kind in self.design.effects:
                if kind == self.absorbed and one is not None:
                    at = (
                        _dense(sparse.csr_matrix(one.multiply(1 / self.one_precision[None, :]))).T - self.share @ solved
                    )
                else:
                    at = solved[self._spans()[kind]]
                slopes.append((at**2).sum(axis=0) / self.variances.effects[kind] ** 2)
            gradient = np.column_stack([*slopes, np.ones(len(mean)), design.errors**2])
            spread = np.einsum("ij,jk,ik->i", gradient, uncertainty, gradient)
            degrees = np.maximum(1.0, 2 * measured**2 / np.maximum(spread, 1e-300))
        return mean, variance + self.variances.residual, measured, degrees

    def _projected(self, values: Floats) -> Floats:
        """Return P times columns, [row, column]."""
        weight = (1 / self.noise)[:, None]
        right = self.rows.T @ (weight * values)
        if self.one is not None:
            one_right = self.one.T @ (weight * values)
            right = right - self.share.T @ one_right
        solution = linalg.cho_solve((self.factor, True), right, check_finite=False)
        fitted = self.rows @ solution
        if self.one is not None:
            fitted = fitted + self.one @ (one_right / self.one_precision[:, None] - self.share @ solution)
        return np.asarray(weight * (values - fitted))

    def _kept(self, design: Design) -> sparse.csr_matrix:
        return sparse.csr_matrix(
            sparse.hstack([sparse.csr_matrix(design.fixed), *(design.effects[kind] for kind in self.kept)], "csr")
        )

    def _one(self, design: Design) -> sparse.csr_matrix | None:
        return None if self.absorbed is None else design.effects[self.absorbed]

    def _spans(self) -> dict[str, slice]:
        start, spans = self.design.fixed.shape[1], {}
        for kind in self.kept:
            spans[kind] = slice(start, start + self.design.effects[kind].shape[1])
            start = spans[kind].stop
        return spans


class _Criterion:
    """The penalised likelihood and its slopes in the logarithms of the variances: kinds', residual, error's share."""

    def __init__(self, design: Design, y: Floats) -> None:
        self.design, self.y, self.kinds = design, y, list(design.effects)
        self.has_errors = bool(design.errors.any())
        self.upper = np.log([_MOST] * (len(self.kinds) + 1) + [1.0])
        self.lower = np.log([_LEAST] * (len(self.kinds) + 1) + [_LEAST_SHARE])

    def variances(self, logs: Floats) -> Variances:
        found = np.exp(logs)
        effects = dict(zip(self.kinds, map(float, found), strict=False))
        return Variances(effects, float(found[-2]), float(found[-1]) if self.has_errors else 0.0)

    def at(self, logs: Floats) -> tuple[float, MixedModel]:
        """Return the criterion's value, and the model there."""
        model = MixedModel(self.design, self.y, self.variances(logs))
        deviations = np.exp(logs[:-1] / 2)
        return model.log_likelihood() + float((np.log(deviations) - _PRIOR_RATE * deviations).sum()), model

    def step(self, logs: Floats, model: MixedModel) -> tuple[Floats, Floats]:
        """Return the slopes, and Newton's step with the average information in place of the curvature."""
        slopes, of_noise = model.slopes()
        gradient = np.array([slopes[kind] for kind in self.kinds] + [of_noise, 0.0])
        if self.has_errors:  # of the noise's parts: the errors' share by a small step, the residual by what is left
            lower = logs - _STEP * (np.arange(len(logs)) == len(logs) - 1)
            below = MixedModel(self.design, self.y, self.variances(lower))
            of_error = (model.log_likelihood() - below.log_likelihood()) / _STEP
            gradient[-2:] = of_noise - of_error, of_error
        deviations = np.exp(logs[:-1] / 2)
        gradient[:-1] += 0.5 - _PRIOR_RATE * deviations / 2
        thetas = np.exp(logs)
        curvature = model.information() * np.outer(thetas, thetas)
        curvature[np.diag_indices_from(curvature)] += [*(_PRIOR_RATE * deviations / 4 + _DAMPING), _DAMPING]
        blocked = ((logs >= self.upper) & (gradient > 0)) | ((logs <= self.lower) & (gradient < 0))
        gradient[blocked] = 0.0
        curvature[blocked] = curvature[:, blocked] = 0.0
        curvature[blocked, blocked] = 1.0
        step = np.linalg.solve(curvature, gradient)
        return gradient, np.asarray(step * min(1.0, _LONGEST / max(np.abs(step).max(), 1e-9)))


def fit(design: Design, y: Floats) -> tuple[Variances, Floats]:
    """Return the variances by penalised restricted maximum likelihood, and the covariance of their estimates.

    Args:
        y: [row], of variance above 0.
    """
    scale = float(np.var(y))
    criterion = _Criterion(Design(design.fixed, design.effects, design.errors / np.sqrt(scale)), y / np.sqrt(scale))
    n = len(criterion.kinds)
    logs = np.log(np.array([1 / (n + 2)] * (n + 1) + [0.5]))
    value, model = criterion.at(logs)
    for _ in range(_MOST_STEPS):
        gradient, step = criterion.step(logs, model)
        if gradient @ step < _ENOUGH:
            break
        for _ in range(_HALVINGS):
            tried = np.clip(logs + step, criterion.lower, criterion.upper)
            new_value, new_model = criterion.at(tried)
            if new_value > value:
                break
            step = step / 2
        else:
            break
        logs, value, model = tried, new_value, new_model
    information = model.information()
    thetas = np.exp(logs)
    information[np.diag_indices_from(information)] += 0.5 / thetas**2
    units = np.array([scale] * (n + 1) + [1.0])
    best = model.variances
    effects = {kind: one * scale for kind, one in best.effects.items()}
    return Variances(effects, best.residual * scale, best.of_error), np.asarray(
        np.linalg.inv(information) * np.outer(units, units), dtype=float
    )


def _absorbed(design: Design) -> str | None:
    """Return the kind with the most levels, of those of which each row has one with weight 1."""
    levels = {
        kind: matrix.shape[1]
        for kind, matrix in design.effects.items()
        if matrix.nnz == matrix.shape[0] and (matrix.data == 1).all() and (np.diff(matrix.indptr) == 1).all()
    }
    return max(levels, key=lambda kind: levels[kind]) if levels else None


def _dense(matrix: sparse.csr_matrix) -> Floats:
    return np.asarray(matrix.toarray())
