"""Grids of planted differences, drawn at the level of cells: effects of tasks, families of languages, relatedness and
models, the luck of runs, a baseline's error that a column shares, and a cell's own error."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from compute.prediction.grid import Grid, Model

FAMILIES = {"de": 0, "nl": 0, "en": 0, "es": 1, "pt": 1, "it": 1, "ru": 2, "uk": 2, "pl": 2, "zh": 3, "ar": 4}
"""Languages by family."""


@dataclass(frozen=True)
class Shape:
    """Models, tasks and languages; every cell is a source and a target. The published grid's: 9, 4, 11."""

    models: int = 9
    tasks: int = 4
    languages: int = 11


PUBLISHED = Shape()


@dataclass(frozen=True)
class PlantedGrid:
    """A whole grid and what is true of it, [cell], in percentage points."""

    grid: Grid
    truth: np.ndarray


def planted(
    rng: np.random.Generator, shape: Shape = PUBLISHED, signal: float = 1.0, noise: float = 2.0, loud: float = 1.0
) -> PlantedGrid:
    """Draw a grid: `signal` scales all that is planted, `noise` a cell's own error, `loud` both, and the luck, of the
    first task's cells on itself. 3 seeds, a luck of 2 pp a run."""
    languages = list(FAMILIES)[: shape.languages]
    cells = [(f"task{number}", language) for number in range(shape.tasks) for language in languages]
    m, n, tasks = shape.models, len(cells), shape.tasks
    task = np.repeat(np.arange(tasks), len(languages))
    language = np.tile(np.arange(len(languages)), tasks)
    family = np.array([FAMILIES[one] for one in languages])
    distance = np.where(family[:, None] == family[None, :], 1.0, 2.0)
    distance += np.abs(_symmetric(0.1 * rng.standard_normal(distance.shape)))
    np.fill_diagonal(distance, 0.0)

    def drawn(deviation: float, *size: int) -> np.ndarray:
        return deviation * rng.standard_normal(size)

    def of_side() -> np.ndarray:
        """What moves a source, or a target: its task, its family of languages, itself."""
        return drawn(1.5, tasks)[task] + drawn(1.0, family.max() + 1)[family][language] + drawn(0.7, n)

    related = np.exp(-distance)[language[:, None], language]
    same_task, same_language = task[:, None] == task, language[:, None] == language
    truth = drawn(1.0, m, 1, 1) + drawn(1.0, 3)[np.arange(m) % 3][:, None, None]
    truth = truth + of_side()[:, None] + of_side() + drawn(1.5, tasks, tasks)[task][:, task] + drawn(1.0, n, n)
    truth = truth + drawn(0.8, m, n, 1) + drawn(1.2, m, 1, n) + drawn(0.7, m, tasks, tasks)[:, task][:, :, task]
    truth = truth + 4 * same_task + 1.5 * same_language + 3 * related * (0.5 + same_task) + drawn(0.8, m, n, n)
    truth = signal * truth
    luck = 2.0 / np.sqrt(3)
    shared = luck * np.sqrt(0.5) * rng.standard_normal((m, n, 1)) + 0.6 * noise * rng.standard_normal((m, 1, n))
    own = luck * np.sqrt(0.5) * rng.standard_normal((m, n, n)) + noise * rng.standard_normal((m, n, n))
    times = np.where((task[:, None] == 0) & (task == 0), loud, 1.0)
    truth, shared, own = times * truth, times * shared, times * own
    model, source, target = (axis.ravel() for axis in np.indices(truth.shape))
    distances = {
        (one, other): float(distance[i, j])
        for i, one in enumerate(languages)
        for j, other in enumerate(languages)
        if i != j
    }
    return PlantedGrid(
        Grid(
            tuple(Model(f"m{i}@1", f"family{i % 3}", 10**9 * (1 + i)) for i in range(m)),
            tuple(cells), tuple(cells), model, source, target,
            delta=(truth + shared + own).ravel(),
            error=np.full(truth.size, np.sqrt(luck**2 + 1.36 * noise**2)),
            base={(i, j): float(score) for (i, j), score in np.ndenumerate(rng.uniform(0.3, 0.8, (m, n)))},
            distances={"syntactic": distances},
        ),
        truth.ravel(),
    )  # fmt: skip


def hidden_sources(rng: np.random.Generator, grid: Grid, share: float) -> np.ndarray:
    """Return whether a cell is of a source that is hidden whole, for every model, [cell]."""
    n = len(grid.sources)
    return np.isin(grid.source, rng.permutation(n)[: round(share * n)])


def _symmetric(matrix: np.ndarray) -> np.ndarray:
    return np.asarray((matrix + matrix.T) / 2)
