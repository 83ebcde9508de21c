"""What is counted over draws, and when it passes: the exact 95 % interval includes or betters the reach.

A draw is one study. Trials within a draw (its cells) are not independent: they share a baseline and runs. The interval
of a rate is that of Clopper and Pearson (1934) with the effective number of trials of Korn and Graubard (1998),
n* = r(1 - r) / var(r), var(r) being that of the ratio estimator over draws. With one trial a draw it is Clopper and
Pearson's itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats


@dataclass(frozen=True)
class Estimate:
    """A measured number, its 95 % interval and what it is out of."""

    value: float
    low: float
    high: float
    n_draws: int
    n_trials: float


def clopper_pearson(successes: float, trials: float, level: float = 0.95) -> tuple[float, float]:
    """Return the exact interval of a proportion. Numbers need not be whole."""
    tail = (1 - level) / 2
    failures = trials - successes
    low = stats.beta.ppf(tail, successes, failures + 1) if successes > 0 else 0.0
    high = stats.beta.ppf(1 - tail, successes + 1, failures) if failures > 0 else 1.0
    return float(low), float(high)


def rate(successes: Sequence[float], trials: Sequence[float]) -> Estimate:
    """Return the rate over draws, [draw] successes out of [draw] trials; a success may be a part of a trial."""
    s, n = np.asarray(successes, dtype=float), np.asarray(trials, dtype=float)
    s, n = s[n > 0], n[n > 0]
    if not len(n):
        raise ValueError("a rate of no trials")
    value, draws = s.sum() / n.sum(), len(n)
    # One trial a draw, or no spread to see: the trials are the draws'.
    effective = n.sum() if (n == 1).all() else float(draws)
    residuals = s - value * n
    if draws > 1 and residuals.any() and not ((n == 1).all() and np.isin(s, (0, 1)).all()):
        variance = draws / (draws - 1) * np.square(residuals).sum() / n.sum() ** 2
        effective = value * (1 - value) / variance
        # Korn and Graubard: the variance has few degrees of freedom.
        effective *= (stats.t.ppf(0.975, n.sum() - 1) / stats.t.ppf(0.975, draws - 1)) ** 2 if n.sum() > draws else 1
    low, high = clopper_pearson(value * effective, effective)
    return Estimate(float(value), low, high, draws, float(n.sum()))


def mean(values: Sequence[float]) -> Estimate:
    """Return the mean over draws with Student's interval."""
    v = np.asarray(values, dtype=float)
    half = stats.t.ppf(0.975, len(v) - 1) * v.std(ddof=1) / np.sqrt(len(v)) if len(v) > 1 else np.inf
    return Estimate(float(v.mean()), float(v.mean() - half), float(v.mean() + half), len(v), len(v))


def median(values: Sequence[float]) -> Estimate:
    """Return the median over draws with the interval between order statistics (exact by the binomial)."""
    v = np.sort(np.asarray(values, dtype=float))
    n = len(v)
    rank = int(stats.binom.ppf(0.025, n, 0.5))
    covered = 1 - 2 * stats.binom.cdf(rank - 1, n, 0.5) if rank > 0 else 0
    low, high = (v[rank - 1], v[n - rank]) if covered >= 0.95 else (-np.inf, np.inf)
    return Estimate(float(np.median(v)), float(low), float(high), n, n)


@dataclass(frozen=True)
class Reach:
    """What an estimate must lie in; None: open on that side."""

    low: float | None = None
    high: float | None = None

    def holds(self, estimate: Estimate) -> bool:
        """Whether the estimate's interval includes or betters the reach."""
        if np.isnan(estimate.value):
            return False
        above = self.low is None or estimate.high >= self.low
        return above and (self.high is None or estimate.low <= self.high)
