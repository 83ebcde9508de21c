"""Planted grids: cells of sources that are hidden whole are within their intervals as often as is said."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from compute.prediction.fitting import predict
from tests.truth.planted_grid import PUBLISHED, Shape, hidden_sources, planted

SMALL = Shape(models=3, tasks=2, languages=9)


@dataclass(frozen=True)
class Hidden:
    """How hidden transfer cells of some grids were predicted."""

    within_95: float
    within_50: float
    r2: float
    beyond_zero: float
    """The share of 95 % intervals that leave 0 out."""


def hide(seeds: range, shape: Shape, **how: float) -> Hidden:
    """Predict a quarter of the sources of several grids."""
    inside_95, inside_50, squares, about_mean, beyond = [], [], [], [], []
    for seed in seeds:
        rng = np.random.default_rng([7, seed])
        grid = planted(rng, shape, **how).grid
        fit, found = next(predict(grid.without(hidden_sources(rng, grid, 0.25)), validate=False))
        measured = grid.delta[found.row]
        low, high = found.interval(0.95)
        inside_95.append((low <= measured) & (measured <= high))
        inside_50.append(np.logical_and(*(side(found.interval(0.5), measured) for side in (_above, _below))))
        beyond.append((low > 0) | (high < 0))
        squares.append((measured - found.mean) ** 2)
        about_mean.append((measured - measured.mean()) ** 2)
        assert not fit.is_own and len(measured) > 0
    shares = [float(np.concatenate(one).mean()) for one in (inside_95, inside_50, beyond)]
    r2 = 1 - float(np.concatenate(squares).sum() / np.concatenate(about_mean).sum())
    return Hidden(shares[0], shares[1], r2, shares[2])


def _above(bounds: tuple[np.ndarray, np.ndarray], values: np.ndarray) -> np.ndarray:
    return np.asarray(bounds[0] <= values)


def _below(bounds: tuple[np.ndarray, np.ndarray], values: np.ndarray) -> np.ndarray:
    return np.asarray(values <= bounds[1])


def test_hidden_sources_are_within_their_intervals_and_better_than_the_mean() -> None:
    found = hide(range(20), SMALL)
    assert 0.92 <= found.within_95 <= 0.98, found
    assert 0.44 <= found.within_50 <= 0.60, found
    assert found.r2 > 0.35, found


def test_nothing_planted_is_not_foretold() -> None:
    found = hide(range(10), SMALL, signal=0.0)
    assert 0.92 <= found.within_95 <= 0.985, found
    assert found.beyond_zero < 0.02, found


def test_a_grid_of_the_published_shape() -> None:
    found = hide(range(1), PUBLISHED)
    assert 0.92 <= found.within_95 <= 0.98, found
    assert found.r2 > 0.4, found


@pytest.mark.parametrize("noise", [0.5, 6.0])
def test_intervals_hold_whatever_the_noise(noise: float) -> None:
    found = hide(range(8), SMALL, noise=noise)
    assert 0.92 <= found.within_95 <= 0.985, found
