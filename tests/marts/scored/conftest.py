"""One `dbt build` for the tests of this folder, and the same numbers worked out in Python."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.luck import Cell, luck_of_runs
from tests.helpers.luck import half_width as luck_half_width
from tests.helpers.warehouse_fixture import RawRows
from tests.marts.scored.rows import (
    MODELS,
    PRIMARY,
    SOURCES,
    TARGETS,
    Key,
    Row,
    is_right,
    raw_rows,
    run_dbt,
)


@pytest.fixture(scope="session")
def raw() -> RawRows:
    return raw_rows()


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
def cells(answers: dict[Key, dict[str, Row]]) -> dict[Key, Cell]:
    """(model, source, control, target) of study grid -> its answers before and after."""
    found = {}
    for model in MODELS:
        for target in TARGETS:
            metric = PRIMARY[target[0]]
            before = np.array([is_right(row, metric) for row in answers[model, None, None, None, target].values()])
            for source in SOURCES:
                for control, seeds in ((None, (1, 2)), ("placebo", (1,))):
                    after = [
                        [is_right(row, metric) for row in answers[model, source, control, seed, target].values()]
                        for seed in seeds
                    ]
                    found[model, source, control, target] = Cell(
                        source, (model, source, control), target, before, np.array(after)
                    )
    return found


@pytest.fixture(scope="session")
def differences(cells: dict[Key, Cell]) -> dict[Key, np.ndarray]:
    """(model, source, control, target) of study grid -> after - before, [seeds, items]."""
    return {key: cell.d.astype(int) for key, cell in cells.items()}


@pytest.fixture(scope="session")
def half_width(cells: dict[Key, Cell]) -> Callable[[dict[Key, float]], float]:
    """95 % half width, pp, of a weighted sum of cells (key -> weight), all of them trained cells or none."""
    of = {trained: [cell for key, cell in cells.items() if (key[1] == key[3]) == trained] for trained in (True, False)}
    luck = {trained: luck_of_runs(members)[0] for trained, members in of.items()}
    sharing = luck_of_runs(of[False])[1]

    def reckon(weights: dict[Key, float]) -> float:
        key = next(iter(weights))
        return luck_half_width([cells[key] for key in weights], list(weights.values()), luck[key[1] == key[3]], sharing)

    return reckon
