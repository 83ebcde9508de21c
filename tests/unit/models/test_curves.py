"""Adapters on the way: what a curve says against NumPy and SciPy, and stops that are planted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
from scipy import stats

from tests.helpers.derived import Row, as_rows
from tests.helpers.warehouse_fixture import derive
from tests.truth.references import moderated_variances
from tests.truth.warehouse import ManyStudies

SOURCES = (("add", "de"), ("add", "fr"), ("sort", "de"))
TARGETS = (("add", "de"), ("add", "en"), ("sort", "de"), ("sort", "en"))
FRACTIONS = (0.25, 0.5, 1.0)
N_ITEMS, N_SEEDS, LUCK, NOISE = 150, 2, 0.09, 0.4
"""Of an ability of unit variance: luck of 0.09 is 3.6 points of accuracy at one half."""

Answers = dict[tuple[Any, ...], np.ndarray]
"""(source, target) -> [fraction, seed, item]; (target) -> [item] of the base model."""


def answers(effects: Mapping[bool, Sequence[float]], rng: np.random.Generator) -> Answers:
    """Draw a study. `effects`: on the task and off it, the points gained after each fraction, at an accuracy of one
    half. A run's luck and its noise grow along the way: its fractions resemble each other."""
    items = {task: rng.standard_normal(N_ITEMS) for task, _ in TARGETS}
    found: Answers = {}
    for target in TARGETS:
        ability = np.sqrt(0.5) * (items[target[0]] + rng.standard_normal(N_ITEMS))
        found[(target,)] = ability > 0
        for source in SOURCES:
            shift = stats.norm.ppf(0.5 + np.array(effects[source[0] == target[0]]) / 100)
            run = LUCK * rng.standard_normal((N_SEEDS, 1)) + NOISE * rng.standard_normal((N_SEEDS, N_ITEMS))
            steps = np.sqrt(FRACTIONS)[:, None, None] * run
            spread = np.sqrt(1 + (LUCK**2 + NOISE**2) * np.array(FRACTIONS))
            found[source, target] = ability + (shift * spread)[:, None, None] + steps > 0
    return found


def marts(path: Path, studies: Sequence[Answers]) -> duckdb.DuckDBPyConnection:
    many = ManyStudies()
    for number, found in enumerate(studies):
        study = f"s{number:03d}"
        many.study(study)
        for target in TARGETS:
            many.score(study, found[(target,)], model="m0@1", target=target)
            for source in SOURCES:
                for f, fraction in enumerate(FRACTIONS):
                    for seed in range(N_SEEDS):
                        keys = {"source": source, "seed": seed} | ({"fraction": fraction} if fraction < 1 else {})
                        many.score(study, found[source, target][f, seed], model="m0@1", target=target, **keys)
    many.write(path)
    connection = duckdb.connect(str(path))
    derive(connection, "fct_curves", "rpt_stops", "fct_transfer", "fct_scores")
    return connection


def by_numpy(found: Answers, weights: Mapping[Any, float], source: Any) -> tuple[float, float, float, float]:
    """A sum over (target, fraction): its value and variances, of items, of noise and between runs."""
    from_items = noise = 0.0
    runs = np.zeros(N_SEEDS)
    for task in {target[0] for target, _ in weights}:
        of = {key: weight for key, weight in weights.items() if key[0][0] == task}
        moved = sum(
            weight * (found[source, target][f].astype(float) - found[(target,)]) for (target, f), weight in of.items()
        )
        runs += moved.mean(axis=1)
        least = sum(weight**2 for weight in of.values()) / ((N_ITEMS + 1) * (N_ITEMS + 2))
        from_items += max(moved.mean(axis=0).var(ddof=1) / N_ITEMS, least)
        residual = moved - moved.mean(axis=0) - moved.mean(axis=1, keepdims=True) + moved.mean()
        noise += (residual**2).sum() / ((N_ITEMS - 1) * (N_SEEDS - 1)) / N_ITEMS
    return float(runs.mean()), from_items, noise, float(runs.var(ddof=1))


def test_points_and_what_they_spare_are_those_of_numpy(tmp_path: Path) -> None:
    found = answers({True: (6, 9, 10), False: (-1, -2, -8)}, np.random.default_rng(4))
    connection = marts(tmp_path / "w.duckdb", [found])
    rows = {
        (row["source"], row["fraction"]): row for row in as_rows(connection, "from fct_curves where control is null")
    }
    assert len(rows) == len(SOURCES) * len(FRACTIONS)
    for f, fraction in enumerate(FRACTIONS):
        for name, is_on_task, whole in (("gain", True, 0), ("off_task", False, 0), ("spared", False, -1)):
            if name == "spared" and fraction == 1:
                assert {rows["/".join(source), 1.0]["spared_pp"] for source in SOURCES} == {None}
                continue
            told = []
            for source in SOURCES:
                of = [target for target in TARGETS if (target[0] == source[0]) == is_on_task]
                weights = {(target, f): 1 / len(of) for target in of}
                weights |= {(target, 2): whole / len(of) for target in of} if whole else {}
                told.append(by_numpy(found, weights, source))
            moderated = moderated_variances([one[3] for one in told], [N_SEEDS - 1] * len(told), is_robust=True)
            for number, source in enumerate(SOURCES):
                value, items, noise, _ = told[number]
                row = rows["/".join(source), fraction]
                variance = items + max(0.0, moderated.variance[number] - noise) / N_SEEDS
                spread = (moderated.variance[number] / N_SEEDS) ** 2 / moderated.degrees[number]
                of_tasks = len({target[0] for target in TARGETS if (target[0] == source[0]) == is_on_task})
                assert of_tasks == 1  # so that the items' variance is one sum of squares
                degrees = max(1.0, variance**2 / (items**2 / (N_ITEMS - 1) + spread))
                half = 100 * stats.t.ppf(0.975, degrees) * np.sqrt(variance)
                assert row[f"{name}_pp"] == pytest.approx(100 * value)
                assert row[f"{name}_high"] - row[f"{name}_pp"] == pytest.approx(half, rel=2e-3)
    whole = as_rows(connection, "select source, target_task, target_language, delta_pp from fct_transfer")
    for row in whole:
        task, language = row["target_task"], row["target_language"]
        after = found[tuple(row["source"].split("/")), (task, language)][2]
        assert row["delta_pp"] == pytest.approx(100 * (after.mean() - found[((task, language),)].mean()))
    # Marts of the whole training know of no other.
    assert len(whole) == len(SOURCES) * len(TARGETS)
    (scores,) = connection.execute("select count(*) from fct_scores where source is not null").fetchall()
    assert scores == (len(whole) * N_SEEDS,)


def test_the_planted_stop_is_found_and_no_harm_is_spared_where_there_is_none(tmp_path: Path) -> None:
    """Planted, in turn: at half of the training nearly all is gained and little harmed, at its end 10 points; nothing
    is ever harmed."""
    rng, n = np.random.default_rng(5), 16
    worlds = {"stop": ((5, 14, 14), (-1, -2, -12)), "none": ((5, 14, 14), (0, 0, 0))}
    studies = [answers({True: on, False: off}, rng) for on, off in worlds.values() for _ in range(n)]
    connection = marts(tmp_path / "w.duckdb", studies)
    rows = as_rows(connection, "from rpt_stops order by study, source")
    stop, none = ([row for row in rows if (row["study"] < f"s{n:03d}") == first] for first in (True, False))
    assert len(stop) == len(none) == n * len(SOURCES)
    assert np.mean([row["stop_fraction"] == 0.5 for row in stop]) >= 0.9
    assert np.mean([row["is_sparing"] for row in stop]) >= 0.65
    assert {row["stop_fraction"] for row in none} >= {0.5, 1.0}  # by chance
    assert np.mean([row["is_sparing"] for row in none]) <= 0.1
    truths = [(row, 10.0 if row["stop_fraction"] == 0.5 else 0.0) for row in stop] + [(row, 0.0) for row in none]
    told = [(row, truth) for row, truth in truths if row["spared_pp"] is not None]
    assert np.mean([row["spared_low"] <= truth <= row["spared_high"] for row, truth in told]) >= 0.93
    assert all(row["kept_pct"] >= 90 and row["stop_off_task_pp"] >= row["whole_off_task_pp"] for row in rows)
    harms: list[Row] = as_rows(connection, "from fct_curves where study < 's016' and fraction = 1")
    assert np.mean([row["n_harms"] for row in harms]) > 1.5  # of two targets off the task
