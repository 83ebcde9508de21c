"""Scores and cells against the same numbers worked out in Python from the same raw rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.marts.scored.rows import MODELS, PRIMARY, Key, Row, is_right, query, regime_of


def test_every_metric_variant_of_every_score(warehouse: Path, answers: dict[Key, dict[str, Row]]) -> None:
    rows = query(warehouse, "select * from marts.fct_scores where study = 'grid'")
    assert len(rows) == 3 * len(answers)
    for row in rows:
        source = (row["source_task"], row["source_language"]) if row["source_task"] else None
        key = (row["model"], source, row["control"], row["seed"], (row["target_task"], row["target_language"]))
        right = [is_right(item, row["metric"]) for item in answers[key].values()]
        assert (row["score"], row["n_items"]) == (sum(right) / len(right), len(right))


def test_transfer_cells(warehouse: Path, differences: dict[Key, np.ndarray]) -> None:
    rows = query(warehouse, "select * from marts.fct_transfer where study = 'grid'")
    assert len(rows) == len(differences)
    for row in rows:
        source = (row["source_task"], row["source_language"])
        target = (row["target_task"], row["target_language"])
        d = differences[row["model"], source, row["control"], target]
        assert row["delta_pp"] == 100 * int(d.sum()) / d.size
        assert row["gain_pct"] == pytest.approx(100 * np.mean(d == 1))
        assert row["loss_pct"] == pytest.approx(100 * np.mean(d == -1))
        assert (row["n_seeds"], row["n_items"]) == d.shape
        assert row["score"] - row["baseline_score"] == pytest.approx(d.mean())
        if d.mean() >= 0:
            assert row["headroom_gain"] == pytest.approx(d.mean() / (1 - row["baseline_score"]))
        elif row["baseline_score"] > 1 / 3:
            assert row["headroom_gain"] == pytest.approx(d.mean() / (row["baseline_score"] - 1 / 3))
        else:
            assert row["headroom_gain"] is None
        assert row["regime"] == regime_of(source, target)
        assert row["is_positive"] == (row["delta_pp"] > 0)
        assert row["is_harm"] == (row["delta_pp"] <= -2.0)
        assert (row["family"], row["metric"]) == (MODELS[row["model"]], PRIMARY[target[0]])
        assert row["chance_score"] == pytest.approx(1 / 3)
        assert row["origin"] == "computed"


def test_baselines_prompts_and_common_items(warehouse: Path) -> None:
    rows = query(
        warehouse,
        "select variant, target_language, prompt, baseline_score, delta_pp, n_items, n_seeds, is_harm"
        " from marts.fct_transfer where study = 'holes' and source_language = 'de'",
    )
    found = {(row.pop("variant"), row.pop("target_language"), row.pop("prompt")): tuple(row.values()) for row in rows}
    assert found == {
        ("default", "en", "p@1"): (0.5, 20.0, 10, 1, False),
        ("default", "fr", "p@1"): (0.5, 20.0, 10, 1, False),
        ("default", "it", "p@1"): (0.5, 20.0, 10, 1, False),
        ("default", "en", "q@1"): (0.5, -30.0, 10, 1, True),
        ("default", "fr", "q@1"): (0.5, -30.0, 10, 1, True),
        ("default", "it", "q@1"): (None, None, 10, 1, None),  # no baseline: the row stays
        ("r32", "en", "p@1"): (0.0, 100.0, 9, 2, False),  # its own baseline; the items of both seeds
        ("r32", "fr", "p@1"): (4 / 9, 100 * 10 / 18, 9, 2, False),  # the baseline of 'default'
    }
    shared = query(warehouse, "select delta_pp from marts.fct_transfer where study = 'shares'")
    assert shared == [{"delta_pp": 20.0}]


def test_imports_are_taken_as_published(warehouse: Path) -> None:
    rows = query(warehouse, "select * from marts.fct_transfer where study = 'published' order by target_language")
    assert [(row["target_language"], row["regime"], row["delta_pp"], row["is_harm"]) for row in rows] == [
        ("ar", "MT-ML", 3.25, False), ("bn", "MT-CL", -0.5, False), ("cs", "MT-CL", -1.0, True)
    ]  # fmt: skip
    assert {(row["origin"], row["n_items"], row["n_seeds"], row["delta_se"], row["gain_pct"]) for row in rows} == {
        ("donors-recipients", 400, 3, 0.2, None)
    }
    regimes = query(warehouse, "select * from marts.rpt_regimes where study = 'published' and scope = 'all'")
    assert {row["regime"]: (row["mean_pp"], row["harm_pct"], row["ci_low"]) for row in regimes} == {
        "MT-ML": (3.25, 0.0, None), "MT-CL": (-0.75, 50.0, None), "transfer": (-0.75, 50.0, None)
    }  # fmt: skip
