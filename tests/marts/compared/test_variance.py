"""Shares of variance against mean squares, pairs of cells and planted truth."""

from __future__ import annotations

import itertools
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers.warehouse_fixture import RawRows
from tests.marts.compared.rows import (
    FAMILIES,
    N_ITEMS,
    SOURCES,
    STUDY,
    TARGETS,
    Evaluate,
    Key,
    Row,
    grid_rows,
    query,
    regime_of,
)

NAMES = ("model", "source", "target", "model_source", "model_target", "source_target", "residual")


def _mean_squares(y: np.ndarray) -> dict[str, float]:
    """Components of a crossed layout [models, sources, targets] from its mean squares (textbook three-way ANOVA)."""
    sets = [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2)]
    effects: dict[Key, np.ndarray] = {(): y.mean(keepdims=True)}
    ms: dict[Key, float] = {}
    for kept in sets:
        mean = y.mean(axis=tuple(set(range(3)) - set(kept)), keepdims=True)
        effects[kept] = mean - sum(effect for other, effect in effects.items() if set(other) < set(kept))
        degrees = np.prod([y.shape[axis] - 1 for axis in kept])
        ms[kept] = float((effects[kept] ** 2).sum() * y.size / effects[kept].size / degrees)
    sizes = y.shape
    found = [(ms[i, j] - ms[0, 1, 2]) / sizes[3 - i - j] for i, j in ((0, 1), (0, 2), (1, 2))]
    singles = [
        (ms[(i,)] - ms[min(i, j), max(i, j)] - ms[min(i, k), max(i, k)] + ms[0, 1, 2]) / (sizes[j] * sizes[k])
        for i, j, k in ((0, 1, 2), (1, 0, 2), (2, 0, 1))
    ]
    return dict(zip(NAMES, [*singles, *found, ms[0, 1, 2]], strict=True))


def _shares(components: dict[str, float]) -> dict[str, float]:
    kept = {name: max(value, 0) for name, value in components.items()}
    return {name: value / sum(kept.values()) for name, value in kept.items()}


def _variance(
    evaluate: Evaluate,
    grid: list[Row],
    errors: float | None = None,
    shared: float = 0,
    runs: float | None = None,
    shared_runs: float = 0,
) -> dict[Key, float]:
    """(regime, component) -> share; errors of items and luck of runs as standard errors, pp, and their shared parts."""
    known = {
        "items_pp2": None if errors is None else errors**2, "runs_pp2": None if runs is None else runs**2,
        "covariance_pp2": shared,
    }  # fmt: skip
    found = evaluate(
        "rpt_variance",
        int_grid_errors=[row | known for row in grid],
        int_luck_sharing=[
            {"outcome": "accuracy", "study": "s", "of_all": shared_runs / runs**2 if runs else 0.0, "of_task": 0.0,
             "of_language": 0.0}
        ],
        stg_studies=STUDY,
    )  # fmt: skip
    return {(row["regime"], row["component"]): row["share"] for row in found}


def test_variance_of_a_crossed_layout_is_that_of_mean_squares(warehouse: Path, raw: RawRows) -> None:
    key = raw.job("crossed", "importer", file="crossed")
    published = [row for row in raw.rows["aggregate_scores"] if row["job_key"] == key]
    y = np.array([row["delta_pp"] for row in published]).reshape(4, 5, 6)
    components = _mean_squares(y)
    components["sampling"] = float(np.mean([row["delta_stderr"] ** 2 for row in published]))
    components["residual"] -= components["sampling"]
    expected = {**_shares(components), "run": None}
    for regime in ("MT-CL", "transfer"):
        rows = query(warehouse, f"select * from marts.rpt_variance where study = 'crossed' and regime = '{regime}'")
        assert {row["component"]: row["share"] for row in rows} == pytest.approx(expected, abs=1e-9)


def test_variance_needs_three_models_and_errors_of_every_cell(warehouse: Path, raw: RawRows) -> None:
    pair = query(warehouse, "select share from marts.rpt_variance where study = 'pair'")
    assert [row["share"] for row in pair] == [None] * 18
    key = raw.job("blind", "importer", file="blind")
    y = np.array([row["delta_pp"] for row in raw.rows["aggregate_scores"] if row["job_key"] == key]).reshape(4, 5, 6)
    blind = query(warehouse, "select * from marts.rpt_variance where study = 'blind' and regime = 'transfer'")
    expected = {**_shares(_mean_squares(y)), "sampling": None, "run": None}
    found = {row["component"]: row["share"] for row in blind}
    assert found == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("regime", ["MT-CL", "CT-CL", "transfer"])
def test_variance_where_regimes_leave_out_cells(evaluate: Evaluate, deltas: np.ndarray, regime: str) -> None:
    """Against all pairs of cells, one by one; within a task for MT-CL."""
    cells = [
        (m, SOURCES[s], TARGETS[e], delta)
        for (m, s, e), delta in np.ndenumerate(deltas)
        if not np.isnan(delta) and regime in ("transfer", regime_of(SOURCES[s], TARGETS[e]))
    ]
    halves = defaultdict(list)
    for one, other in itertools.combinations(cells, 2):
        if regime != "MT-CL" or one[2][0] == other[2][0]:
            agree = tuple(a == b for a, b in zip(one[:3], other[:3], strict=True))
            halves[agree].append((one[3] - other[3]) ** 2 / 2)
    v = {agree: np.mean(values) for agree, values in halves.items()}
    none, model, source, target = (
        v[k] for k in ((False,) * 3, (True, False, False), (False, True, False), (False, False, True))
    )
    both = [v[k] for k in ((True, True, False), (True, False, True), (False, True, True))]
    components = dict(zip(NAMES, [
        none - model, none - source, none - target, model + source - none - both[0], model + target - none - both[1],
        source + target - none - both[2], none - model - source - target + sum(both),
    ], strict=True))  # fmt: skip
    found = _variance(evaluate, list(grid_rows(deltas, sources=SOURCES, targets=TARGETS)))
    assert {name: found[regime, name] for name in NAMES} == pytest.approx(_shares(components), abs=1e-9)


def test_planted_variance_is_found(evaluate: Evaluate) -> None:
    """Known components and known errors, of which part is one draw for a model and target."""
    rng = np.random.default_rng(11)
    shape = (40, 36, 36)
    planted = dict(zip(NAMES, (1.0, 2.0, 3.0, 0.5, 1.0, 1.5, 0.8), strict=True))
    axes = ((0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2))
    y = np.zeros(shape)
    for (_, variance), kept in zip(planted.items(), axes, strict=True):
        y = y + rng.normal(0, np.sqrt(variance), [n if axis in kept else 1 for axis, n in enumerate(shape)])
    y = y + rng.normal(0, np.sqrt(0.7), (shape[0], 1, shape[2])) + rng.normal(0, np.sqrt(0.5), shape)
    # Runs: 0.9 in all, 0.6 of it shared by an adapter's targets.
    y = y + rng.normal(0, np.sqrt(0.6), (*shape[:2], 1)) + rng.normal(0, np.sqrt(0.3), shape)
    found = _variance(
        evaluate, list(grid_rows(y)), errors=float(np.sqrt(1.2)), shared=0.7, runs=float(np.sqrt(0.9)), shared_runs=0.6
    )
    expected = _shares({**planted, "sampling": 1.2, "run": 0.9})
    for name, share in expected.items():
        assert found["MT-CL", name] == pytest.approx(share, abs=0.07 if len(name) in (5, 6) else 0.02), name


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 10_000), st.floats(-50, 50), st.floats(0.1, 20))
def test_shares_know_neither_origin_nor_unit(evaluate: Evaluate, seed: int, shift: float, scale: float) -> None:
    y = np.random.default_rng(seed).normal(0, 3, (3, 4, 5)) + np.random.default_rng(seed + 1).normal(0, 2, (1, 4, 1))
    before = _variance(evaluate, list(grid_rows(y)), errors=1.0, shared=0.5)
    after = _variance(evaluate, list(grid_rows(y * scale + shift)), errors=scale, shared=0.5 * scale**2)
    assert before == pytest.approx(after, abs=1e-7)
    assert sum(share or 0 for (regime, _), share in before.items() if regime == "MT-CL") == pytest.approx(1)


def test_covariance_of_sampling_errors(warehouse: Path) -> None:
    """Against NumPy's covariance matrix over items of the differences, source by source."""
    answers = query(
        warehouse,
        "select cells.model, cells.target_task, cells.target_language, cells.cell_number, items.item_id,"
        " items.n_correct / items.n_seeds - items.baseline_correct as d"
        " from intermediate.int_cell_items as items"
        " join intermediate.int_transfer_cells as cells on items.cell_number = cells.cell_number"
        " where cells.study = 'grid' and cells.control is null and cells.regime != 'MT-ML'"
        " order by cells.cell_number, items.item_id",
    )
    by_column: dict[Key, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in answers:
        by_column[row["model"], row["target_task"], row["target_language"]][row["cell_number"]].append(row["d"])
    found = query(warehouse, "select * from intermediate.int_sampling_covariance where study = 'grid'")
    assert len(found) == len(by_column) == len(FAMILIES) * len(TARGETS)
    for row in found:
        matrix = np.cov(list(by_column[row["model"], row["target_task"], row["target_language"]].values())) / N_ITEMS
        expected = 1e4 * matrix[~np.eye(len(matrix), dtype=bool)].mean()
        assert row["covariance_pp2"] == pytest.approx(expected)
