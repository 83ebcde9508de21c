"""What was planted is found, at the error rates stated: many studies of known truth in one warehouse, one dbt run.

A third of the studies are true nulls; a third have one donor; in a third one target is harmed by every source, and
one source lifts every target no more than its placebo does.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest

from tests.helpers.planted import LANGUAGES, SOURCES, TARGETS, Plant, write

ROOT = Path(__file__).resolve().parents[2]
N_STUDIES = 96
DONOR, HARMED, FAKE = "a", ("add", "b"), "c"
DONOR_PP, HARM_PP = 15.0, -18.0
REGIMES = ("MT-ML", "MT-CL", "CT-ML", "CT-CL")


def _plants() -> list[Plant]:
    plants = []
    for number in range(N_STUDIES):
        plant = Plant(f"{('null', 'donor', 'harmed')[number % 3]}-{number:02d}")
        if number % 3 == 1:
            plant.tuned[LANGUAGES.index(DONOR)] = DONOR_PP
        if number % 3 == 2:
            plant.tuned[LANGUAGES.index(FAKE), :] = plant.placebo[LANGUAGES.index(FAKE), :] = DONOR_PP
            plant.tuned[:, TARGETS.index(HARMED)] = HARM_PP
        plants.append(plant)
    return plants


@pytest.fixture(scope="module")
def plants() -> dict[str, Plant]:
    return {plant.study: plant for plant in _plants()}


@pytest.fixture(scope="module")
def warehouse(plants: dict[str, Plant], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("planted")
    path = folder / "warehouse.duckdb"
    write(list(plants.values()), path, seed=20_191)
    run = subprocess.run(
        [
            str(Path(sys.executable).with_name("dbt")), "run", "--select", "+fct_transfer", "+rpt_regimes",
            "+rpt_roles", "--target-path", str(folder / "target"), "--log-path", str(folder / "logs"),
        ],
        cwd=ROOT, env=os.environ | {"WAREHOUSE": str(path)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, (run.stdout + run.stderr)[-6_000:]
    return path


def _query(warehouse: Path, sql: str) -> list[dict[str, Any]]:
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        cursor = connection.execute(sql)
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


@pytest.fixture(scope="module")
def cells(warehouse: Path, plants: dict[str, Plant]) -> list[dict[str, Any]]:
    rows = _query(warehouse, "select * from marts.fct_transfer")
    for row in rows:
        plant = plants[row["study"]]
        planted = plant.placebo if row["control"] else plant.tuned
        row["true_pp"] = planted[
            SOURCES.index((row["source_task"], row["source_language"])),
            TARGETS.index((row["target_task"], row["target_language"])),
        ]
    return rows


def _covered(rows: list[dict[str, Any]]) -> float:
    return float(np.mean([row["ci_low"] <= row["true_pp"] <= row["ci_high"] for row in rows]))


@pytest.mark.parametrize("control", [None, "placebo"])
@pytest.mark.parametrize("is_null", [True, False])
def test_intervals_of_cells_cover_the_truth(cells: list[dict[str, Any]], control: str | None, is_null: bool) -> None:
    chosen = [row for row in cells if row["control"] == control and (row["true_pp"] == 0) == is_null]
    assert 0.92 <= _covered(chosen) <= 0.98


def test_standard_errors_are_the_spread_of_differences(cells: list[dict[str, Any]]) -> None:
    errors = [row["delta_pp"] - row["true_pp"] for row in cells]
    expected = np.sqrt(np.mean([row["delta_se"] ** 2 for row in cells]))
    assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(expected, rel=0.1)


def test_false_discoveries_are_no_more_than_nominal(cells: list[dict[str, Any]]) -> None:
    found, false = defaultdict(int), defaultdict(int)
    for row in cells:
        if row["control"] is None and row["regime"] != "MT-ML" and row["q_value"] <= 0.05:
            found[row["study"]] += 1
            false[row["study"]] += row["true_pp"] == 0
    assert sum(false[study] / n for study, n in found.items()) / N_STUDIES <= 0.05
    effects = [row for row in cells if row["control"] is None and row["regime"] != "MT-ML" and row["true_pp"] != 0]
    assert np.mean([row["q_value"] <= 0.05 for row in effects]) >= 0.5


def test_p_values_of_true_nulls_are_no_smaller_than_they_say(cells: list[dict[str, Any]]) -> None:
    p_values = np.array([row["p_value"] for row in cells if row["true_pp"] == 0])
    for level in (0.001, 0.01, 0.05, 0.2):
        assert np.mean(p_values <= level) <= level


def _regime(source: tuple[str, str], target: tuple[str, str]) -> str:
    return f"{'M' if source[0] == target[0] else 'C'}T-{'M' if source[1] == target[1] else 'C'}L"


def _cells_of(regimes: tuple[str, ...]) -> list[tuple[int, int]]:
    return [(s, t) for s, source in enumerate(SOURCES) for t, target in enumerate(TARGETS)
            if _regime(source, target) in regimes]  # fmt: skip


def test_intervals_of_regimes_cover_the_truth(warehouse: Path, plants: dict[str, Plant]) -> None:
    rows = _query(warehouse, "select * from marts.rpt_regimes where scope = 'all'")
    assert len(rows) == 5 * N_STUDIES
    for row in rows:
        of = _cells_of(REGIMES[1:] if row["regime"] == "transfer" else (row["regime"],))
        row["true_pp"] = np.mean([plants[row["study"]].tuned[cell] for cell in of])
    assert 0.92 <= _covered(rows) <= 0.98


def test_noise_alone_makes_the_harms_it_is_said_to_make(warehouse: Path) -> None:
    (row,) = _query(
        warehouse,
        "select avg(harm_pct) as seen, avg(null_harm_pct) as expected, avg(sig_harm_pct) as significant"
        " from marts.rpt_regimes where study like 'null%' and scope = 'all' and regime = 'transfer'",
    )
    assert row["seen"] == pytest.approx(row["expected"], abs=2.5)
    assert row["expected"] > 20
    assert row["significant"] < 1


@pytest.fixture(scope="module")
def roles(warehouse: Path) -> list[dict[str, Any]]:
    return _query(warehouse, "select * from marts.rpt_roles where scope = 'all'")


@pytest.mark.parametrize("axis", ["language", "task", "cell"])
@pytest.mark.parametrize(("role", "side"), [("donor", 0), ("recipient", 1)])
def test_intervals_of_roles_cover_the_truth(
    roles: list[dict[str, Any]], plants: dict[str, Plant], axis: str, role: str, side: int
) -> None:
    regimes = {"language": ("MT-CL",), "task": ("CT-ML",), "cell": REGIMES[1:]}[axis]
    names = {"language": lambda cell: cell[1], "task": lambda cell: cell[0], "cell": "/".join}[axis]
    rows = [row for row in roles if row["axis"] == axis and row[f"{role}_pp"] is not None]
    for row in rows:
        row["true_pp"] = np.mean(
            [
                plants[row["study"]].tuned[cell]
                for cell in _cells_of(regimes)
                if names((SOURCES, TARGETS)[side][cell[side]]) == row["entity"]
            ]
        )
        row["ci_low"], row["ci_high"] = row[f"{role}_ci_low"], row[f"{role}_ci_high"]
    # One task is a donor in each study: 96 intervals, whose share has a standard error of 2 points itself.
    assert 0.92 - 0.02 * (len(rows) <= N_STUDIES) <= _covered(rows) <= 0.98 + 0.02 * (len(rows) <= N_STUDIES)


def test_hubs_are_the_planted_donors(roles: list[dict[str, Any]]) -> None:
    donors = [row for row in roles if row["axis"] in ("language", "cell") and row["donor_pp"] is not None]
    planted = [row for row in donors if row["study"].startswith("donor") and row["entity"][-1] == DONOR]
    others = [row for row in donors if row not in planted]
    assert np.mean([row["is_hub"] for row in planted]) >= 0.8
    assert np.mean([row["is_hub"] for row in others]) <= 0.01
    # As good as the donor, and no better than its placebo: the same effect, and no hub.
    fakes = [row for row in others if row["study"].startswith("harmed") and row["entity"][-1] == FAKE]
    assert np.mean([row["p_top"] for row in fakes]) > 0.9
    assert np.mean([row["is_hub"] for row in fakes]) <= 0.05
    assert all(row["is_hub"] is None for row in roles if row["axis"] == "task")


def test_brittle_recipients_are_the_harmed(roles: list[dict[str, Any]]) -> None:
    recipients = [row for row in roles if row["recipient_pp"] is not None]
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    for row in recipients:
        if row["is_brittle"]:
            found[row["axis"], row["study"]].add(row["entity"])
    harmed = [study for study in {row["study"] for row in recipients} if study.startswith("harmed")]
    for axis, entity in (("cell", "/".join(HARMED)), ("language", HARMED[1])):
        assert np.mean([entity in found[axis, study] for study in harmed]) >= 0.8
        falsely = [study for (of, study), entities in found.items() if of == axis and entities - {entity}]
        unharmed = [study for (of, study), entities in found.items() if of == axis and study not in harmed and entities]
        assert len({*falsely, *unharmed}) / N_STUDIES <= 0.05
