"""Planted grids: sources chosen in rounds, at a quarter of the cost, are better picks than every habit's."""

from __future__ import annotations

import numpy as np

from compute.prediction.choosing import Rules, Unit, choose
from compute.prediction.fitting import posterior, predict
from compute.prediction.grid import Grid
from compute.prediction.predictors import values_of
from tests.truth.planted_grid import Shape, planted

SHAPE = Shape(models=3, tasks=2, languages=9)
HABITS = ("same_task", "same_language", "english", "nearest_language", "random")


def after(grid: Grid, done: list[Unit]) -> Grid:
    return grid.without(np.array([(m, s) not in set(done) for m, s in zip(grid.model, grid.source, strict=True)]))


def chosen(grid: Grid, budget: float) -> Grid:
    """The grid as far as an adaptive study has measured it."""
    costs = {(int(m), int(s)): 1.0 for m, s in zip(grid.model, grid.source, strict=True)}
    done: list[Unit] = []
    while units := choose(after(grid, done), costs, done, Rules("best source", budget, 0.0)).units:
        done += units
    return after(grid, done)


def regret(grid: Grid, truth: np.ndarray, score: np.ndarray) -> float:
    """Mean over models and targets of the best source's true difference less the first's by score, equals alike."""
    column = grid.model * len(grid.targets) + grid.target
    found = []
    for one in np.unique(column):
        of, said = truth[column == one], score[column == one]
        found.append(of.max() - of[said == said.max()].mean())
    return float(np.mean(found))


def test_a_quarter_of_the_cost_beats_habits_and_costs_little_beside_the_whole_grid() -> None:
    regrets: dict[str, list[float]] = {}
    inside = []
    for seed in range(4):
        drawn = planted(np.random.default_rng([9, seed]), SHAPE)
        keep = ~drawn.grid.is_own
        grid, truth = drawn.grid.part(keep), drawn.truth[keep]
        part = chosen(grid, 0.25)
        assert part.is_measured.mean() <= 0.25
        scores = {name: values_of(name, grid) for name in HABITS}
        scores |= {"adaptive": posterior(part)[0], "whole": posterior(grid)[0]}
        for name, score in scores.items():
            regrets.setdefault(name, []).append(regret(grid, truth, score))
        (_, found), *_ = predict(part, validate=False)
        low, high = found.interval(0.95)
        inside.append((low <= grid.delta[found.row]) & (grid.delta[found.row] <= high))
    mean = {name: float(np.mean(one)) for name, one in regrets.items()}
    assert all(mean["adaptive"] < mean[habit] - 0.5 for habit in HABITS), mean
    assert mean["whole"] <= mean["adaptive"] <= mean["whole"] + 1.5, mean
    assert 0.92 <= float(np.concatenate(inside).mean()) <= 0.98
