"""What is planted is what is drawn: expected differences, luck, and what the truth tables say of them."""

from __future__ import annotations

import numpy as np
import pytest

from tests.truth.population import LUCK_SHARED, Design, Plant, baseline_and_runs, luck_in_pp
from tests.truth.warehouse import PlantedWarehouse
from tests.truth.worlds import WORLDS, centred


def test_differences_and_luck_are_those_planted() -> None:
    design = Design(tuple(("add", f"s{i}") for i in range(60)), tuple(("add", f"t{i}") for i in range(60)), 1, 60, 3)
    accuracy = np.linspace(0.2, 0.9, 60)[None]
    tuned = np.zeros(design.shape)
    tuned[:, ::2] = 6.0
    plant = Plant(design, accuracy, tuned, luck_pp=5.0)
    base, runs = baseline_and_runs(plant, np.random.default_rng(1))
    assert base.mean() == pytest.approx(accuracy.mean(), abs=0.02)
    errors = np.array([run.expected for run in runs]) - tuned
    assert errors.mean() == pytest.approx(0, abs=0.5)
    scaled = errors / luck_in_pp(plant)
    assert scaled.std() == pytest.approx(1, abs=0.08)
    # Half of the luck moves all targets of a run.
    of_run = scaled.mean(axis=-1).var()
    assert of_run == pytest.approx(LUCK_SHARED, abs=0.15)
    for run in runs:
        gained = 100 * (run.right.mean(axis=-1) - base.mean(axis=-1)[:, None])
        assert (gained - run.expected).mean() == pytest.approx(0, abs=0.7)


def test_centred_effects_have_exactly_their_variance() -> None:
    drawn = centred(np.random.default_rng(2), 3.0, 4, 6)
    assert np.allclose(drawn.sum(axis=0), 0) and np.allclose(drawn.sum(axis=1), 0)
    assert np.square(drawn).sum() / (3 * 5) == pytest.approx(9)


@pytest.mark.parametrize("name", WORLDS)
def test_every_world_can_be_drawn(name: str) -> None:
    """Its planted differences stay within (0, 1), and it asks something."""
    world = WORLDS[name]
    warehouse = PlantedWarehouse()
    for draw in range(2):
        rng = np.random.default_rng(draw)
        warehouse.add(f"draw {draw}", name, world.draw(rng), rng)
    again = PlantedWarehouse()
    for draw in range(2):
        rng = np.random.default_rng(draw)
        again.add(f"draw {draw}", name, world.draw(rng), rng)
    assert warehouse.digest() == again.digest()
    assert world.judges
