"""The references themselves: closed forms, published cases and other implementations."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special, stats

from tests.truth.references import (
    adjusted_effects,
    crossed_components,
    moderated_variances,
    t_quantile_975,
    trigamma_inverse,
)


def _closed_form(delta: np.ndarray, own: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One model: DESIGN's closed form on a complete grid less own cells; the first targets are the sources."""
    s, t = delta.shape
    held = np.where(own, 0, delta)
    r, c = held.sum(axis=1), held.sum(axis=0)
    u = r + c[:s] / (s - 1)
    g = (u - u.mean()) / ((t - 1) - 1 / (s - 1))
    b = np.array([(c[e] + g[e]) / (s - 1) if e < s else c[e] / s for e in range(t)])
    return g + b.mean(), b


@pytest.mark.parametrize(("s", "t"), [(4, 4), (3, 7), (8, 8)])
def test_adjusted_effects_are_the_closed_form(s: int, t: int) -> None:
    delta = np.random.default_rng(s).normal(size=(1, s, t))
    own = np.eye(s, t, dtype=bool)
    for found, expected in zip(adjusted_effects(delta, own), _closed_form(delta[0], own), strict=True):
        assert found == pytest.approx(expected, abs=1e-12)


def test_a_bad_recipient_is_no_better_donor() -> None:
    """Additive truth: effects are found exactly, although the raw means of donors go by their own receptivity."""
    donors, recipients = np.array([0.0, 0, 0, 3]), np.array([-8.0, 0, 4, 1])
    own = np.eye(4, dtype=bool)
    found, received = adjusted_effects(np.array([donors[:, None] + recipients]), own)
    assert found == pytest.approx(donors + recipients.mean())
    assert received == pytest.approx(recipients + donors.mean())


def test_effects_of_grids_that_do_not_connect_are_unknown() -> None:
    apart = np.full((1, 4, 4), np.nan)
    apart[0, :2, 2:], apart[0, 2:, :2] = 1, 1
    assert np.isnan(adjusted_effects(apart, np.eye(4, dtype=bool))[0]).all()


def test_trigamma_is_inverted() -> None:
    for x in (1e-6, 0.01, 1.0, 50.0, 1e7):
        assert special.polygamma(1, trigamma_inverse(x)) == pytest.approx(x, rel=1e-9)


def test_moderation_recovers_its_own_prior() -> None:
    """Variances drawn as Smyth's model says: s^2 ~ s0^2 F(d, d0)."""
    rng = np.random.default_rng(3)
    for d, d0, prior in ((4, 6.0, 2.0), (8, 12.0, 0.5)):
        fitted = moderated_variances(prior * stats.f.rvs(d, d0, size=40_000, random_state=rng), d)
        assert fitted.prior_degrees == pytest.approx(d0, rel=0.1)
        assert fitted.prior_variance == pytest.approx(prior, rel=0.03)
        assert fitted.degrees == pytest.approx(np.full(40_000, d + fitted.prior_degrees))


def test_moderation_with_known_prior_by_hand() -> None:
    """Two units of 2 degrees: z = 0 and 2, so that e - mean e = -1 and 1, var(e) = 2, and trigamma(1) = pi^2 / 6."""
    fitted = moderated_variances([1.0, np.exp(2)], 2)
    half = trigamma_inverse(2 - np.pi**2 / 6)
    assert fitted.prior_degrees == pytest.approx(2 * half)
    prior = np.exp(1 - special.digamma(1) + special.digamma(half) - np.log(half))
    assert fitted.prior_variance == pytest.approx(prior)
    assert fitted.variance[0] == pytest.approx((2 * half * prior + 2) / (2 * half + 2))
    assert fitted.degrees == pytest.approx([4, 4])  # no more than there are in all


def test_moderation_of_equal_variances_pools_them() -> None:
    fitted = moderated_variances([2.0, 2.1, 1.9], 8)
    assert fitted.prior_degrees == np.inf
    assert fitted.variance == pytest.approx(np.full(3, 2.0))
    assert fitted.degrees == pytest.approx(np.full(3, 24))


def test_a_unit_without_degrees_gets_the_prior() -> None:
    fitted = moderated_variances([1.0, 8.0, 2.0, np.nan], [3, 3, 3, 0])
    assert fitted.variance[3] == pytest.approx(fitted.prior_variance)


def test_quantiles_are_the_tables() -> None:
    assert t_quantile_975([1, 2, 10, 1e9]) == pytest.approx([12.7062, 4.30265, 2.22814, 1.95996], rel=1e-5)


def test_components_of_a_balanced_layout_are_those_of_analysis_of_variance() -> None:
    """Model, source and target with their pairs, own cells present: REML and the mean squares agree where none is
    negative."""
    rng = np.random.default_rng(5)
    m, s, t = 6, 7, 8
    delta = (
        rng.normal(0, 3, (m, 1, 1)) + rng.normal(0, 3, (s, 1)) + rng.normal(0, 3, t)
        + rng.normal(0, 2, (m, s, 1)) + rng.normal(0, 2, (m, 1, t)) + rng.normal(0, 2, (s, t))
        + rng.normal(0, 1, (m, s, t))
    )  # fmt: skip
    found = crossed_components(delta, np.zeros((s, t), dtype=bool))
    row = delta.mean(axis=2)
    interaction = row - row.mean(axis=0) - row.mean(axis=1)[:, None] + row.mean()
    residual = delta - delta.mean(axis=0) - delta.mean(axis=1)[:, None] - delta.mean(axis=2)[:, :, None]
    residual = residual + delta.mean(axis=(0, 1)) + delta.mean(axis=(0, 2))[:, None]
    residual = residual + delta.mean(axis=(1, 2))[:, None, None] - delta.mean()
    of_residual = np.square(residual).sum() / ((m - 1) * (s - 1) * (t - 1))
    assert found["residual"] == pytest.approx(of_residual, rel=1e-3)
    of_pair = (t * np.square(interaction).sum() / ((m - 1) * (s - 1)) - of_residual) / t
    assert found["model_source"] == pytest.approx(of_pair, rel=1e-3)
