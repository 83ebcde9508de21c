"""Planted grids: cells of sources that are hidden whole are within their intervals as often as is said."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from compute.prediction.fitting import predict
from tests.truth import rates
from tests.truth.planted_grid import PUBLISHED, Shape, hidden_sources, planted
from tests.truth.prediction_worlds import BEHIND, COVERED_50, GRID_WORLDS, said_of

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
    assert 0.45 <= found.within_50 <= 0.55, found
    assert found.r2 > 0.35, found


def test_nothing_planted_is_not_foretold() -> None:
    found = hide(range(10), SMALL, signal=0.0)
    assert 0.92 <= found.within_95 <= 0.985, found
    assert 0.45 <= found.within_50 <= 0.56, found
    assert found.beyond_zero < 0.02, found


def test_a_grid_of_the_published_shape() -> None:
    found = hide(range(1), PUBLISHED)
    assert 0.92 <= found.within_95 <= 0.98, found
    assert found.r2 > 0.4, found


@pytest.mark.parametrize("noise", [0.5, 6.0])
def test_intervals_hold_whatever_the_noise(noise: float) -> None:
    found = hide(range(8), SMALL, noise=noise)
    assert 0.92 <= found.within_95 <= 0.985, found
    assert 0.44 <= found.within_50 <= 0.57, found


def test_tasks_that_move_unlike_have_intervals_of_their_own() -> None:
    """Of one residual for all, half of the cells would be within far narrower intervals than what is said."""
    name = "predictions: unlike tasks"
    said = [said_of(GRID_WORLDS[name].draw(rng), rng) for rng in map(np.random.default_rng, range(8))]
    for judge in GRID_WORLDS[name].judges:
        found = rates.rate(*zip(*(one[judge.name] for one in said), strict=True))
        assert judge.reach.holds(found), (judge.name, found)
    covered = sum(one[COVERED_50.name][0] for one in said) / sum(one[COVERED_50.name][1] for one in said)
    assert 0.44 <= covered <= 0.57


def test_the_first_by_prediction_is_less_behind_than_habits() -> None:
    rng = np.random.default_rng(5)
    said = said_of(GRID_WORLDS["predictions: planted"].draw(rng), rng)
    assert all(said[judge.name][0] < 0 for judge in BEHIND.values()), said
