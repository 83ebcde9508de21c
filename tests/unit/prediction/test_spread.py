"""How unlike errors of pairs of tasks are: found where they are, and not where chance made them so."""

from __future__ import annotations

import numpy as np
import pytest

from compute.prediction.grid import Model, whole
from compute.prediction.spread import EVEN, moderated, task_pairs

TASKS = ("a", "b")
CELLS = [(task, language) for task in TASKS for language in ("x", "y", "z", "u", "v", "w")]
MODELS = [Model(f"m{number}@1") for number in range(3)]
GRID = whole(MODELS, CELLS, CELLS, {}, {}, {})
LOUD = np.array([pair == ("a", "a") for pair in task_pairs(GRID)])


def test_a_loud_pair_is_found_and_the_level_of_all_is_kept() -> None:
    rng = np.random.default_rng(1)
    ratios = rng.standard_normal(len(GRID)) * np.where(LOUD, 3.0, 0.75)
    spread = moderated(GRID, ratios)
    factors, degrees = spread.of(GRID)
    told = factors[LOUD].mean() / factors[~LOUD].mean()
    assert told == pytest.approx(16, rel=0.3)
    assert factors.mean() == pytest.approx(1)
    # An adapter is one witness, however many targets it has.
    assert (degrees < 2 * len(MODELS) * len(CELLS)).all() and (degrees > 18).all()


def test_chance_is_taken_for_nothing() -> None:
    even = [moderated(GRID, np.random.default_rng(seed).standard_normal(len(GRID))) is EVEN for seed in range(20)]
    assert np.mean(even) >= 0.9
    assert moderated(GRID.part(LOUD), np.full(LOUD.sum(), 3.0)) is EVEN  # one pair: nothing to compare


def test_a_pair_that_was_not_seen_is_as_all_together() -> None:
    spread = moderated(GRID, np.where(LOUD, 3.0, 0.5) * np.random.default_rng(2).standard_normal(len(GRID)))
    other = whole(MODELS, [("c", "x")], CELLS, {}, {}, {})
    factors, degrees = spread.of(other)
    assert (factors == 1).all() and np.isinf(degrees).all()
