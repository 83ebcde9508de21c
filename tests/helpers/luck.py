"""The luck of runs by NumPy and SciPy, and the errors made of it: what the SQL is held against."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from tests.truth.references import moderated_variances


@dataclass(frozen=True)
class Cell:
    """One cell of a study: answers of the base model, [items], and after tuning, [seeds, items]."""

    source: Hashable
    adapter: Hashable
    target: tuple[str, str]
    before: np.ndarray
    after: np.ndarray

    @property
    def d(self) -> np.ndarray:
        return self.after.astype(float) - self.before

    @property
    def scale(self) -> float:
        p = (self.after.sum() + 1) / (self.after.size + 2)
        return float((4 * p * (1 - p)) ** 2)

    def of_seeds(self) -> tuple[float, float]:
        """Variance between the seeds' means, and what of it the items' noise makes."""
        d = self.d
        residual = d - d.mean(axis=0) - d.mean(axis=1, keepdims=True) + d.mean()
        return float(d.mean(axis=1).var(ddof=1)), float(
            (residual**2).sum() / np.prod(np.subtract(d.shape, 1)) / d.shape[1]
        )


class ProbabilityCell(Cell):
    """The same of the right choice's probability."""

    @property
    def scale(self) -> float:
        p = self.after.mean()
        return float((4 * p * (1 - p)) ** 2)


@dataclass(frozen=True)
class Luck:
    """Of one source: variance of luck, luck and noise together, and their degrees of freedom."""

    variance: float
    with_noise: float
    degrees: float


@dataclass(frozen=True)
class Sharing:
    """What an adapter's targets share of luck, told from adapters x (seeds - 1) degrees of freedom."""

    correlation: float
    of_all: float
    of_task: float
    of_language: float
    degrees: int

    def covariance(self, one: Cell, other: Cell) -> float:
        """Share of luck that two targets of one adapter have in common."""
        if one is other:
            return 1.0
        task, language = (a == b for a, b in zip(one.target, other.target, strict=True))
        return self.of_all + task * self.of_task + language * self.of_language


def luck_of_runs(cells: Sequence[Cell]) -> tuple[dict[Any, Luck], Sharing]:
    """The luck of every source of a study's cells (trained cells apart), and how targets share it."""
    several = [cell for cell in cells if len(cell.d) > 1]
    between, noise = np.array([cell.of_seeds() for cell in several]).T
    scale = np.array([cell.scale for cell in several])
    seeds = np.array([len(cell.d) - 1 for cell in several])
    rough = max(((between - noise) * seeds).sum(), 0.01 * ((between + noise) * seeds).sum()) / (seeds * scale).sum()
    expected = scale * rough + noise
    part, relative = scale * rough / expected, between / expected
    sharing = _sharing(several, scale, expected, rough)
    variances, degrees, parts = {}, {}, {}
    for source in {cell.source for cell in cells}:
        of = [i for i, cell in enumerate(several) if cell.source == source]
        if not of:
            continue
        weight = seeds[of] * part[of]
        products = sum(
            part[i] * part[j] * np.sqrt(seeds[i] * seeds[j]) * (1 if i == j else sharing.correlation**2)
            for i in of for j in of if several[i].adapter == several[j].adapter
        )  # fmt: skip
        variances[source] = (weight * relative[of]).sum() / weight.sum()
        degrees[source] = weight.sum() ** 2 / products
        parts[source] = (weight * part[of]).sum() / weight.sum()
    sources = list(variances)
    moderated = moderated_variances([variances[s] for s in sources], [degrees[s] for s in sources], is_robust=True)
    found = {}
    for i, source in enumerate(sources):
        found[source] = _told(rough, moderated.variance[i], parts[source], moderated.degrees[i])
    study_part = (seeds * part**2).sum() / (seeds * part).sum()
    for source in {cell.source for cell in cells} - set(sources):
        least = min(moderated.prior_degrees, sum(degrees.values()))
        found[source] = _told(rough, moderated.prior_variance, study_part, least)
    return found, sharing


def _told(rough: float, relative: float, part: float, degrees: float) -> Luck:
    return Luck(rough * max(0.0, 1 + (relative - 1) / part), rough * relative / part, degrees)


def _sharing(cells: Sequence[Cell], scale: np.ndarray, expected: np.ndarray, rough: float) -> Sharing:
    deviations = [cell.d.mean(axis=1) - cell.d.mean() for cell in cells]
    products = squares = 0.0
    sums: dict[tuple[bool, bool], list[float]] = defaultdict(lambda: [0.0, 0.0])
    adapters = defaultdict(list)
    for i, cell in enumerate(cells):
        adapters[cell.adapter].append(i)
    for members in adapters.values():
        squares += (len(members) - 1) * sum((deviations[i] ** 2 / expected[i]).sum() for i in members)
        for i, j in itertools.permutations(members, 2):
            product = (deviations[i] * deviations[j]).sum()
            products += product / np.sqrt(expected[i] * expected[j])
            kind = (cells[i].target[0] == cells[j].target[0], cells[i].target[1] == cells[j].target[1])
            sums[kind][0] += product * np.sqrt(scale[i] * scale[j]) / expected[i] / expected[j]
            sums[kind][1] += (len(deviations[i]) - 1) * scale[i] * scale[j] / expected[i] / expected[j]
    told = {kind: value / weight / rough for kind, (value, weight) in sums.items() if weight}
    task, language = told.get((True, False)), told.get((False, True))
    alike = [value for value in (task, language) if value is not None]
    of_all = float(np.clip(told.get((False, False), min(alike, default=0.0)), 0, 1))
    of_task = float(np.clip((task or 0) - of_all, 0, 1 - of_all))
    of_language = float(np.clip((language or 0) - of_all, 0, 1 - of_all - of_task))
    degrees = sum(max(len(cells[i].d) - 1 for i in members) for members in adapters.values())
    correlation = float(np.clip(products / squares, 0, 1)) if squares else 0.0
    return Sharing(correlation, of_all, of_task, of_language, degrees)


def error_of_cell(cell: Cell, luck: Luck | None) -> dict[str, float]:
    """Standard error, interval and p of a cell, pp, where luck is known; p of one run: see the exact test."""
    means, n = cell.d.mean(axis=0), cell.d.shape[1]
    items = means.var(ddof=1) / n
    padded = np.concatenate([means, [0.0, 0.0]])
    widened = ((padded**2).sum() + 1 - padded.sum() ** 2 / (n + 2)) / ((n + 1) * (n + 2))
    runs = spread = 0.0
    if luck is not None:
        runs = cell.scale * luck.variance / len(cell.d)
        spread = (cell.scale * luck.with_noise / len(cell.d)) ** 2 / luck.degrees
    degrees = max(1.0, (widened + runs) ** 2 / (widened**2 / (n - 1) + spread))
    error = np.sqrt(widened + runs)
    half = stats.t.ppf(0.975, degrees) * error
    return {
        "delta_pp": 100 * cell.d.mean(), "delta_se": 100 * np.sqrt(items + runs),
        "ci_low": max(-100, 100 * (padded.mean() - half)), "ci_high": min(100, 100 * (padded.mean() + half)),
        "p_value": 2 * stats.t.sf(abs(padded.mean()) / error, degrees),
    }  # fmt: skip


def error_of_probability(cell: ProbabilityCell, luck: Luck) -> dict[str, float]:
    """Standard error, interval and p of a cell's change of the right choice's probability, pp."""
    means, n = cell.d.mean(axis=0), cell.d.shape[1]
    items = means.var(ddof=1) / n
    runs = cell.scale * luck.variance / len(cell.d)
    spread = (cell.scale * luck.with_noise / len(cell.d)) ** 2 / luck.degrees
    degrees = max(1.0, (items + runs) ** 2 / (items**2 / (n - 1) + spread))
    error = np.sqrt(items + runs)
    half = stats.t.ppf(0.975, degrees) * error
    return {
        "delta_pp": 100 * means.mean(), "delta_se": 100 * error,
        "ci_low": 100 * (means.mean() - half), "ci_high": 100 * (means.mean() + half),
        "p_value": 2 * stats.t.sf(abs(means.mean()) / error, degrees),
    }  # fmt: skip


def half_width(cells: Sequence[Cell], weights: Sequence[float], luck: dict[Any, Luck], sharing: Sharing) -> float:
    """95 % half width, pp, of a weighted sum of cells: a task's parallel items drawn jointly, and runs."""
    variance = spread = 0.0
    for task in {cell.target[0] for cell in cells}:
        of = [(w, cell) for w, cell in zip(weights, cells, strict=True) if cell.target[0] == task]
        by_item = sum(w * cell.d.mean(axis=0) for w, cell in of)
        n = len(by_item)
        of_task = max(by_item.var(ddof=1) / n, sum(w**2 for w, _ in of) / ((n + 1) * (n + 2)))
        variance += of_task
        spread += of_task**2 / (n - 1)
    own, shared = defaultdict(float), defaultdict(float)
    for (w, one), (v, other) in itertools.product(zip(weights, cells, strict=True), repeat=2):
        if one.adapter == other.adapter:
            multiple = w * v * np.sqrt(one.scale * other.scale / len(one.d) / len(other.d))
            (own if one is other else shared)[one.source] += multiple * sharing.covariance(one, other)
    for source, multiple in own.items():
        variance += (multiple + shared[source]) * luck[source].variance
        spread += (multiple * luck[source].with_noise) ** 2 / luck[source].degrees
    if sharing.degrees:
        spread += sum(multiple * luck[source].variance for source, multiple in shared.items()) ** 2 / sharing.degrees
    return float(100 * stats.t.ppf(0.975, max(1, variance**2 / spread)) * np.sqrt(variance))
