"""Regimes against the same numbers worked out in Python from the same raw rows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.marts.scored.rows import N_ITEMS, PRIMARY, Key, cells_of, query


def test_regimes(warehouse: Path, differences: dict[Key, np.ndarray]) -> None:
    rows = query(warehouse, "select * from marts.rpt_regimes where study = 'grid'")
    assert len(rows) == 4 * 5
    for row in rows:
        deltas = [100 * d.mean() for d in cells_of(differences, row["scope"], row["regime"]).values()]
        assert row["prompt"] == "per target"
        assert row["n_cells"] == len(deltas)
        assert row["mean_pp"] == pytest.approx(np.mean(deltas))
        assert row["median_pp"] == pytest.approx(np.median(deltas))
        assert row["positive_pct"] == pytest.approx(100 * np.mean([delta > 0 for delta in deltas]))
        assert row["harm_pct"] == pytest.approx(100 * np.mean([delta < -1.999999 for delta in deltas]))


def test_intervals_of_regimes(
    warehouse: Path, differences: dict[Key, np.ndarray], half_width: Callable[[dict[Key, float]], float]
) -> None:
    rows = query(warehouse, "select * from marts.rpt_regimes where study = 'grid'")
    for row in rows:
        cells = cells_of(differences, row["scope"], row["regime"])
        half = half_width(dict.fromkeys(cells, 1 / len(cells)))
        assert row["mean_pp"] - row["ci_low"] == pytest.approx(half, rel=1e-4)
        assert row["ci_high"] - row["mean_pp"] == pytest.approx(half, rel=1e-4)


@pytest.mark.parametrize(("scope", "regime"), [("all", "transfer"), ("two@1", "MT-CL")])
def test_the_items_part_of_an_error_is_that_of_a_bootstrap(
    warehouse: Path, differences: dict[Key, np.ndarray], scope: str, regime: str
) -> None:
    rng = np.random.default_rng(1)
    cells = cells_of(differences, scope, regime)
    # Each replicate draws every task's parallel items once, for all models, sources and languages.
    total = np.zeros(4_000)
    for task in PRIMARY:
        of_items = np.array([d.mean(axis=0) for key, d in cells.items() if key[3][0] == task])
        drawn = rng.multinomial(N_ITEMS - 1, np.full(N_ITEMS, 1 / N_ITEMS), len(total)) / (N_ITEMS - 1)
        total += (drawn @ of_items.T).sum(axis=1) if len(of_items) else 0
    (row,) = query(
        warehouse,
        "select sqrt(standard_error ** 2 - run_se ** 2) as error from intermediate.int_mean_errors"
        f" where study = 'grid' and scope = '{scope}' and axis = 'regime' and entity = '{regime}'",
    )
    assert row["error"] == pytest.approx(100 * np.std(total) / len(cells), rel=0.05)


def test_significant_harms_are_harms_of_small_q(warehouse: Path) -> None:
    of_grid = "control is null and delta_pp is not null and not is_mixture"
    cells = query(warehouse, f"select * from marts.fct_transfer where {of_grid}")
    complete = "scope = 'all' and regime != 'transfer' and study != 'holes'"
    for row in query(warehouse, f"select * from marts.rpt_regimes where {complete}"):
        of = [
            cell for cell in cells
            if (cell["study"], cell["variant"], cell["regime"]) == (row["study"], row["variant"], row["regime"])
            and row["prompt"] in ("per target", cell["prompt"])
        ]  # fmt: skip
        assert len(of) == row["n_cells"]
        harms = [cell for cell in of if cell["is_harm"] and cell["q_value"] is not None and cell["q_value"] <= 0.05]
        assert row["sig_harm_pct"] == pytest.approx(100 * len(harms) / len(of))
        assert (row["null_harm_pct"] is None) == (row["study"] == "published")


def test_two_prompts_are_never_averaged(warehouse: Path) -> None:
    rows = query(
        warehouse,
        "select prompt, n_cells, mean_pp from marts.rpt_regimes"
        " where study = 'holes' and variant = 'default' and scope = 'all' and regime = 'MT-CL'",
    )
    assert {row["prompt"]: (row["n_cells"], row["mean_pp"]) for row in rows} == {"p@1": (4, 20.0), "q@1": (4, -30.0)}
