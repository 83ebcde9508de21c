"""How small a change a study can show: the power of the tests that the marts make, before anything is computed.

A cell's difference has the variance V_i / n + L / S (n items, S seeds), where V_i is the variance over items of the
mean over seeds and L the luck of a run (`int_cell_errors`); its t has Satterthwaite's degrees of freedom. What q <=
.05 asks of p depends on how many cells change and on what they share: the answers of a target's baseline, the luck of
an adapter, the estimate of luck. So the tests of a whole study are drawn, normal, with these covariances, and
Benjamini and Hochberg's procedure is applied to each draw; power is the share of changed cells that pass. A regime's
mean is told by its interval.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import optimize, stats

from compute.study.sources import SEVERAL, UNKNOWN

POWER, Q = 0.8, 0.05
_QUANTILES = (np.arange(200) + 0.5) / 200
_DRAWS, _MOST_CELLS = 400, 240
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
    of_change: float
    """What a change adds to `shared`, over its square: items differ in how far they go along."""
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

    @property
    def cells(self) -> list[tuple[Cell, Cell]]:
        """(source, target) of all but trained cells."""
        return [(source, target) for source in self.sources for target in self.targets if source != target]

    def pairs(self, regime: str) -> list[tuple[Cell, Cell]]:
        """(source, target) of the cells that count in a regime: `transfer` is all of them."""
        of = {pair: _regime(*pair) for pair in self.cells}
        return [pair for pair in self.cells if of[pair] and regime in ("transfer", of[pair])]


def _regime(source: Cell, target: Cell) -> str | None:
    """None for a source of several or unknown tasks or languages."""
    if {SEVERAL, UNKNOWN} & set(source):
        return None
    return f"{'M' if source[0] == target[0] else 'C'}T-{'M' if source[1] == target[1] else 'C'}L"


@dataclass(frozen=True)
class _Error:
    """Variances of estimates and their degrees of freedom, [case]."""

    variance: np.ndarray
    degrees: np.ndarray

    def power(self, change: float, level: float) -> float:
        """Return the mean power of the two-sided t test at this level."""
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


def smallest_of_cell(components: Components, design: Design, n_items: int, share: float) -> float | None:
    """Return the smallest change of a cell of `n_items` that is found, as a proportion, where `share` of the transfer
    cells change as much, up or down; None: not even one of all answers is."""
    cells = _Cells.drawn(components, design, n_items, share)
    if cells.power(1.0) < POWER:
        return None
    low, high = 0.0, 1.0
    while high - low > 1e-4:
        middle = (low + high) / 2
        low, high = (low, middle) if cells.power(middle) >= POWER else (middle, high)
    return high


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


@dataclass(frozen=True)
class _Cells:
    """Drawn studies of one size. Variances are of estimates, [cell]; draws are unit normals, [draw, cell]."""

    n: int
    """Items."""
    items: np.ndarray
    of_change: float
    runs: np.ndarray
    noisy: np.ndarray
    """Of runs, with the noise that the estimate of luck has in it."""
    spread: np.ndarray
    """Variance of the estimate of `runs`."""
    item_draws: np.ndarray
    run_draws: np.ndarray
    luck_told: np.ndarray
    """Estimated luck and noise over the true ones, [draw, 1]."""
    signs: np.ndarray
    """1 or -1 where the cell changes, else 0, [draw, cell]."""

    @staticmethod
    def drawn(components: Components, design: Design, n: int, share: float) -> _Cells:
        """Draw studies; of a large one, a part of its models and targets, as power depends on the rest by its kind."""
        rng = np.random.default_rng(20_191)
        s = design.seeds
        every = [(model, *pair) for model in range(design.n_models) for pair in design.cells]
        cells = [every[i] for i in sorted(rng.permutation(len(every))[:_MOST_CELLS])]
        like = rng.integers(len(components.shared), size=len(cells))
        # As int_cell_errors has it: half an item won in every seed, half an item lost and one unchanged.
        of_items = components.shared[like] + components.own / s
        items = (n * of_items + 1) / ((n + 1) * (n + 2))
        runs = components.luck_scale[like % len(components.luck_scale)] * components.luck / s * (s > 1)
        with_noise, degrees = _luck(components, design)
        noisy = runs * (with_noise / components.luck if components.luck else 0)

        def drawn(*parts: tuple[float, list[object]]) -> np.ndarray:
            """Return unit normals, [draw, cell], of whose variance parts are one draw for the cells of one group."""
            left, error = 1.0, np.zeros((_DRAWS, len(cells)))
            for part, groups in parts:
                part = min(part, left)
                left -= part
                numbers = np.unique([str(group) for group in groups], return_inverse=True)[1]
                error += np.sqrt(part) * rng.standard_normal((_DRAWS, numbers.max() + 1))[:, numbers]
            return np.asarray(error + np.sqrt(left) * rng.standard_normal(error.shape))

        mean = float(of_items.mean())
        by_target: list[object] = [(m, t) for m, _, t in cells]
        by_task: list[object] = [t[0] for _, _, t in cells]
        item_draws = drawn(
            (components.same_item / mean, by_task),
            (max(0.0, components.same_target - components.same_item) / mean, by_target),
        )
        run_draws = drawn(
            (components.of_all, [(m, one) for m, one, _ in cells]),
            (components.of_task, [(m, one, t[0]) for m, one, t in cells]),
            (components.of_language, [(m, one, t[1]) for m, one, t in cells]),
        )
        luck_told = rng.chisquare(degrees, (_DRAWS, 1)) / degrees
        order = rng.permuted(np.tile(np.arange(len(cells)), (_DRAWS, 1)), axis=1)
        signs = np.where(order < max(1, round(share * len(cells))), rng.choice([-1, 1], order.shape), 0)
        return _Cells(
            n, items, components.of_change, runs, noisy, noisy**2 / degrees, item_draws, run_draws, luck_told, signs
        )

    def power(self, change: float) -> float:
        """Return the share of changed cells with q <= .05."""
        # Items move by 0 to 1, which bounds how unlike they are.
        unlike = min(self.of_change * change**2, change * (1 - change))
        items = self.items + unlike / self.n * np.abs(self.signs)
        errors = self.item_draws * np.sqrt(items) + self.run_draws * np.sqrt(self.runs)
        # Luck is one estimate for all cells, taken together with the items' noise and less it again.
        estimated = np.maximum(items + self.runs + self.noisy * (self.luck_told - 1), items)
        degrees = estimated**2 / (items**2 / (self.n - 1) + self.spread)
        t = self.n / (self.n + 2) * (errors + change * self.signs) / np.sqrt(estimated)
        p = 2 * stats.t.sf(np.abs(t), np.maximum(1, degrees))
        # Benjamini and Hochberg: all up to the last p that is at most its rank's part of q.
        ranked, m = np.sort(p, axis=1), p.shape[1]
        passes = ranked <= Q * np.arange(1, m + 1) / m
        last = np.where(passes.any(axis=1), ranked[np.arange(len(p)), m - 1 - passes[:, ::-1].argmax(axis=1)], -1.0)
        return float((p <= last[:, None])[self.signs != 0].mean())


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
