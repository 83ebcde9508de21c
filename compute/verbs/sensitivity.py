"""How small a change a study can show: the power of the tests that the marts make, before anything is computed.

A cell's difference has the variance V_i / n + L / S (n items, S seeds), where V_i is the variance over items of the
mean over seeds and L the luck of a run (`int_cell_errors`); its t has Satterthwaite's degrees of freedom. What q <=
.05 asks of p depends on how many cells change: Benjamini and Hochberg's threshold tends to u with u / q = the share
of cells with p <= u (Genovese and Wasserman 2002, Journal of the Royal Statistical Society B 64), so that with a
share of cells changed, each found with the power asked for, u = q share power / (1 - q (1 - share)). A regime's mean
is told by its interval.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import optimize, stats

POWER, Q = 0.8, 0.05
_QUANTILES = (np.arange(200) + 0.5) / 200
Cell = tuple[str, str]
"""(task, language)"""


@dataclass(frozen=True)
class Components:
    """Variances as squared proportions, of items one by one and of runs.

    `shared` and `luck_scale` are of like cells, [cell], and what a study's cells will be like.
    """

    shared: np.ndarray
    """Between items, of what all seeds of an adapter do to an item."""
    own: float
    """Of an item in one seed, beyond that."""
    luck: float
    """Of a run's score where the accuracy is one half."""
    luck_scale: np.ndarray
    """[4 p (1 - p)] squared, p the accuracy."""
    same_target: float
    """Covariance on one item of two sources' cells on one target."""
    same_item: float
    """Covariance on one parallel item of cells of other models and languages."""
    of_all: float
    """Shares of luck that are one draw for all targets of an adapter, for those of a task, of a language."""
    of_task: float
    of_language: float

    def of_items(self, seeds: int) -> np.ndarray:
        """Variance over items of the mean difference over seeds, [cell]."""
        return np.asarray(self.shared + self.own / seeds)


@dataclass(frozen=True)
class Design:
    """A study's grid and numbers."""

    n_models: int
    """Models times variants."""
    sources: tuple[Cell, ...]
    targets: tuple[Cell, ...]
    items: dict[Cell, int]
    """By target."""
    seeds: int
    placebo_seeds: int = 0

    def scaled(self, seeds: int, items: float) -> Design:
        """The same with other seeds and `items` times the items."""
        scaled = {target: round(n * items) for target, n in self.items.items()}
        return Design(self.n_models, self.sources, self.targets, scaled, seeds, self.placebo_seeds)

    def pairs(self, regime: str) -> list[tuple[Cell, Cell]]:
        """(source, target) of the cells that count in a regime: `transfer` is all but trained cells."""
        every = [(source, target) for source in self.sources for target in self.targets if source != target]
        return [pair for pair in every if regime in ("transfer", _regime(*pair))]


def _regime(source: Cell, target: Cell) -> str:
    return f"{'M' if source[0] == target[0] else 'C'}T-{'M' if source[1] == target[1] else 'C'}L"


@dataclass(frozen=True)
class _Error:
    """Variances of estimates and their degrees of freedom, [case]."""

    variance: np.ndarray
    degrees: np.ndarray

    def power(self, change: float, level: float) -> float:
        """Mean power of the two-sided t test at this level."""
        far = stats.t.isf(level / 2, self.degrees)[:, None]
        # Given the estimated error the estimate is normal: SciPy's noncentral t has no number for large changes.
        estimated = np.sqrt(stats.chi2.ppf(_QUANTILES, self.degrees[:, None]) / self.degrees[:, None])
        distance = (change / np.sqrt(self.variance))[:, None]
        return float(np.mean(stats.norm.cdf(distance - far * estimated) + stats.norm.cdf(-distance - far * estimated)))

    def smallest(self, level: float) -> float | None:
        """The change, as a proportion, that is found with `POWER`; None: not even one of all answers."""
        if self.power(1.0, level) < POWER:
            return None
        return float(optimize.brentq(lambda change: self.power(change, level) - POWER, 1e-6, 1.0, xtol=1e-6))


def level_of(share: float) -> float:
    """Return the p that q <= .05 asks for where `share` of the cells change and `POWER` of these are found."""
    return Q * share * POWER / (1 - Q * (1 - share))


def smallest_of_cell(components: Components, design: Design, n_items: int, share: float) -> float | None:
    """Return the smallest change of a cell of `n_items` that is found, as a proportion."""
    return _cell_error(components, design, n_items).smallest(level_of(share))


def smallest_of_regime(components: Components, design: Design, regime: str) -> float | None:
    """Return the smallest mean of a regime whose interval leaves 0 out, as a proportion; None where there is none."""
    if not design.pairs(regime):
        return None
    return _regime_error(components, design, design.pairs(regime)).smallest(Q)


def _luck(components: Components, design: Design) -> tuple[float, float]:
    """Luck and noise of a run together, and the degrees of freedom it is told from, over all sources."""
    scale = float(components.luck_scale.mean())
    noise = components.own / float(np.mean(list(design.items.values()))) / scale
    targets = len(design.targets) - len(set(design.sources) & set(design.targets)) / len(design.sources)
    luck = components.luck
    # Of two targets, how much luck and noise they share: the adapters' targets are fewer than they seem.
    shared = components.of_all + components.of_task / 2 + components.of_language / 2
    correlation = luck * shared / (luck + noise) if luck + noise else 0.0
    adapters = design.n_models * (design.seeds - 1 + max(0, design.placebo_seeds - 1)) * len(design.sources)
    return luck + noise, max(1.0, adapters * targets / (1 + (targets - 1) * correlation**2))


def _cell_error(components: Components, design: Design, n: int) -> _Error:
    s = design.seeds
    # As int_cell_errors has it: half an item won in every seed, half an item lost and one unchanged.
    items = (n * components.of_items(s) + 1) / ((n + 1) * (n + 2))
    if s == 1:
        return _Error(items, np.full(len(items), n - 1.0))
    with_noise, degrees = _luck(components, design)
    runs = components.luck_scale * components.luck / s
    spread = (components.luck_scale * with_noise / s) ** 2 / degrees
    return _Error(items + runs, (items + runs) ** 2 / (items**2 / (n - 1) + spread))


def _regime_error(components: Components, design: Design, pairs: Sequence[tuple[Cell, Cell]]) -> _Error:
    s, models = design.seeds, design.n_models
    weight = 1 / (len(pairs) * models)
    variance = spread = 0.0
    for task in {target[0] for _, target in pairs}:
        of_target = [sum(target == one for _, target in pairs) for one in design.targets if one[0] == task]
        n = stats.hmean([design.items[target] for _, target in pairs if target[0] == task])
        cells = models * sum(of_target)
        alike = models * sum(k * (k - 1) for k in of_target)
        others = cells**2 - cells - alike
        items = (
            cells * float(components.of_items(s).mean())
            + alike * components.same_target
            + others * components.same_item
        ) * weight**2 / n  # fmt: skip
        variance += items
        spread += items**2 / (n - 1)
    if s > 1:
        with_noise, degrees = _luck(components, design)
        scale = float(components.luck_scale.mean())
        own = scale * len(pairs) * models * weight**2 / s
        shared = 0.0
        for source in design.sources:
            targets = [target for one, target in pairs if one == source]
            for part, groups in (
                (components.of_all, [len(targets)]),
                (components.of_task, [sum(t[0] == x for t in targets) for x in {t[0] for t in targets}]),
                (components.of_language, [sum(t[1] == x for t in targets) for x in {t[1] for t in targets}]),
            ):
                shared += models * part * sum(k * (k - 1) for k in groups) * scale * weight**2 / s
        variance += (own + shared) * components.luck
        adapters = models * len(design.sources) * (s - 1)
        spread += (own * with_noise) ** 2 / degrees + (shared * components.luck) ** 2 / adapters
    return _Error(np.array([variance]), np.array([variance**2 / spread]))
