"""Scores and cells against the same numbers worked out in Python from the same raw rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.helpers.luck import ProbabilityCell, error_of_probability, luck_of_runs
from tests.marts.scored.rows import (
    MODELS,
    N_ITEMS,
    PRIMARY,
    SOURCES,
    TARGETS,
    Key,
    Row,
    choice_probabilities,
    is_right,
    query,
    regime_of,
)


def test_every_metric_variant_of_every_score(warehouse: Path, answers: dict[Key, dict[str, Row]]) -> None:
    rows = query(warehouse, "select * from marts.fct_scores where study = 'grid'")
    assert len(rows) == 5 * len(answers)
    for row in rows:
        source = (row["source_task"], row["source_language"]) if row["source_task"] else None
        key = (row["model"], source, row["control"], row["seed"], (row["target_task"], row["target_language"]))
        items = answers[key].values()
        if row["metric"] in ("gold_probability", "brier"):
            told = [choice_probabilities(item, PRIMARY[row["target_task"]]) for item in items]
            golds = np.eye(3)[[item["gold"] for item in items]]
            expected = (told * golds).sum() if row["metric"] == "gold_probability" else ((told - golds) ** 2).sum()
            assert row["score"] == pytest.approx(expected / N_ITEMS, rel=1e-6)
            assert (row["higher_is_better"], row["delta_unit"]) == (
                (True, "pp") if row["metric"] == "gold_probability" else (False, "brier")
            )
        else:
            right = [is_right(item, row["metric"]) for item in items]
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


def test_transfer_cells_by_the_probability_of_the_right_choice(
    warehouse: Path, answers: dict[Key, dict[str, Row]]
) -> None:
    def told(*key: object) -> list[float]:
        metric = PRIMARY[key[4][0]]
        return [choice_probabilities(row, metric)[row["gold"]] for row in answers[key].values()]

    cells = {}
    for model in MODELS:
        for target in TARGETS:
            before = np.array(told(model, None, None, None, target))
            for source in SOURCES:
                for control, seeds in ((None, (1, 2)), ("placebo", (1,))):
                    after = np.array([told(model, source, control, seed, target) for seed in seeds])
                    cells[model, source, control, target] = ProbabilityCell(
                        source, (model, source, control), target, before, after
                    )
    of = {trained: [cell for key, cell in cells.items() if (key[1] == key[3]) == trained] for trained in (True, False)}
    luck = {trained: luck_of_runs(members)[0] for trained, members in of.items()}
    rows = query(warehouse, "select * from marts.fct_transfer_probability where study = 'grid'")
    assert len(rows) == len(cells)
    for row in rows:
        source, target = ((row[f"{side}_task"], row[f"{side}_language"]) for side in ("source", "target"))
        cell = cells[row["model"], source, row["control"], target]
        assert row["baseline_score"] == pytest.approx(cell.before.mean(), abs=1e-6)
        for name, value in error_of_probability(cell, luck[source == target][source]).items():
            assert row[name] == pytest.approx(value, rel=1e-3, abs=1e-4), name
        assert (row["normalized_as"], row["standing"]) == (PRIMARY[target[0]], "exploratory")
        assert row["is_at_odds"] == (row["delta_pp"] * row["accuracy_delta_pp"] < 0)


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
