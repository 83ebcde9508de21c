"""What moves a cell, and what nothing tells."""

from __future__ import annotations

import numpy as np
import pytest

from compute.prediction.effects import design_of, unknowable
from compute.prediction.fitting import predict
from compute.prediction.grid import Cell, Grid, Model, whole
from compute.prediction.languages import features
from tests.truth.planted_grid import Shape, planted

RNG = np.random.default_rng(20_191)


def measured(models: list[str], sources: list[Cell], targets: list[Cell], seen: list[Cell] | None = None) -> Grid:
    """A grid of random differences, of the sources that are `seen`; None: of all."""
    delta = {
        (model, source, target): float(RNG.standard_normal())
        for model in models
        for source in sources
        for target in targets
        if seen is None or source in seen
    }
    return whole([Model(name) for name in models], sources, targets, delta, {}, {})


def test_kinds_that_part_the_cells_alike_are_one() -> None:
    one_task = measured(
        ["a@1", "b@1"], [("t", "de"), ("t", "ru"), ("t", "fi")], [("t", "de"), ("t", "en"), ("t", "ru")]
    )
    kinds = design_of(one_task.part(~one_task.is_own)).effects
    assert {"model", "source_language", "target_language", "model_source", "model_target", "source_target"} >= {
        kind for kind in kinds if "features" not in kind and kind != "relatedness"
    } - {"language_pair"}
    assert "source" not in kinds and "source_task" not in kinds and "task_pair" not in kinds


def test_what_is_new_where_one_was_measured_has_no_interval() -> None:
    sources = [("t", "de"), ("t", "ru"), ("t", "fi"), ("t", "es"), ("u", "de")]
    grid = measured(["a@1"], sources, [("t", "de"), ("t", "en"), ("u", "ru"), ("u", "de")], seen=sources[:3])
    assert set(grid.source[unknowable(grid)]) == {4}  # task u, of a grid of sources of task t
    ((_, found),) = [one for one in predict(grid) if not one[0].is_own]
    bounded = {
        sources[grid.source[row]]: bool(is_bounded) for row, is_bounded in zip(found.row, found.is_bounded, strict=True)
    }
    assert bounded == {("t", "es"): True, ("u", "de"): False}
    low, high = found.interval(0.95)
    assert np.isnan(low[~found.is_bounded]).all() and np.isfinite(high[found.is_bounded]).all()


def test_a_new_model_of_one_has_no_interval_and_of_several_has() -> None:
    for names in (["a@1"], ["a@1", "b@1", "c@1"]):
        sources = [("t", language) for language in ("de", "ru", "fi")]
        grid = measured([*names, "new"], sources, [("t", "en"), ("u", "de"), ("u", "en"), ("u", "ru")])
        grid = grid.without(grid.model == len(names))
        found = next(predict(grid))[1]
        assert {int(m) for m in grid.model[found.row]} == {len(names)}
        assert found.is_bounded.all() == (len(names) > 1)


def test_errors_of_unmeasured_cells_are_those_of_their_target() -> None:
    grid = measured(["a@1"], [("t", "de"), ("t", "ru")], [("t", "en"), ("u", "en")], seen=[("t", "de")])
    errors = np.where(grid.is_measured, np.where(grid.target == 0, 2.0, 5.0), np.nan)
    design = design_of(Grid(**{**vars(grid), "error": errors}))
    assert design.errors[~grid.is_measured].tolist() == [2.0, 5.0]


def test_kernel_of_languages_is_that_of_their_distances() -> None:
    languages = ["de", "nl", "es", "pt"]
    near = {frozenset(("de", "nl")), frozenset(("es", "pt"))}
    distances = {
        (one, other): 0.1 if frozenset((one, other)) in near else 1.0
        for one in languages
        for other in languages
        if one != other
    }
    vectors = features(languages, {"syntactic": distances})
    kernel = vectors @ vectors.T
    assert kernel[0, 1] > kernel[0, 2] and kernel[2, 3] > kernel[1, 3]
    assert features(["de", "nl", "es"], {}).shape == (3, 0)  # nothing tells them apart
    assert features(["de", "nl", "ru", "uk"], {}).shape[1] > 0  # their scripts do


def test_equal_grids_are_predicted_alike_and_other_orders_too() -> None:
    grid = planted(np.random.default_rng(3), Shape(2, 2, 5)).grid
    hidden = grid.without(np.isin(grid.source, [1, 6]))
    (_, one), (_, again) = next(predict(hidden)), next(predict(hidden))
    assert one.mean.tolist() == again.mean.tolist()
    order = np.random.default_rng(4).permutation(len(grid))
    shuffled = next(predict(hidden.part(order)))[1]
    by_cell = dict(zip(order[shuffled.row].tolist(), shuffled.mean.tolist(), strict=True))
    assert [by_cell[row] for row in one.row.tolist()] == pytest.approx(one.mean.tolist(), abs=0.02)
