"""Planted truth, reduced: a few draws of every world in one warehouse. `make truth` is the whole of it.

A judge passes where the exact 95 % interval of its number includes or betters the reach, and draws have fixed seeds.
"""

from __future__ import annotations

import pytest

from tests.truth.judging import judged
from tests.truth.measure import Measured, Part, build, summarise
from tests.truth.worlds import WORLDS

DRAWS, SEED = 4, 2


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Measured]:
    path = tmp_path_factory.mktemp("truth") / "warehouse.duckdb"
    build([Part(world, 0, DRAWS) for world in WORLDS], SEED, path)
    numbers = summarise({world: judged(path, world) for world in WORLDS})
    return {(number.world.name, number.judge.name): number for number in numbers}


@pytest.mark.parametrize(
    ("world", "judge"), [(world.name, judge.name) for world in WORLDS.values() for judge in world.judges]
)
def test_planted_truth(measured: dict[tuple[str, str], Measured], world: str, judge: str) -> None:
    number = measured[world, judge]
    assert number.estimate is not None, f"the marts lack {', '.join(number.judge.needs)}"
    assert number.passes, f"{number.estimate} is not {number.judge.reach}"
