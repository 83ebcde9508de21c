"""`transfer predict` as a user runs it, and its marts against the same numbers worked out in Python."""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
from scipy import stats

from compute.verbs.predict import cell, new_model
from tests.helpers.warehouse_fixture import RawRows
from tests.truth.planted_grid import Shape, planted

ROOT = Path(__file__).resolve().parents[2]
GRID = planted(np.random.default_rng(11), Shape(3, 2, 5)).grid
UNTUNED = ("task1", "es")
"""A source that one model only was tuned on."""


def _add(raw: RawRows, study: str, chosen: np.ndarray, shift: float = 0.0) -> None:
    raw.study(study, origin="published")
    key = raw.job(study, "import", of=study)
    for m, s, t, delta, error in zip(GRID.model, GRID.source, GRID.target, GRID.delta, GRID.error, strict=True):
        source, target = GRID.sources[s], GRID.targets[t]
        if chosen[m, s, t]:
            raw.add(
                "aggregate_scores", job_key=key, model=GRID.models[m].name, variant="default", source_task=source[0],
                source_language=source[1], target_task=target[0], target_language=target[1], prompt="p@1",
                metric="acc", baseline_score=GRID.base[m, t], delta=delta + shift, delta_unit="pp", delta_pp=delta,
                delta_stderr=error, n_seeds=3, n_items=400, score=GRID.base[m, t] + delta / 100,
            )  # fmt: skip


def _run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if key not in ("STUDY", "WAREHOUSE")}
    return subprocess.run(
        [sys.executable, "-m", "compute.cli", *arguments], cwd=folder, env=environment | {"PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


def _dbt(folder: Path, *models: str) -> None:
    run = subprocess.run(
        [
            str(Path(sys.executable).with_name("dbt")), "run", "--quiet", "--select", *models,
            "--target-path", str(folder / "target"), "--log-path", str(folder / "logs"),
        ],
        cwd=ROOT, env=os.environ | {"WAREHOUSE": str(folder / "warehouse.duckdb")}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout[-4_000:]


def _rows(folder: Path, sql: str) -> list[dict[str, Any]]:
    with duckdb.connect(str(folder / "warehouse.duckdb"), read_only=True) as connection:
        cursor = connection.execute(sql)
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    raw = RawRows()
    for task in ("task0", "task1"):
        raw.task(task)
    for model in GRID.models:
        raw.model(model.name, family=str(model.family), parameters=int(model.parameters or 0))
    chosen = np.ones((len(GRID.models), len(GRID.sources), len(GRID.targets)), dtype=bool)
    chosen[1:, GRID.sources.index(UNTUNED)] = False
    _add(raw, "part", chosen)
    number = np.arange(chosen.size).reshape(chosen.shape)
    _add(raw, "few", chosen & (number == 3))
    _add(raw, "short", chosen & (number < 8))
    distances = raw.job("part", "uriel")
    for (source, target), value in GRID.distances["syntactic"].items():
        raw.add(
            "language_distances", job_key=distances, source_language=source, target_language=target,
            measure="syntactic", value=value,
        )  # fmt: skip
    similar = raw.job("part", "nn_rank")
    for m, s, t, delta in zip(GRID.model, GRID.source, GRID.target, GRID.delta, strict=True):
        source, target = GRID.sources[s], GRID.targets[t]
        if source != target:
            raw.add(
                "source_similarities", job_key=similar, model=GRID.models[m].name, source_task=source[0],
                source_language=source[1], target_task=target[0], target_language=target[1], measure="nn_rank",
                value=1 / (1 + np.exp(-delta / 10)),
            )  # fmt: skip
    folder = tmp_path_factory.mktemp("predict")
    raw.write(folder / "warehouse.duckdb")
    _dbt(folder, "+fct_transfer", "+rpt_predictions", "+rpt_prediction_fits", "+rpt_predictors")
    done = _run(folder, "predict", "--study", "part")
    assert done.returncode == 0, done.stderr + done.stdout
    (folder / "told.txt").write_text(done.stdout)
    return folder


def test_every_missing_cell_is_predicted_and_none_that_is_there(folder: Path) -> None:
    rows = _rows(folder, "select * from marts.rpt_predictions")
    assert {(row["source_task"], row["source_language"]) for row in rows} == {UNTUNED}
    assert {row["model"] for row in rows} == {model.name for model in GRID.models[1:]}
    assert len(rows) == 2 * len(GRID.targets) and not any(row["is_stale"] for row in rows)
    assert all(row["measured_pp"] is None for row in rows)
    measured = {
        (GRID.models[m].name, *GRID.sources[s], *GRID.targets[t]): delta
        for m, s, t, delta in zip(GRID.model, GRID.source, GRID.target, GRID.delta, strict=True)
    }
    keys = ("model", "source_task", "source_language", "target_task", "target_language")
    inside = [row["low_95"] <= measured[tuple(row[key] for key in keys)] <= row["high_95"] for row in rows]
    assert np.mean(inside) > 0.8
    (fit, own) = _rows(folder, "select * from marts.rpt_prediction_fits order by is_trained_cell")
    assert (fit["n_measured"], fit["n_predicted"], own["n_measured"], own["n_predicted"]) == (252, 18, 28, 2)
    assert (
        fit["n_validated"] == 252 and 0 < fit["r2"] < 1 and {"model", "residual"} <= json.loads(fit["variances"]).keys()
    )
    told = (folder / "told.txt").read_text()
    assert "transfer cells: 252 measured, 18 predicted" in told and f"R2 {fit['r2']:.2f}" in told


def test_predictors_are_judged_as_scipy_would(folder: Path) -> None:
    rows = _rows(folder, "select * from marts.rpt_predictors")
    assert {"same_task", "same_language", "english", "nearest_language", "random", "uriel", "together"} <= {
        row["predictor"] for row in rows
    }
    values = _rows(
        folder,
        "select predictor_values.*, delta_pp from raw.predictor_values inner join marts.fct_transfer using "
        "(study, model, source_task, source_language, target_task, target_language)",
    )
    units: dict[tuple[str, ...], list[tuple[float, float]]] = defaultdict(list)
    for row in values:
        value = -1e9 if row["value"] is None else row["value"]
        units[row["predictor"], row["model"], row["target_task"], row["target_language"]].append(
            (value, row["delta_pp"])
        )
    expected: dict[tuple[str, str], list[tuple[str, str, float]]] = defaultdict(list)
    for (predictor, model, _, language), pairs in units.items():
        said, deltas = np.array(pairs).T
        regret = deltas.max() - deltas[said == said.max()].mean()
        expected[predictor, "regret_1"].append((model, language, regret))
        if np.ptp(said) > 0:
            expected[predictor, "rank_correlation"].append((model, language, stats.spearmanr(said, deltas)[0]))
        ideal = np.sort(np.maximum(deltas, 0))[::-1][:3] @ (1 / np.log2([2, 3, 4]))
        equals = np.array([np.maximum(deltas[said == one], 0).mean() for one in np.sort(said)[::-1]])
        if ideal > 0:
            expected[predictor, "ndcg_3"].append((model, language, equals[:3] @ (1 / np.log2([2, 3, 4])) / ideal))
    found = {(row["predictor"], row["measure"]): row for row in rows}
    assert found.keys() == expected.keys()
    for key, known in expected.items():
        row, value = found[key], np.array([one for _, _, one in known])
        assert row["value"] == pytest.approx(value.mean(), abs=1e-5), key
        assert (row["ci_high"] - row["ci_low"]) / 2 == pytest.approx(_half_width(known), rel=1e-3), key


def test_what_hidden_states_say_reaches_the_judgement(folder: Path) -> None:
    """Planted: the nearest tokens are those of the source that transfers best."""
    worth = _rows(folder, "select predictor, value, n_units from marts.rpt_predictors where measure = 'regret_1'")
    found = {row["predictor"]: (row["value"], row["n_units"]) for row in worth}
    assert found["nn_rank"] == (0, found["random"][1]) and found["random"][0] > 1


def _half_width(known: list[tuple[str, str, float]]) -> float:
    """Of a mean whose errors are one within a model and within a language."""
    values = np.array([value for _, _, value in known])
    deviations = (values - values.mean()) / len(values)

    def variance(labels: list[Any]) -> float:
        numbers = np.unique([str(label) for label in labels], return_inverse=True)[1]
        n = numbers.max() + 1
        return float(n / (n - 1) * (np.bincount(numbers, deviations) ** 2).sum()) if n > 1 else 0.0

    models, languages = [one for one, _, _ in known], [one for _, one, _ in known]
    both = variance(models) + variance(languages) - variance(list(zip(models, languages, strict=True)))
    degrees = min(len(set(labels)) for labels in (models, languages) if len(set(labels)) > 1) - 1
    return float(stats.t.ppf(0.975, degrees) * np.sqrt(max(both, variance(models), variance(languages))))


def test_cells_beyond_the_grid_are_asked_for_by_name(folder: Path) -> None:
    done = _run(
        folder, "predict", "--study", "part", "--source", "task0/ru", "--target", "task1/it", "--model",
        "new@1,family=family0,parameters=5000000000",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    rows = _rows(folder, "select * from marts.rpt_predictions")
    assert {"new@1"} < {row["model"] for row in rows} and ("task0", "ru") in {
        (row["source_task"], row["source_language"]) for row in rows
    }
    assert len(rows) == 4 * 11 * 11 - 280
    new, known = (
        np.mean(
            [row["measured_se"] for row in rows if (row["model"] == "new@1") == is_new and row["regime"] != "MT-ML"]
        )
        for is_new in (True, False)
    )
    assert new > known
    (asked,) = {row["asked"] for row in _rows(folder, "select asked from marts.rpt_prediction_fits")}
    assert json.loads(asked)["models"] == [{"name": "new@1", "family": "family0", "parameters": 5_000_000_000}]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--study", "prat"], "unknown study with transfer cells 'prat'; did you mean 'part'?"),
        (["--study", "few"], "study 'few': 1 measured cell of known regime; expected at least 8"),
        # Eight cells, of which one is a trained one.
        (["--study", "short"], "study 'short': 7 measured cells of known regime; expected at least 8"),
        (["--source", "task0"], "--source: expected TASK/LANGUAGE (ISO 639-1, else 639-3), found 'task0'"),
    ],
)
def test_a_mistake_is_told_in_one_line(folder: Path, arguments: list[str], told: str) -> None:
    done = _run(folder, "predict", *arguments)
    assert done.returncode == 2 and told in done.stderr, done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("read", "text", "told"),
    [
        (cell, "task0/EN", "found 'task0/EN'"),
        (cell, "/en", "found '/en'"),
        (new_model, "x,famly=y", "unknown fact 'famly'; did you mean 'family'?"),
        (new_model, "x,parameters=many", "expected a whole number, 1 or more, found 'many'"),
        (new_model, "x,parameters=0", "expected a whole number, 1 or more, found '0'"),
        (new_model, "x,family=", "expected family=... once"),
        (new_model, "x,family=y,family=z", "expected family=... once"),
        (new_model, ",family=y", "expected NAME"),
    ],
)
def test_what_is_no_cell_or_model_is_told(read: Callable[[str], object], text: str, told: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=re.escape(told)):
        read(text)


def test_cells_measured_since_stand_apart_and_predictions_are_then_stale(folder: Path) -> None:
    assert _run(folder, "predict", "--study", "part").returncode == 0
    with duckdb.connect(str(folder / "warehouse.duckdb")) as connection:
        connection.execute(
            "insert into raw.aggregate_scores by name select * replace ('m1@1' as model, delta_pp + 100 as delta_pp, "
            "delta + 100 as delta) from raw.aggregate_scores where source_task = ? and source_language = ?",
            [*UNTUNED],
        )
    _dbt(
        folder, "int_imported_cells", "int_transfer_cells", "int_expected_cells", "int_prediction_cells",
        "rpt_predictions", "rpt_prediction_fits",
    )  # fmt: skip
    rows = _rows(folder, "select * from marts.rpt_predictions where regime != 'MT-ML'")
    assert all(row["is_stale"] for row in rows)
    since = [row for row in rows if row["measured_pp"] is not None]
    assert {row["model"] for row in since} == {"m1@1"} and not any(row["is_within_95"] for row in since)
    assert all(row["measured_pp"] > 50 > row["expected_pp"] for row in since)
    (fit,) = _rows(folder, "select * from marts.rpt_prediction_fits where not is_trained_cell")
    assert (fit["is_stale"], fit["n_measured_since"], fit["coverage_95_since"]) == (True, 9, 0.0)
