"""What a world is, and the designs that several of them have."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tests.helpers.warehouse_fixture import Cell
from tests.truth.judges import Judge
from tests.truth.population import Design, Plant

LETTERS = "abcdefghijkl"
Draw = Callable[[np.random.Generator], Plant]


@dataclass(frozen=True)
class Told:
    """What a table says of a world."""

    name: str
    sentence: str


@dataclass(frozen=True)
class World(Told):
    """A population of studies: `draw` makes one, judged with others of its kind."""

    draw: Draw
    judges: tuple[Judge, ...]


def cells_of(task: str, n: int) -> tuple[Cell, ...]:
    """A task in the first n languages."""
    return tuple((task, language) for language in LETTERS[:n])


def accuracies(rng: np.random.Generator, design: Design, low: float = 0.35, high: float = 0.75) -> np.ndarray:
    """Accuracies of the base models, [model, target]."""
    return rng.uniform(low, high, (design.n_models, len(design.targets)))


def unlike(rng: np.random.Generator, design: Design, luck_pp: float, spread: float = 0.3) -> np.ndarray:
    """Luck that differs between sources, lognormal about `luck_pp`, [source]."""
    return np.minimum(luck_pp * np.exp(spread * rng.standard_normal(len(design.sources))), 3 * luck_pp)


def cell_design(n_items: int = 400, n_seeds: int = 2, n_placebo_seeds: int = 0) -> Design:
    """One model, six adapters (two tasks in three languages), seven targets."""
    sources = cells_of("add", 3) + cells_of("sort", 3)
    return Design(sources, cells_of("add", 4) + cells_of("sort", 3), 1, n_items, n_seeds, n_placebo_seeds)
