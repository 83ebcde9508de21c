"""Raw item scores whose truth is known: studies drawn from a population with planted donors, recipients and harms.

An item has an ability, shared in part by its translations; the base model answers it where the ability is positive. A
run (source, seed) shifts the ability by what was planted for source and target, by its own luck on all targets and on
this one, and by noise of its own for every item, shared in part by its translations. All parts are normal, so the
shift that makes the expected difference exactly the planted one is known:

    Delta = Phi((mean + shift) / sqrt(1 + luck^2 + noise^2)) - Phi(mean)

over the population of items (of unit variance) and runs. A cell planted at 0 is a true null, though its
answers change.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import numpy as np
import polars as pl
from scipy import stats

from tests.helpers.warehouse_fixture import Cell, RawRows, insert_answers

LANGUAGES = tuple("abcdefgh")
SOURCES: tuple[Cell, ...] = tuple(("add", language) for language in LANGUAGES)
TARGETS: tuple[Cell, ...] = (*SOURCES, *(("sort", language) for language in LANGUAGES[:4]))
SEEDS = (1, 2, 3)
PLACEBO_SEEDS = (1, 2)
N_ITEMS = 80
MEAN_ABILITY = {"add": 0.3, "sort": -0.2}
SHARED_ABILITY = 0.7
"""Variance of ability that translations share; the rest is each language's own."""
LUCK_EVERYWHERE, LUCK_ON_TARGET, NOISE = 0.04, 0.03, 0.4
SHARED_NOISE = 0.3


@dataclass(frozen=True)
class Plant:
    """What is true of one study: expected differences in percentage points, [source, target]."""

    study: str
    tuned: np.ndarray = field(default_factory=lambda: np.zeros((len(SOURCES), len(TARGETS))))
    placebo: np.ndarray = field(default_factory=lambda: np.zeros((len(SOURCES), len(TARGETS))))


def _shifts(deltas: np.ndarray) -> np.ndarray:
    """Shifts of ability that give these expected differences (percentage points), [source, target]."""
    mean = np.array([MEAN_ABILITY[task] for task, _ in TARGETS])
    spread = np.sqrt(1 + LUCK_EVERYWHERE**2 + LUCK_ON_TARGET**2 + NOISE**2)
    return np.asarray(spread * stats.norm.ppf(stats.norm.cdf(mean) + deltas / 100) - mean)


def _translated(rng: np.random.Generator, runs: int, shared: float) -> np.ndarray:
    """Standard normals, [run, target, item]; those of one task's translations share the part `shared` of variance."""
    tasks = sorted({task for task, _ in TARGETS})
    common = rng.standard_normal((runs, len(tasks), N_ITEMS))[:, [tasks.index(task) for task, _ in TARGETS]]
    own = rng.standard_normal((runs, len(TARGETS), N_ITEMS))
    return np.asarray(np.sqrt(shared) * common + np.sqrt(1 - shared) * own)


def answers(plant: Plant, rng: np.random.Generator) -> tuple[np.ndarray, dict[tuple[str | None, int], np.ndarray]]:
    """Right answers of the base model, [target, item], and of each (control, seed), [source, target, item]."""
    mean = np.array([MEAN_ABILITY[task] for task, _ in TARGETS])
    ability = mean[:, None] + _translated(rng, 1, SHARED_ABILITY)[0]
    tuned = {}
    for control, seeds, deltas in ((None, SEEDS, plant.tuned), ("placebo", PLACEBO_SEEDS, plant.placebo)):
        for seed in seeds:
            luck = LUCK_EVERYWHERE * rng.standard_normal((len(SOURCES), 1))
            luck = luck + LUCK_ON_TARGET * rng.standard_normal((len(SOURCES), len(TARGETS)))
            noise = NOISE * _translated(rng, len(SOURCES), SHARED_NOISE)
            tuned[control, seed] = ability + (_shifts(deltas) + luck)[:, :, None] + noise > 0
    return ability > 0, tuned


def write(plants: Sequence[Plant], path: Path, seed: int) -> None:
    """A warehouse at `path` (which must not exist) with one draw of every plant, each a study of its own."""
    raw = RawRows()
    for task in MEAN_ABILITY:
        raw.task(task, kind="generation", primary_metric="exact_match", chance=0.0)
    keys: list[str] = []
    right: list[np.ndarray] = []
    for plant, rng in zip(plants, np.random.default_rng(seed).spawn(len(plants)), strict=True):
        raw.study(plant.study)
        before, after = answers(plant, rng)
        # Studies share the model, so that the variant keeps their jobs apart.
        common = {"model": "planted@1", "variant": plant.study}
        for t, target in enumerate(TARGETS):
            keys.append(raw.scores(plant.study, target=target, **common))
            right.append(before[t])
            for (control, number), scored in after.items():
                for s, source in enumerate(SOURCES):
                    keys.append(
                        raw.scores(plant.study, target=target, source=source, seed=number, control=control, **common)
                    )
                    right.append(scored[s, t])
        items = raw.job(plant.study, "items")
    for task, language in TARGETS:
        for i in range(N_ITEMS):
            raw.add(
                "items", task=task, language=language, item_id=f"i{i}", parallel_id=f"{task}{i}", split="test",
                prompt="plain@1", job_key=items,
            )  # fmt: skip
    raw.write(path)
    jobs, answered = path.with_suffix(".jobs.parquet"), path.with_suffix(".answered.parquet")
    pl.DataFrame({"job": np.arange(len(keys)), "job_key": keys}).write_parquet(jobs)
    pl.DataFrame(
        {
            "job": np.repeat(np.arange(len(keys)), N_ITEMS),
            "item": np.tile(np.arange(N_ITEMS), len(keys)),
            "correct": np.concatenate(right),
            "probability": np.nan,
        }
    ).write_parquet(answered)
    with duckdb.connect(str(path)) as connection:
        insert_answers(connection, jobs, answered)
    jobs.unlink()
    answered.unlink()
