"""A warehouse of many studies, one draw each, with what is true of them beside it in the schema `planted`."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import polars as pl

from tests.helpers.warehouse_fixture import Cell, RawRows, insert_answers
from tests.truth.population import Plant, Run, baseline_and_runs, landed, luck_in_pp
from tests.truth.references import adjusted_effects

ROOT = Path(__file__).resolve().parents[2]

EFFECTS = {
    **dict.fromkeys(("study", "axis", "role", "entity"), pl.String),
    **dict.fromkeys(("true_raw_pp", "true_effect_pp", "true_gain_pp"), pl.Float64),
}
"""Columns of planted.effects."""


CHOICE_TASKS = ("odds", "even")
"""Tasks whose answers are probabilities of the right one of two choices."""

ITEMS = {**dict.fromkeys(("study", "target_task", "parallel_id"), pl.String), "is_broken": pl.Boolean}
CONTRASTS = {
    **dict.fromkeys(("study", "contrast", "target_task", "target_language"), pl.String), "true_pp": pl.Float64
}  # fmt: skip
MIXTURES = {
    **dict.fromkeys(("study", "target_task", "target_language"), pl.String),
    **dict.fromkeys(("true_over_best_pp", "true_over_added_pp"), pl.Float64),
}
"""Columns of planted.items, planted.contrasts and planted.mixtures."""


def _right(answers: np.ndarray) -> np.ndarray:
    return answers > 0.5 if answers.dtype != bool else answers


def _probability(answers: np.ndarray) -> np.ndarray:
    return np.full(len(answers), np.nan, np.float32) if answers.dtype == bool else answers.astype(np.float32)


def model_name(number: int) -> str:
    return f"m{number}@1"


class ManyStudies:
    """Answers of many studies, collected and then written as raw rows to one warehouse.

    Items are numbered; the same number of a task is the same item in every language.
    """

    def __init__(self) -> None:
        self.raw = RawRows()
        self._keys: list[str] = []
        self._sizes: list[int] = []
        self._right: list[np.ndarray] = []
        self._items: dict[Cell, int] = {}

    def study(self, study: str, **config: Any) -> None:
        """Add a study, with what its file says; its jobs follow."""
        self.raw.study(study, **config)
        self.raw.job(study, "items")

    def score(self, study: str, right: np.ndarray, *, model: str, target: Cell, **run: Any) -> None:
        """Add a scoring job's answers, [item] of booleans or of the right choice's probabilities; `run`: source, seed
        and control of a tuned model."""
        self._items[target] = max(len(right), self._items.get(target, 0))
        # Studies share the models, so that the variant keeps their jobs apart.
        self._keys.append(self.raw.scores(study, model=model, variant=study, target=target, **run))
        self._sizes.append(len(right))
        self._right.append(right)

    def lack(self, study: str, *, model: str, target: Cell, **run: Any) -> None:
        """Add a scoring job that is planned and has not run."""
        self.raw.scores(study, model=model, variant=study, target=target, **run, ran=False)

    def frames(self) -> dict[str, pl.DataFrame]:
        """Jobs and their answers, and what else becomes a table of the schema `planted`."""
        return {
            "jobs": pl.DataFrame({"job": np.arange(len(self._keys)), "job_key": self._keys}),
            "answered": pl.DataFrame(
                {
                    "job": np.repeat(np.arange(len(self._keys), dtype=np.int32), self._sizes),
                    "item": np.concatenate([np.arange(size, dtype=np.int16) for size in self._sizes]),
                    "correct": np.concatenate([_right(answers) for answers in self._right]),
                    "probability": np.concatenate([_probability(answers) for answers in self._right]),
                }
            ),
        }

    def digest(self) -> str:
        """Return a digest of all that was drawn and is true."""
        digest = hashlib.sha256()
        for name, frame in self.frames().items():
            digest.update(name.encode() + frame.write_csv().encode())
        digest.update(json.dumps([self.raw.rows[name] for name in ("language_distances", "source_parts")]).encode())
        return digest.hexdigest()

    def write(self, path: Path) -> None:
        """Write the warehouse to `path`, which must not exist."""
        for task in sorted({task for task, _ in self._items}):
            if task in CHOICE_TASKS:
                self.raw.task(task)
            else:
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
        frames = self.frames()
        files = {name: path.with_suffix(f".{name}.parquet") for name in frames}
        for name, frame in frames.items():
            frame.write_parquet(files[name])
        with duckdb.connect(str(path)) as connection:
            connection.execute("set memory_limit = '4GB'; set preserve_insertion_order = false; set threads = 2")
            insert_answers(connection, files["jobs"], files["answered"])
            connection.execute("create schema planted")
            for name in frames.keys() - {"jobs", "answered"}:
                connection.execute(f"create table planted.{name} as from '{files[name]}'")
        for file in files.values():
            file.unlink()


class PlantedWarehouse(ManyStudies):
    """Studies of plants, one draw each, with what is true of them in the schema `planted`."""

    def __init__(self) -> None:
        super().__init__()
        self._studies: list[dict[str, object]] = []
        self._cells: list[pl.DataFrame] = []
        self._effects: list[dict[str, object]] = []
        self._items_planted: list[dict[str, object]] = []
        self._contrasts: list[dict[str, object]] = []
        self._mixtures: list[dict[str, object]] = []

    def frames(self) -> dict[str, pl.DataFrame]:
        return super().frames() | {
            "studies": pl.DataFrame(self._studies),
            "cells": pl.concat(self._cells),
            "effects": pl.DataFrame(self._effects, schema=EFFECTS),
            "items": pl.DataFrame(self._items_planted, schema=ITEMS),
            "contrasts": pl.DataFrame(self._contrasts, schema=CONTRASTS),
            "mixtures": pl.DataFrame(self._mixtures, schema=MIXTURES),
        }

    def add(self, study: str, world: str, plant: Plant, rng: np.random.Generator) -> None:
        """Draw a study's answers and keep them."""
        design = plant.design
        self.study(study, **({"contrasts": plant.contrasts} if plant.contrasts else {}))
        *parts, last = design.sources
        if plant.doses is not None:
            self.raw.mixture(study, "mix", dict(zip(parts, plant.doses, strict=True)))
        base, runs = baseline_and_runs(plant, rng)
        scored = set(landed(plant))
        for m in range(design.n_models):
            model = model_name(m)
            for t, target in enumerate(design.targets):
                if (m, t) not in plant.absent:
                    self.score(study, base[m, t], model=model, target=target)
                elif not plant.absent_is_planned:
                    continue
                for run in runs:
                    for s, source in enumerate(design.sources):
                        if run.control is None and run.seed > plant.seeds[s]:
                            continue
                        keys: dict[str, Any] = {"source": source, "seed": run.seed, "control": run.control}
                        keys |= {"source_name": "mix"} if plant.doses is not None and source == last else {}
                        if (m, s, t) in scored:
                            self.score(study, run.right[m, s, t], model=model, target=target, **keys)
                        else:
                            self.lack(study, model=model, target=target, **keys)
        self._add_distances(study, plant)
        self._add_truth(study, world, plant, base, [run for run in runs if run.control is None])
        self._effects.extend(_effects(study, plant))
        self._items_planted.extend(_items(study, plant))
        self._contrasts.extend(_contrasts(study, plant))
        self._mixtures.extend(_mixtures(study, plant))

    def _add_distances(self, study: str, plant: Plant) -> None:
        if plant.distance is None:
            return
        key = self.raw.job(study, "distances", file=study)
        languages = [language for _, language in plant.design.targets]
        for i, j in itertools.combinations(range(len(languages)), 2):
            self.raw.add(
                "language_distances", job_key=key, source_language=languages[i], target_language=languages[j],
                measure="planted", value=float(plant.distance[i, j]),
            )  # fmt: skip

    def _add_truth(self, study: str, world: str, plant: Plant, base: np.ndarray, runs: list[Run]) -> None:
        design = plant.design
        m, s, t = (axis.ravel() for axis in np.indices(design.shape))
        sources, targets = np.array(design.sources), np.array(design.targets)
        placebo = np.zeros(design.shape) if plant.placebo is None else plant.placebo
        new = np.full(design.shape[1:], np.nan) if plant.new_model is None else plant.new_model
        is_own = (sources[s] == targets[t]).all(axis=1)
        kept_sources, kept_targets = _kept(plant)
        # [seed, model, source, target]; a source's first seeds.
        took_part = np.arange(len(runs))[:, None] < plant.seeds
        weight = (took_part / plant.seeds)[:, None, :, None]
        of_runs = (weight * np.array([run.expected for run in runs])).sum(axis=0)
        differences = sum(w[..., None] * run.right for w, run in zip(weight, runs, strict=True)) - base[:, None]
        luck = luck_in_pp(plant)
        self._cells.append(
            pl.DataFrame(
                {
                    "study": np.full(m.size, study), "model": [model_name(number) for number in m],
                    "source_task": sources[s, 0], "source_language": sources[s, 1],
                    "target_task": targets[t, 0], "target_language": targets[t, 1],
                    "is_own": is_own, "is_complete": kept_sources[s] & kept_targets[t],
                    "n_seeds_planted": plant.seeds[s],
                    "accuracy": plant.accuracy[m, t], "luck_pp": luck[m, s, t],
                    "true_pp": plant.tuned[m, s, t], "true_of_runs_pp": of_runs[m, s, t],
                    "placebo_pp": placebo[m, s, t],
                    "mean_over_models_pp": plant.tuned.mean(axis=0)[s, t], "new_model_pp": new[s, t],
                }
            )
        )  # fmt: skip
        transfer = ~is_own.reshape(design.shape)
        self._studies.append(
            {
                "study": study, "world": world,
                "run_pp2": float((luck**2 / plant.seeds[:, None])[transfer].mean()),
                "sampling_pp2": float((1e4 * differences.var(axis=-1, ddof=1) / design.n_items)[transfer].mean()),
                "planted": str(plant.facts.get("planted", "")), "planted_pp2": float(plant.facts.get("planted_pp2", 0)),
            }
        )  # fmt: skip


def _kept(plant: Plant) -> tuple[np.ndarray, np.ndarray]:
    """Which sources and which targets lack nothing: the grid that means and effects are of."""
    _, sources, targets = plant.design.shape
    return (
        ~np.isin(np.arange(sources), [s for _, s in plant.failed]),
        ~np.isin(np.arange(targets), [t for _, t in plant.absent]),
    )


def _effects(study: str, plant: Plant) -> Iterator[dict[str, object]]:
    """What is true of donors and recipients on the axis 'language', where sources and targets are of one task: the mean
    of transfer cells and the least-squares mean, each over the models."""
    design = plant.design
    if len({task for task, _ in (*design.sources, *design.targets)}) > 1:
        return
    kept_sources, kept_targets = _kept(plant)
    sources = [source for source, is_kept in zip(design.sources, kept_sources, strict=True) if is_kept]
    targets = [target for target, is_kept in zip(design.targets, kept_targets, strict=True) if is_kept]
    own = np.array([[source == target for target in targets] for source in sources])
    tuned = plant.tuned[:, kept_sources][:, :, kept_targets]
    placebo = np.zeros_like(tuned) if plant.placebo is None else plant.placebo[:, kept_sources][:, :, kept_targets]
    means = [np.nanmean(np.where(own, np.nan, tuned), axis=axes) for axes in ((0, 2), (0, 1))]
    effects, placebo_effects = adjusted_effects(tuned, own), adjusted_effects(placebo, own)
    for i, (role, cells) in enumerate((("donor", sources), ("recipient", targets))):
        for (_, language), mean, effect, of_placebo in zip(
            cells, means[i], effects[i], placebo_effects[i], strict=True
        ):
            yield {
                "study": study, "axis": "language", "role": role, "entity": language,
                "true_raw_pp": mean, "true_effect_pp": effect, "true_gain_pp": effect - of_placebo,
            }  # fmt: skip


def _items(study: str, plant: Plant) -> Iterator[dict[str, object]]:
    if plant.broken is None:
        return
    tasks = sorted({task for task, _ in plant.design.targets})
    for task in tasks:
        for i in range(plant.design.n_items):
            yield {
                "study": study, "target_task": task, "parallel_id": f"{task}{i}",
                "is_broken": task == tasks[0] and i < plant.broken,
            }  # fmt: skip


def _contrasts(study: str, plant: Plant) -> Iterator[dict[str, object]]:
    """What is true of arms, by target and (NULL) over all targets: mean over pairs without trained cells."""
    design = plant.design
    tuned = plant.tuned
    placebo = np.zeros(design.shape) if plant.placebo is None else plant.placebo
    own = np.array([[source == target for target in design.targets] for source in design.sources])
    names = ["/".join(source) for source in design.sources]
    for name, contrast in plant.contrasts.items():
        arms = []
        for arm in (contrast["a"], contrast["b"]):
            cells = np.where(own, np.nan, placebo if arm.get("control") == "placebo" else tuned)
            arms.append(cells[:, [names.index(arm["source"])]] if "source" in arm else cells)
        differences = arms[0] - arms[1]
        for t, (task, language) in enumerate(design.targets):
            if not np.isnan(differences[:, :, t]).all():
                yield {
                    "study": study, "contrast": name, "target_task": task, "target_language": language,
                    "true_pp": float(np.nanmean(differences[:, :, t])),
                }  # fmt: skip
        yield {"study": study, "contrast": name, "target_task": None, "target_language": None,
               "true_pp": float(np.nanmean(differences))}  # fmt: skip


def _mixtures(study: str, plant: Plant) -> Iterator[dict[str, object]]:
    """What is true of a mixture beside its parts, by target and (NULL) over all that no part was tuned on."""
    if plant.doses is None:
        return
    *parts, mixture = plant.tuned.mean(axis=0)
    others = [t for t, target in enumerate(plant.design.targets) if target not in plant.design.sources]
    for asked in ([], *([t] for t in others)):
        alone = np.array([part[asked or others].mean() for part in parts])
        mixed = mixture[asked or others].mean()
        task, language = plant.design.targets[asked[0]] if asked else (None, None)
        yield {
            "study": study, "target_task": task, "target_language": language,
            "true_over_best_pp": float(mixed - alone.max()),
            "true_over_added_pp": float(mixed - alone @ plant.doses),
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
