"""Studies drawn from a population whose expected differences are planted.

An item has an ability for each model, shared in part by its translations and by the models. The base model answers it
where the ability is positive. A run (model, source, arm, seed) shifts the abilities by what was planted, by its luck,
one part of which moves all its targets, and by noise of its own at every item, one part of which all seeds of a source
share. All parts are normal, so that the shift that makes the expected difference exactly the planted one is known:

    Delta = Phi((z + shift) / sqrt(1 + luck^2 + noise^2)) - p,    z = Phi^-1(p)

over the population of items (abilities of unit variance) and of runs; p is the base model's accuracy. Where answers are
probabilities of the right choice, Phi(ability / SOFTNESS), the same holds with SOFTNESS^2 added under both roots.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import special, stats

from tests.helpers.warehouse_fixture import Cell

LUCK_SHARED = 0.5
"""The part of the variance of a run's luck that moves all its targets together."""
NOISE = 0.4
NOISE_OF_SOURCE, NOISE_OF_TRANSLATIONS = 0.3, 0.3
"""Parts of the noise's variance: what all seeds of an adapter share of an item; what a run's translations share."""
ABILITY_OF_ITEM, ABILITY_OF_LANGUAGE, ABILITY_OF_MODEL = 0.4, 0.2, 0.3
"""Parts of the ability's variance: an item's difficulty for everyone, in its language, for the model in any language;
the rest is the model's own in that language."""
HEIGHT = float(stats.norm.pdf(0))
SOFTNESS = 0.5


@dataclass(frozen=True)
class Design:
    """What a study asks. Arrays of a study are indexed [model, source, target] in this order."""

    sources: tuple[Cell, ...]
    targets: tuple[Cell, ...]
    n_models: int
    n_items: int
    n_seeds: int
    n_placebo_seeds: int = 0

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.n_models, len(self.sources), len(self.targets)

    @property
    def n_rows(self) -> int:
        """Item rows of a complete study."""
        models, sources, targets = self.shape
        return models * targets * self.n_items * (1 + sources * (self.n_seeds + self.n_placebo_seeds))


@dataclass
class Plant:
    """What is true of one study. Differences are expected ones, in percentage points."""

    design: Design
    accuracy: np.ndarray
    """Of the base models, [model, target]."""
    tuned: np.ndarray
    """Expected difference, [model, source, target]."""
    placebo: np.ndarray | None = None
    """The same of the placebo; None: 0 everywhere."""
    luck_pp: np.ndarray | float = 3.6
    """Standard deviation of a run's score where the accuracy is one half, [source] or one for all."""
    seeds_of: tuple[int, ...] | None = None
    """Seeds of each source, where they are not all `design.n_seeds`."""
    failed: tuple[tuple[int, int], ...] = ()
    """Adapters that failed: (model, source)."""
    absent: tuple[tuple[int, int], ...] = ()
    """Targets that lack their answers: (model, target)."""
    absent_is_planned: bool = False
    """Whether the study plans them, so that jobs are missing; else the model's plan leaves them out."""
    new_model: np.ndarray | None = None
    """Expected differences of one more model of the population, [source, target]."""
    of_probability: bool = False
    """Whether accuracies and differences are of the right choice's probability, and the answers too."""
    broken: int | None = None
    """Items of the first task that the base models have right and nearly all adapters lose; None: nobody asks."""
    contrasts: dict[str, Any] = field(default_factory=dict)
    """What the study's file says of contrasts."""
    distance: np.ndarray | None = None
    """Distances of the targets' languages, [target, target], the same in both directions; None: nobody asks."""
    doses: tuple[float, ...] | None = None
    """Of a study whose last source is a mixture of all others: the part of its items that each gives to it."""
    facts: dict[str, float | str] = field(default_factory=dict)
    """What else a judge asks: `planted`, the one donor or target; `planted_pp2`, the variance of what was planted."""

    @property
    def seeds(self) -> np.ndarray:
        """Seeds of each source, [source]."""
        return (
            np.full(len(self.design.sources), self.design.n_seeds) if self.seeds_of is None else np.array(self.seeds_of)
        )


def luck_of_ability(plant: Plant) -> np.ndarray:
    """Standard deviation of a run's luck on the scale of abilities, [source]: `luck_pp` at an accuracy of one half,
    where the slope of Phi(x / sqrt(1 + luck^2 + noise^2)) is its height over the root (solved for luck)."""
    wanted = np.broadcast_to(np.asarray(plant.luck_pp, dtype=float), (len(plant.design.sources),)) / 100 / HEIGHT
    return np.asarray(wanted * np.sqrt((_softness(plant) + 1 + NOISE**2) / (1 - wanted**2)))


def _softness(plant: Plant) -> float:
    return SOFTNESS**2 if plant.of_probability else 0.0


def luck_in_pp(plant: Plant) -> np.ndarray:
    """Standard deviation of one run's score by its luck, [model, source, target], at the accuracy after tuning."""
    after = np.clip(plant.accuracy[:, None, :] + plant.tuned / 100, 1e-6, 1 - 1e-6)
    height = stats.norm.pdf(stats.norm.ppf(after)) / HEIGHT
    return np.asarray(height * np.broadcast_to(np.asarray(plant.luck_pp, dtype=float), (after.shape[1],))[:, None])


@dataclass(frozen=True)
class Run:
    """One seed of every adapter of an arm."""

    control: str | None
    seed: int
    right: np.ndarray
    """Right answers, or probabilities of the right choice, [model, source, target, item]."""
    expected: np.ndarray
    """Expected difference of this very run over items, percentage points, [model, source, target]."""


def _normals(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.standard_normal(shape, dtype=np.float32)


def baseline_and_runs(plant: Plant, rng: np.random.Generator) -> tuple[np.ndarray, list[Run]]:
    """Answers of the base models, [model, target, item], and the runs."""
    design = plant.design
    models, sources, targets = design.shape
    items = design.n_items
    tasks = sorted({task for task, _ in design.targets})
    of_task = [tasks.index(task) for task, _ in design.targets]
    own = 1 - ABILITY_OF_ITEM - ABILITY_OF_LANGUAGE - ABILITY_OF_MODEL
    ability = (
        np.sqrt(ABILITY_OF_ITEM) * _normals(rng, len(tasks), items)[of_task]
        + np.sqrt(ABILITY_OF_LANGUAGE) * _normals(rng, targets, items)
        + np.sqrt(ABILITY_OF_MODEL) * _normals(rng, models, len(tasks), items)[:, of_task]
        + np.sqrt(own) * _normals(rng, models, targets, items)
    )
    softness = _softness(plant)
    z = np.sqrt(1 + softness) * stats.norm.ppf(plant.accuracy)
    ability = ability + z[:, :, None].astype(np.float32)
    luck = luck_of_ability(plant)[None, :, None]
    spread = np.sqrt(softness + 1 + luck**2 + NOISE**2)
    runs: list[Run] = []
    nothing = np.zeros(design.shape)
    for control, seeds, deltas in (
        (None, design.n_seeds, plant.tuned),
        ("placebo", design.n_placebo_seeds, nothing if plant.placebo is None else plant.placebo),
    ):
        if not seeds:
            continue
        after = plant.accuracy[:, None, :] + deltas / 100
        if not ((after > 0) & (after < 1)).all():
            raise ValueError("a planted difference takes an accuracy out of (0, 1)")
        shift = spread * stats.norm.ppf(after) - z[:, None, :]
        of_source = np.sqrt(NOISE_OF_SOURCE) * _normals(rng, models, sources, targets, items)
        for seed in range(1, seeds + 1):
            noise = (
                of_source
                + np.sqrt(NOISE_OF_TRANSLATIONS) * _normals(rng, models, sources, len(tasks), items)[:, :, of_task]
            )
            noise += np.sqrt(1 - NOISE_OF_SOURCE - NOISE_OF_TRANSLATIONS) * _normals(
                rng, models, sources, targets, items
            )
            run = np.sqrt(LUCK_SHARED) * rng.standard_normal((models, sources, 1))
            run = luck * (run + np.sqrt(1 - LUCK_SHARED) * rng.standard_normal((models, sources, targets)))
            moved = shift + run
            seen = np.sqrt(softness + 1 + NOISE**2)
            expected = 100 * (stats.norm.cdf((z[:, None] + moved) / seen) - plant.accuracy[:, None])
            right = _answers(plant, ability[:, None] + moved[..., None].astype(np.float32) + np.float32(NOISE) * noise)
            if plant.broken and control is None:
                of_first = np.array(of_task) == 0
                right[:, :, of_first, : plant.broken] = (
                    rng.random((models, sources, of_first.sum(), plant.broken)) < 0.1
                )
            runs.append(Run(control, seed, right, expected))
    base = _answers(plant, ability)
    if plant.broken:
        base[:, np.array(of_task) == 0, : plant.broken] = True
    return base, runs


def _answers(plant: Plant, ability: np.ndarray) -> np.ndarray:
    return np.asarray(special.ndtr(ability / SOFTNESS) if plant.of_probability else ability > 0)


def landed(plant: Plant) -> Iterator[tuple[int, int, int]]:
    """The cells (model, source, target) that were scored."""
    models, sources, targets = plant.design.shape
    for model in range(models):
        for source in range(sources):
            for target in range(targets):
                if (model, source) not in plant.failed and (model, target) not in plant.absent:
                    yield model, source, target
