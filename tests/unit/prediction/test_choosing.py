"""Which sources an adaptive study tunes next."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from compute.prediction.choosing import Choice, Rules, Unit, choose
from compute.prediction.goals import Goal
from compute.prediction.grid import Grid
from tests.truth.planted_grid import Shape, planted

FULL = planted(np.random.default_rng(5), Shape(3, 2, 6)).grid
FULL = FULL.part(~FULL.is_own)
UNITS: list[Unit] = sorted({(int(m), int(s)) for m, s in zip(FULL.model, FULL.source, strict=True)})
COSTS = {unit: 1.0 + unit[0] for unit in UNITS}
RULES = Rules("best source", 0.3, 0.0)


def after(done: list[Unit], of: Grid = FULL) -> Grid:
    """The grid with the cells of some units measured."""
    return of.without(np.array([(m, s) not in set(done) for m, s in zip(of.model, of.source, strict=True)]))


def played(rules: Rules, of: Grid = FULL) -> tuple[list[Unit], list[Choice]]:
    done: list[Unit] = []
    choices: list[Choice] = []
    while True:
        choices.append(choose(after(done, of), COSTS, done, rules))
        if not choices[-1].units:
            return done, choices
        done += choices[-1].units


@pytest.mark.parametrize("goal", ["best source", "harms", "all cells"])
def test_a_study_spends_its_budget_and_no_more_each_unit_once_and_alike_again(goal: Goal) -> None:
    done, choices = played(replace(RULES, goal=goal))
    spent, whole = sum(COSTS[unit] for unit in done), sum(COSTS.values())
    assert 0.3 * whole - min(COSTS.values()) < spent <= 0.3 * whole
    assert len(set(done)) == len(done) and choices[-1].why == "the budget is spent"
    again, _ = played(replace(RULES, goal=goal))
    assert again == done
    told = [choice for choice in choices[:-1] if choice.remaining is not None]
    assert len(told) >= 3 and all(len(choice.worth) == len(choice.units) for choice in told)


def test_it_begins_with_every_model_and_source_task() -> None:
    first = choose(after([]), COSTS, [], RULES)
    assert {m for m, _ in first.units} == {0, 1, 2}
    assert set(Counter(FULL.sources[s][0] for _, s in first.units)) == {"task0", "task1"}
    assert first.remaining is None and first.worth == ()


def test_it_ends_when_little_is_left_to_learn() -> None:
    _, choices = played(replace(RULES, enough=1e6))
    assert choices[-1].why == "what is left to learn is within 1e+06" and choices[-1].remaining is not None
    assert len(choices) < len(played(RULES)[1])


def test_a_budget_below_any_source_buys_none_and_a_whole_one_buys_all() -> None:
    assert played(replace(RULES, budget=0.001))[0] == []
    assert sorted(played(replace(RULES, budget=1.0))[0]) == UNITS


def test_what_is_all_equal_is_chosen_in_turn() -> None:
    flat = replace(FULL, delta=np.zeros(len(FULL)))
    done, choices = played(RULES, flat)
    assert {choice.remaining for choice in choices} == {None} and len(done) > 3


def test_a_source_that_is_twice_as_dear_is_worth_half() -> None:
    done = list(choose(after([]), COSTS, [], RULES).units)
    cheap = choose(after(done), COSTS, done, replace(RULES, budget=1.0))
    dear = {unit: cost * (20 if unit in cheap.units else 1) for unit, cost in COSTS.items()}
    assert not set(cheap.units) & set(choose(after(done), dear, done, replace(RULES, budget=1.0)).units)
