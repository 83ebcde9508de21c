"""Which sources to tune next, of a grid of which some have been: what an adaptive study asks after each round.

A unit is a model and a source: all its seeds, variants and controls, on every target. First come models, source tasks
and languages in turn; then, by the posterior of all transfer cells (`fitting.posterior`), those that a goal gains
most from for what they cost. Everything follows from what was measured, so that a resumed study chooses alike.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from scipy import stats

from compute.prediction.fitting import LEAST_CELLS, posterior
from compute.prediction.goals import ENOUGH, Goal
from compute.prediction.grid import Grid
from compute.prediction.mixed_model import Floats

Unit = tuple[int, int]
"""Numbers of a model and a source."""

_DRAWS = 200
_FIRST_SHARE = 0.4
"""Of the budget, for the first round, and spent before what is known may be enough."""
_ROUNDS = 5
"""Of about equal cost, after the first."""


@dataclass(frozen=True)
class Choice:
    """What is known before a round, and what is chosen for it.

    Attributes:
        units: in the order of what they are worth; empty: the study is at its end.
        worth: of each, what the goal gains by it for its share of the whole grid's cost; empty while too little is
            known.
        remaining: what the goal is still short of, mean over what it is about; None while too little is known.
            `best source`: expected regret of the best guess, percentage points; `harms`: probability that a cell is
            taken for the wrong one; `all cells`: standard deviation of a cell, percentage points.
        why: in words.
    """

    units: tuple[Unit, ...]
    worth: tuple[float, ...]
    remaining: float | None
    why: str


@dataclass(frozen=True)
class Rules:
    """What an adaptive study asks: its goal, a share of the whole cost, when it knows enough, and what a harm is."""

    goal: Goal
    budget: float
    enough: float | None = None
    harm_pp: float = 1.0


SPENT = Choice((), (), None, "the budget is spent")

Kind = TypeVar("Kind")


def within_budget(costs: Mapping[Kind, float], done: Sequence[Kind], budget: float) -> list[Kind]:
    """Return the units not `done`, whatever they are called by, that what is left of the budget pays for."""
    left = budget * sum(costs.values()) - sum(costs[unit] for unit in done)
    return [unit for unit, cost in costs.items() if unit not in set(done) and cost <= left * (1 + 1e-9)]


def choose(grid: Grid, costs: Mapping[Unit, float], done: Sequence[Unit], rules: Rules) -> Choice:
    """Return the next round.

    Args:
        grid: transfer cells of every unit, measured of those that are `done`.
        costs: of every unit.
        done: units chosen before.
    """
    whole = sum(costs.values())
    left = rules.budget * whole - sum(costs[unit] for unit in done)
    affordable = within_budget(costs, done, rules.budget)
    if not affordable:
        return SPENT
    if grid.is_measured.sum() < LEAST_CELLS or np.ptp(grid.delta[grid.is_measured]) == 0:
        money = min(left, _FIRST_SHARE * rules.budget * whole)
        spread = [unit for unit in _spread(grid, list(costs), done) if unit in set(affordable)]
        units = _affordable(spread, costs, money, least=1)
        return Choice(units, (), None, "too little is known: models, source tasks and languages in turn")
    mean, variance = posterior(grid)
    worth, remaining = _GOALS[rules.goal](grid, mean, np.sqrt(np.maximum(variance, 0.0)), rules)
    enough = ENOUGH[rules.goal] if rules.enough is None else rules.enough
    if remaining <= enough and rules.budget * whole - left >= _FIRST_SHARE * rules.budget * whole:
        return Choice((), (), remaining, f"what is left to learn is within {enough:g}")
    of_unit = {unit: float(worth[(grid.model == unit[0]) & (grid.source == unit[1])].sum()) for unit in affordable}
    ordered = _diverse(of_unit, costs)
    a_round = (1 - _FIRST_SHARE) * rules.budget * whole / _ROUNDS
    units = _affordable(ordered, costs, min(a_round, left), least=1)
    shares = tuple(of_unit[unit] / (costs[unit] / whole) for unit in units)
    return Choice(units, shares, remaining, f"most for its cost towards: {rules.goal}")


def _of_best_source(grid: Grid, mean: Floats, deviation: Floats, rules: Rules) -> tuple[Floats, float]:
    """Expected improvement on the best guess of its model and target, [cell]; the regret that is expected of it."""
    worth, regrets = np.zeros(len(grid)), []
    normals = np.random.default_rng(20_191).standard_normal((_DRAWS, len(grid.sources)))
    column = grid.model * len(grid.targets) + grid.target
    for one in np.unique(column):
        cells = np.flatnonzero(column == one)
        best = mean[cells].max()
        spread = np.maximum(deviation[cells], 1e-9)
        z = (mean[cells] - best) / spread
        worth[cells] = spread * (z * stats.norm.cdf(z) + stats.norm.pdf(z))
        drawn = mean[cells] + spread * normals[:, grid.source[cells]]
        regrets.append(float((drawn.max(axis=1) - drawn[:, int(np.argmax(mean[cells]))]).mean()))
    return np.where(grid.is_measured, 0.0, worth), float(np.mean(regrets))


def _of_harms(grid: Grid, mean: Floats, deviation: Floats, rules: Rules) -> tuple[Floats, float]:
    """Probability that a cell is taken for a harm, or for none, wrongly, [cell]; its mean."""
    p = stats.norm.cdf((-rules.harm_pp - mean) / np.maximum(deviation, 1e-9))
    wrong = np.minimum(p, 1 - p)
    return np.where(grid.is_measured, 0.0, wrong), float(wrong.mean())


def _of_all_cells(grid: Grid, mean: Floats, deviation: Floats, rules: Rules) -> tuple[Floats, float]:
    """Variance, [cell]; the root of its mean."""
    return np.where(grid.is_measured, 0.0, deviation**2), float(np.sqrt((deviation**2).mean()))


_GOALS = {"best source": _of_best_source, "harms": _of_harms, "all cells": _of_all_cells}


def _spread(grid: Grid, units: Sequence[Unit], done: Sequence[Unit]) -> list[Unit]:
    """Return units so that, those `done` first, all models, source tasks and languages are shown about equally often.

    Ties go by a digest of names, which favours nothing.
    """

    def digest(unit: Unit) -> str:
        model, source = grid.models[unit[0]].name, grid.sources[unit[1]]
        return hashlib.sha256(f"{model}/{source[0]}/{source[1]}".encode()).hexdigest()

    seen = Counter(part for unit in done for part in _parts(grid, unit))
    ordered: list[Unit] = []
    left = sorted(set(units) - set(done), key=digest)
    while left:
        parts = {unit: _parts(grid, unit) for unit in left}
        best = min(left, key=lambda unit: (sum(seen[part] for part in parts[unit]), digest(unit)))
        seen.update(parts[best])
        ordered.append(best)
        left.remove(best)
    return ordered


def _parts(grid: Grid, unit: Unit) -> tuple[object, ...]:
    model, source = unit
    task, language = grid.sources[source]
    return ("model", model), ("task", task), ("language", language), ("source", source), ("model task", model, task)


def _diverse(worth: Mapping[Unit, float], costs: Mapping[Unit, float]) -> list[Unit]:
    """Return units by worth over cost, a source again after others: two models tell much the same of one source."""
    ordered: list[Unit] = []
    left = dict(worth)
    times: dict[int, int] = {}
    while left:
        best = max(
            left, key=lambda unit: (left[unit] / costs[unit] / (1 + times.get(unit[1], 0)), (-unit[0], -unit[1]))
        )
        times[best[1]] = times.get(best[1], 0) + 1
        ordered.append(best)
        del left[best]
    return ordered


def _affordable(units: Sequence[Unit], costs: Mapping[Unit, float], money: float, least: int) -> tuple[Unit, ...]:
    """Return the first units that `money` pays for, `least` of them at any price."""
    chosen: list[Unit] = []
    for unit in units:
        spent = sum(costs[one] for one in chosen)
        if len(chosen) >= least and spent + costs[unit] > money * (1 + 1e-9):
            break
        chosen.append(unit)
    return tuple(chosen)
