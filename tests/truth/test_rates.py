"""How numbers over draws are counted and when they pass."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from tests.truth.rates import Reach, clopper_pearson, mean, median, rate


@pytest.mark.parametrize(("successes", "trials"), [(0, 20), (3, 20), (20, 20), (190, 200)])
def test_rates_of_one_trial_a_draw_are_clopper_and_pearsons(successes: int, trials: int) -> None:
    exact = stats.binomtest(successes, trials).proportion_ci(method="exact")
    estimate = rate([1] * successes + [0] * (trials - successes), [1] * trials)
    assert (estimate.low, estimate.high) == pytest.approx((exact.low, exact.high))
    assert clopper_pearson(successes, trials) == pytest.approx((exact.low, exact.high))


@pytest.mark.parametrize("within", [0.0, 0.5])
def test_rates_of_trials_that_hang_together_are_covered(within: float) -> None:
    """Draws differ in their own rate about .9 (a beta of this correlation within draws)."""
    rng = np.random.default_rng(1)
    covered = []
    for _ in range(400):
        size = 1 / within - 1 if within else np.inf
        own = rng.beta(0.9 * size, 0.1 * size, 60) if within else np.full(60, 0.9)
        estimate = rate(rng.binomial(30, own), np.full(60, 30))
        covered.append(estimate.low <= 0.9 <= estimate.high)
    assert 0.93 <= np.mean(covered) <= 0.99


def test_medians_and_means_are_covered() -> None:
    rng = np.random.default_rng(2)
    draws = rng.exponential(size=(2_000, 25))
    medians = [median(values) for values in draws]
    assert np.mean([e.low <= np.log(2) <= e.high for e in medians]) == pytest.approx(0.957, abs=0.012)
    assert np.mean([e.low <= 1 <= e.high for e in map(mean, draws)]) >= 0.9
    assert mean([1.0, 2.0, 3.0]).high == pytest.approx(2 + stats.t.ppf(0.975, 2) / np.sqrt(3))


def test_a_reach_holds_what_its_interval_includes_or_betters() -> None:
    estimate = rate([1] * 5 + [0] * 45, [1] * 50)  # .1 (.033 to .218)
    assert Reach(high=0.04).holds(estimate) and not Reach(high=0.03).holds(estimate)
    assert Reach(low=0.2).holds(estimate) and not Reach(low=0.3).holds(estimate)
    assert Reach(0.2, 0.4).holds(estimate) and not Reach(0.3, 0.4).holds(estimate)
    assert not Reach().holds(mean([np.nan, 1.0]))
