"""A warehouse of many studies, one draw each, with what is true of them beside it in the schema `planted`."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import duckdb
import numpy as np
import polars as pl

from tests.truth.population import Plant, baseline_and_arms, landed, luck_in_pp
from tests.truth.references import adjusted_effects
from tests.warehouse_fixture import RawRows

ROOT = Path(__file__).resolve().parents[2]

EFFECTS = {
    **dict.fromkeys(("study", "axis", "role", "entity"), pl.String),
    **dict.fromkeys(("true_raw_pp", "true_effect_pp", "true_gain_pp"), pl.Float64),
}
"""Columns of planted.effects."""


def model_name(number: int) -> str:
    return f"m{number}@1"


class PlantedWarehouse:
    """Collects plants with their answers, then writes the warehouse."""

    def __init__(self) -> None:
        self.raw = RawRows()
        self._keys: list[str] = []
        self._sizes: list[int] = []
        self._right: list[np.ndarray] = []
        self._items: dict[tuple[str, str], int] = {}
        self._studies: list[dict[str, object]] = []
        self._cells: list[pl.DataFrame] = []
        self._effects: list[dict[str, object]] = []

    def add(self, study: str, world: str, plant: Plant, rng: np.random.Generator) -> None:
        """Draw a study's answers and keep them."""
        design = plant.design
        self.raw.study(study)
        self._studies.append({"study": study, "world": world, "planted": "", **plant.facts})
        base, arms = baseline_and_arms(plant, rng)
        scored = set(landed(plant))
        # Studies share the models, so that the variant keeps their jobs apart.
        for target in design.targets:
            self._items[target] = max(design.n_items, self._items.get(target, 0))
        for m in range(design.n_models):
            common = {"model": model_name(m), "variant": study}
            for t, target in enumerate(design.targets):
                if (m, t) in plant.absent:
                    continue
                self._score(self.raw.scores(study, target=target, **common), base[m, t])
                for control, seed, answers in arms:
                    for s, source in enumerate(design.sources):
                        keys = {**common, "target": target, "source": source, "seed": seed, "control": control}
                        if (m, s, t) in scored:
                            self._score(self.raw.scores(study, **keys), answers[m, s, t])
                        else:
                            self.raw.scores(study, **keys, ran=False)
        self._cells.append(self._truth(study, plant))
        self._effects.extend(_effects(study, plant))
        self.raw.job(study, "items")

    def _score(self, key: str, right: np.ndarray) -> None:
        self._keys.append(key)
        self._sizes.append(len(right))
        self._right.append(right)

    def _truth(self, study: str, plant: Plant) -> pl.DataFrame:
        design = plant.design
        m, s, t = (axis.ravel() for axis in np.indices(design.shape))
        sources, targets = np.array(design.sources), np.array(design.targets)
        placebo = np.zeros(design.shape) if plant.placebo is None else plant.placebo
        new = np.full(design.shape[1:], np.nan) if plant.new_model is None else plant.new_model
        # The largest grid that lacks nothing, when a source and a target are left out wherever they lack something.
        lacks_source, lacks_target = {s for _, s in plant.failed}, {t for _, t in plant.absent}
        is_own = (sources[s] == targets[t]).all(axis=1)
        return pl.DataFrame(
            {
                "study": np.full(m.size, study), "model": [model_name(number) for number in m],
                "source_task": sources[s, 0], "source_language": sources[s, 1],
                "target_task": targets[t, 0], "target_language": targets[t, 1],
                "is_own": is_own,
                "is_complete": ~np.isin(s, list(lacks_source)) & ~np.isin(t, list(lacks_target)),
                "accuracy": plant.accuracy[m, t],
                "luck_pp": luck_in_pp(plant)[m, s, t],
                "true_pp": plant.tuned[m, s, t], "placebo_pp": placebo[m, s, t],
                "mean_over_models_pp": plant.tuned.mean(axis=0)[s, t],
                "new_model_pp": new[s, t],
            }
        )  # fmt: skip

    def write(self, path: Path) -> None:
        """Write the warehouse to `path`, which must not exist."""
        for task in sorted({task for task, _ in self._items}):
            self.raw.task(task, kind="generation", primary_metric="exact_match", chance=0.0)
        for number in sorted({row["config"]["model"] for row in self.raw.rows["jobs"] if "model" in row["config"]}):
            self.raw.model(number, family=number.split("@")[0])
        (items_job,) = {row["job_key"] for row in self.raw.rows["jobs"] if row["plugin"] == "items"}
        for (task, language), n_items in self._items.items():
            for i in range(n_items):
                self.raw.add(
                    "items", task=task, language=language, item_id=f"i{i}", parallel_id=f"{task}{i}", split="test",
                    prompt="plain@1", job_key=items_job,
                )  # fmt: skip
        self.raw.write(path)
        frames = {
            "jobs": pl.DataFrame({"job": np.arange(len(self._keys)), "job_key": self._keys}),
            "answered": pl.DataFrame(
                {
                    "job": np.repeat(np.arange(len(self._keys), dtype=np.int32), self._sizes),
                    "item": np.concatenate([np.arange(size, dtype=np.int16) for size in self._sizes]),
                    "correct": np.concatenate(self._right),
                }
            ),
            "studies": pl.DataFrame(self._studies, infer_schema_length=None),
            "cells": pl.concat(self._cells),
            "effects": pl.DataFrame(self._effects, schema=EFFECTS),
        }
        files = {name: path.with_suffix(f".{name}.parquet") for name in frames}
        for name, frame in frames.items():
            frame.write_parquet(files[name])
        with duckdb.connect(str(path)) as connection:
            connection.execute("set memory_limit = '4GB'; set preserve_insertion_order = false; set threads = 2")
            connection.execute(
                f"""
                create temp table keyed as
                select
                    job, job_key, config ->> '$.model' as model, config ->> '$.variant' as variant,
                    config ->> '$.source_task' as source_task, config ->> '$.source_language' as source_language,
                    config ->> '$.control' as control, cast(config ->> '$.seed' as bigint) as seed,
                    config ->> '$.target_task' as target_task, config ->> '$.target_language' as target_language,
                    config ->> '$.prompt' as prompt
                from '{files["jobs"]}' inner join raw.jobs using (job_key)
                """
            )
            connection.execute(
                "insert into raw.item_scores by name select keyed.* exclude (job), 'i' || item as item_id, correct"
                f" from '{files['answered']}' inner join keyed using (job)"
            )
            connection.execute("create schema planted")
            for name in ("studies", "cells", "effects"):
                connection.execute(f"create table planted.{name} as from '{files[name]}'")
        for file in files.values():
            file.unlink()


def _effects(study: str, plant: Plant) -> Iterable[dict[str, object]]:
    """What is true of donors and recipients on the axis 'language', where sources and targets are of one task: the mean
    of transfer cells and the least-squares mean, each over the models."""
    design = plant.design
    if len({task for task, _ in (*design.sources, *design.targets)}) > 1 or not plant.failed == plant.absent == ():
        return
    own = np.array([[source == target for target in design.targets] for source in design.sources])
    placebo = np.zeros(design.shape) if plant.placebo is None else plant.placebo
    tuned_effects, placebo_effects = adjusted_effects(plant.tuned, own), adjusted_effects(placebo, own)
    off = np.where(own, np.nan, plant.tuned)
    for role, cells, axis in (("donor", design.sources, 1), ("recipient", design.targets, 2)):
        raw = np.nanmean(off, axis=(0, 3 - axis))
        for i, (_, language) in enumerate(cells):
            true, of_placebo = tuned_effects[axis - 1][i], placebo_effects[axis - 1][i]
            yield {
                "study": study, "axis": "language", "role": role, "entity": language,
                "true_raw_pp": raw[i], "true_effect_pp": true, "true_gain_pp": true - of_placebo,
            }  # fmt: skip


def dbt_run(path: Path, marts: Sequence[str], folder: Path) -> None:
    """Build these marts and all they read.

    Raises
    ------
    RuntimeError
        dbt failed; with the end of what it printed.
    """
    run = subprocess.run(
        [
            str(Path(sys.executable).with_name("dbt")), "run", "--select", *(f"+{mart}" for mart in sorted(marts)),
            "--target-path", str(folder / "target"), "--log-path", str(folder / "logs"),
        ],
        cwd=ROOT, env=os.environ | {"WAREHOUSE": str(path)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if run.returncode:
        raise RuntimeError((run.stdout + run.stderr)[-6_000:])
