"""The mixed model against the same in dense matrices."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize, sparse

from compute.prediction.mixed_model import Design, Floats, MixedModel, Variances, fit

RNG = np.random.default_rng(20_191)
N, N_NEW = 60, 9


def indicators(levels: np.ndarray, n: int) -> sparse.csr_matrix:
    return sparse.csr_matrix(np.eye(n)[levels])


def designed(rows: int) -> Design:
    features = RNG.standard_normal((rows, 2))
    effects = {
        "few": indicators(RNG.integers(0, 4, rows), 4),
        "many": indicators(RNG.integers(0, 15, rows), 15),
        "features": sparse.csr_matrix(features),
    }
    return Design(np.column_stack([np.ones(rows), RNG.integers(0, 2, rows)]), effects, RNG.uniform(0.5, 2, rows))


DESIGN = designed(N + N_NEW)
SEEN, NEW = np.arange(N), np.arange(N, N + N_NEW)
Y = RNG.standard_normal(4)[DESIGN.effects["few"][SEEN].indices] * 2 + RNG.standard_normal(N) * 1.5
VARIANCES = Variances({"few": 1.5, "many": 0.4, "features": 0.2}, 0.8, 0.5)


def covariance(variances: Variances) -> Floats:
    """Of all rows, measured and new, their own errors in it."""
    total = np.diag(variances.residual + variances.of_error * DESIGN.errors**2)
    for kind, matrix in DESIGN.effects.items():
        total = total + variances.effects[kind] * (matrix @ matrix.T).toarray()
    return total


def restricted_likelihood(variances: Variances) -> float:
    v, x = covariance(variances)[np.ix_(SEEN, SEEN)], DESIGN.fixed[SEEN]
    inverse = np.linalg.inv(v)
    middle = x.T @ inverse @ x
    residual = Y - x @ np.linalg.solve(middle, x.T @ inverse @ Y)
    return float(-(np.linalg.slogdet(v)[1] + np.linalg.slogdet(middle)[1] + residual @ inverse @ residual) / 2)


def test_the_likelihood_is_that_of_dense_matrices() -> None:
    other = Variances({"few": 0.3, "many": 2.0, "features": 1.0}, 0.3, 0.9)
    found = [MixedModel(DESIGN.rows(SEEN), Y, one).log_likelihood() for one in (VARIANCES, other)]
    expected = [restricted_likelihood(one) for one in (VARIANCES, other)]
    assert found[0] - found[1] == pytest.approx(expected[0] - expected[1], abs=1e-6)


def test_slopes_are_those_of_the_likelihood() -> None:
    slopes, of_noise = MixedModel(DESIGN.rows(SEEN), Y, VARIANCES).slopes()

    def at(logs: Floats) -> float:
        effects = {kind: one * np.exp(log) for (kind, one), log in zip(VARIANCES.effects.items(), logs, strict=False)}
        noise = np.exp(logs[-1])
        return restricted_likelihood(Variances(effects, VARIANCES.residual * noise, VARIANCES.of_error * noise))

    expected = optimize.approx_fprime(np.zeros(4), at, 1e-6)
    assert [*slopes.values(), of_noise] == pytest.approx(expected, abs=1e-4)


def test_predictions_are_the_best_linear_unbiased_ones() -> None:
    v = covariance(VARIANCES)
    seen, across = v[np.ix_(SEEN, SEEN)], v[np.ix_(NEW, SEEN)]
    x, x_new = DESIGN.fixed[SEEN], DESIGN.fixed[NEW]
    inverse = np.linalg.inv(seen)
    middle = np.linalg.inv(x.T @ inverse @ x)
    b = middle @ x.T @ inverse @ Y
    left = x_new - across @ inverse @ x
    variance = np.diag(v[np.ix_(NEW, NEW)] - across @ inverse @ across.T + left @ middle @ left.T)
    found = MixedModel(DESIGN.rows(SEEN), Y, VARIANCES).predict(DESIGN.rows(NEW))
    assert found.mean == pytest.approx(x_new @ b + across @ inverse @ (Y - x @ b), abs=1e-6)
    assert found.variance_measured == pytest.approx(variance, abs=1e-6)
    own = VARIANCES.of_error * DESIGN.errors[NEW] ** 2
    assert found.variance == pytest.approx(variance - own, abs=1e-6)


def test_the_fit_is_where_the_penalised_likelihood_is_highest() -> None:
    scale = np.sqrt(np.var(Y))
    variances, _ = fit(DESIGN.rows(SEEN), Y)

    def penalised(logs: Floats) -> float:
        values = np.exp(logs)
        deviations = np.sqrt(values[:4]) / scale
        at = Variances(dict(zip(VARIANCES.effects, values, strict=False)), values[3], values[4])
        return restricted_likelihood(at) + float((np.log(deviations) - 2 * deviations).sum())

    best = np.log([*variances.effects.values(), variances.residual, variances.of_error])
    around = optimize.minimize(
        lambda logs: -penalised(logs), best, method="L-BFGS-B", bounds=[(-12, 6)] * 4 + [(np.log(1e-3), 0)]
    )
    assert penalised(best) == pytest.approx(-around.fun, abs=0.02)


def test_few_levels_leave_few_degrees_of_freedom() -> None:
    """Of a level not yet seen: about as many as there are levels, as of a mean of so many with its own variance."""
    found = {}
    for n in (4, 40):
        levels = np.repeat(np.arange(n), 25)
        rng = np.random.default_rng(n)
        y = 3 * rng.standard_normal(n)[levels] + 0.1 * rng.standard_normal(len(levels))
        effects = {"level": indicators(np.append(levels, n), n + 1)}
        design = Design(np.ones((len(levels) + 1, 1)), effects, np.zeros(len(levels) + 1))
        seen = design.rows(np.arange(len(levels)))
        variances, uncertainty = fit(seen, y)
        new = MixedModel(seen, y, variances).predict(design.rows(np.array([len(levels)])), uncertainty)
        found[n] = float(new.degrees[0])
    assert 2 <= found[4] <= 8 and 30 <= found[40] <= 60
