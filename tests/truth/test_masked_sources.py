"""What hidden sources are judged by: intervals that cover what they say, and planted grids."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from tests.truth.masked_sources import Halves, Picks, adaptive, after, at_random, coverage, difference, picks, tables
from tests.truth.planted_grid import Shape, planted

SHAPE = Shape(models=2, tasks=2, languages=6)


def made_up(values: dict[str, np.ndarray], **others: object) -> Picks:
    masks, columns = next(iter(values.values())).shape
    nobody = {name: np.full((masks, columns), -1) for name in values}
    found = Picks(values, nobody, np.arange(columns), np.zeros(columns), {}, {}, {}, {})
    return replace(found, **others)  # type: ignore[arg-type]


def test_columns_of_a_language_count_as_one_draw() -> None:
    rng = np.random.default_rng(2)
    masks, languages, columns = 400, 10, 40
    language = np.arange(columns) % languages
    inside = 0
    for _ in range(60):
        shared = rng.normal(0, 1, languages)[language]
        values = shared + rng.normal(0, 0.3, (masks // 40, columns))
        _, low, high = difference(made_up({"a": np.zeros_like(values), "b": values}, language=language), "a", "b")
        inside += low <= 0 <= high
    assert stats.binomtest(inside, 60, 0.95).pvalue > 0.001


def test_coverage_counts_a_source_as_one_draw() -> None:
    source, mask = np.repeat(np.arange(30), 20), np.tile(np.repeat(np.arange(4), 5), 30)
    covered = np.repeat(np.arange(30) % 10 != 0, 20)
    found = made_up(
        {"a": np.zeros((1, 1))}, covered={("k", 0.95): covered}, source={"k": source}, mask={"k": mask}
    )  # fmt: skip
    share, low, high = coverage(found, "k", 0.95)
    of_sources = np.arange(30) % 10 != 0
    half = stats.t.ppf(0.975, 29) * of_sources.std() / np.sqrt(30)
    assert share == pytest.approx(0.9)
    assert high - share == pytest.approx(half, rel=0.15) and share - low == pytest.approx(half, rel=0.15)


def test_whole_sources_are_hidden_within_the_budget() -> None:
    grid = planted(np.random.default_rng(3), SHAPE).grid
    grid = grid.part(~grid.is_own)
    for way in (adaptive, at_random):
        done = way(grid, np.random.default_rng(4))
        assert len(done) == 6  # a quarter of 2 models' 12 sources
        assert done == way(grid, np.random.default_rng(4))
        part = after(grid, done)
        assert {
            (m, s) for m, s in zip(grid.model[part.is_measured], grid.source[part.is_measured], strict=True)
        } == set(done)


def test_on_a_planted_grid_the_whole_is_best_and_a_quarter_beats_habits() -> None:
    drawn = planted(np.random.default_rng(5), SHAPE, signal=2.0, noise=0.3)
    keep = ~drawn.grid.is_own
    found = picks(Halves(drawn.grid.part(keep), drawn.truth[keep]), masks=2, seed=1)
    regret = {name: float((found.best - values).mean()) for name, values in found.value.items()}
    assert 0 <= regret["whole"] < regret["adaptive"] < min(regret["random"], regret["english"])
    assert difference(found, "whole", "whole") == (0.0, 0.0, 0.0)
    assert difference(found, "random", "adaptive")[0] == pytest.approx(regret["random"] - regret["adaptive"])
    assert len(list(tables(found))) == len(found.value) + 2 + 1 + 4
