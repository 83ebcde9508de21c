"""One `dbt build` for the tests of this folder, and the same numbers worked out in Python."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from tests.marts.scored.rows import (
    MODELS,
    PRIMARY,
    SOURCES,
    TARGETS,
    Key,
    Row,
    add_errors,
    add_grid,
    add_holes,
    add_import,
    add_words,
    is_right,
    run_dbt,
)
from tests.warehouse_fixture import RawRows


@pytest.fixture(scope="session")
def raw() -> RawRows:
    rng = np.random.default_rng(20_191)
    rows = RawRows()
    for model, family in MODELS.items():
        rows.model(model, family, parameters=1_000)
    for task, metric in PRIMARY.items():
        rows.task(task, primary_metric=metric, chance=1 / 3)
    add_grid(rows, rng)
    add_holes(rows)
    add_import(rows)
    add_words(rows, rng)
    add_errors(rows)
    return rows


@pytest.fixture(scope="session")
def warehouse(raw: RawRows, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = raw.write(tmp_path_factory.mktemp("marts") / "warehouse.duckdb")
    code, output = run_dbt("build", path)
    assert code == 0, output[-6_000:]
    return path


@pytest.fixture(scope="session")
def answers(raw: RawRows) -> dict[Key, dict[str, Row]]:
    """(model, source, control, seed, target) of study grid -> item -> raw row."""
    keys = {row["job_key"] for row in raw.rows["study_jobs"] if row["study"] == "grid"}
    found: dict[Key, dict[str, Row]] = defaultdict(dict)
    for row in raw.rows["item_scores"]:
        if row["job_key"] in keys:
            source = (row["source_task"], row["source_language"]) if row["source_task"] else None
            target = (row["target_task"], row["target_language"])
            found[row["model"], source, row["control"], row["seed"], target][row["item_id"]] = row
    return found


@pytest.fixture(scope="session")
def differences(answers: dict[Key, dict[str, Row]]) -> dict[Key, np.ndarray]:
    """(model, source, control, target) of study grid -> after - before, [seeds, items]."""
    found = {}
    for model in MODELS:
        for target in TARGETS:
            metric = PRIMARY[target[0]]
            before = np.array([is_right(row, metric) for row in answers[model, None, None, None, target].values()], int)
            for source in SOURCES:
                for control, seeds in ((None, (1, 2)), ("placebo", (1,))):
                    after = [
                        [is_right(row, metric) for row in answers[model, source, control, seed, target].values()]
                        for seed in seeds
                    ]
                    found[model, source, control, target] = np.array(after, int) - before
    return found
