"""Reference implementations in NumPy and SciPy that estimates in SQL are held against."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, special, stats


def adjusted_effects(delta: np.ndarray, own: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return donors' and recipients' least-squares means over models, by `numpy.linalg.lstsq`.

    Donors: Delta[m, s, t] = column[m, t] + g[s]; a donor's effect is its fitted mean over all models and targets, own
    cell included. Recipients: Delta[m, s, t] = row[m, s] + b[t]; the fitted mean over models and sources. Cells of
    `own` [source, target] and NaN are left out. Griffing (1956, Australian Journal of Biological Sciences 9), method 3:
    the diallel without selfs. NaN where what is left does not connect.

    Parameters
    ----------
    delta : [model, source, target], percentage points.
    own : [source, target], True for the trained cell.
    """
    return _means_of_rows(delta, own), _means_of_rows(delta.transpose(0, 2, 1), own.T)


def _means_of_rows(delta: np.ndarray, own: np.ndarray) -> np.ndarray:
    models, rows, columns = delta.shape
    m, r, c = np.nonzero(~own[None] & ~np.isnan(delta))
    design = np.zeros((len(m), models * columns + rows))
    design[np.arange(len(m)), m * columns + c] = 1
    design[np.arange(len(m)), models * columns + r] = 1
    if np.linalg.matrix_rank(design) < models * columns + rows - 1:
        return np.full(rows, np.nan)
    # The minimum-norm solution; fitted values do not depend on the constraint.
    solution = np.linalg.lstsq(design, delta[m, r, c], rcond=None)[0]
    return np.asarray(solution[models * columns :] + solution[: models * columns].mean())


def trigamma_inverse(x: float) -> float:
    """Return y with trigamma(y) = x > 0, found on the scale of log y."""
    return float(
        np.exp(
            optimize.brentq(lambda log_y: np.log(special.polygamma(1, np.exp(log_y))) - np.log(x), -30, 30, xtol=1e-14)
        )
    )


@dataclass(frozen=True)
class Moderated:
    """Variances after moderation (Smyth 2004, Statistical Applications in Genetics and Molecular Biology 3:3)."""

    prior_variance: float
    prior_degrees: float
    variance: np.ndarray
    degrees: np.ndarray


def moderated_variances(variances: ArrayLike, degrees: ArrayLike, *, is_robust: bool = False) -> Moderated:
    """Return limma's squeezeVar: a scaled F distribution fitted to the variances, and their posterior means.

    With e = log s^2 - digamma(d/2) + log(d/2): log s0^2 and d0 solve mean(e) = log s0^2 - digamma(d0/2) + log(d0/2)
    and var(e) - mean(trigamma(d/2)) = trigamma(d0/2). Where the left side is not positive, d0 is infinite and s0^2 the
    mean of the variances by their degrees, the maximum of likelihood (with equal degrees limma's since 2017). A
    variance of 0 stands at 1e-5 of the median in logarithms, as in limma. Posterior:
    (d0 s0^2 + d s^2) / (d0 + d), with d0 + d degrees of freedom, but no more than the sum of all d. If `is_robust`,
    with d0 min(1, 2 P(F >= s^2 / s0^2)) for d0 (after Phipson et al. 2016).

    Parameters
    ----------
    variances, degrees : [unit]; a unit with no degrees of freedom gets the prior.
    """
    s2, d = np.broadcast_arrays(np.asarray(variances, dtype=float), np.asarray(degrees, dtype=float))
    used = d > 0
    half = d[used] / 2
    floored = np.maximum(s2[used], 1e-5 * max(np.median(s2[used]), 1e-9))
    e = np.log(floored) - special.digamma(half) + np.log(half)
    excess = e.var(ddof=1) - special.polygamma(1, half).mean() if len(e) > 1 else 0.0
    if excess > 0:
        prior_degrees = 2 * trigamma_inverse(excess)
        prior = float(np.exp(e.mean() + special.digamma(prior_degrees / 2) - np.log(prior_degrees / 2)))
        own_prior = np.full(s2.shape, prior_degrees)
        if is_robust:
            own_prior[used] *= np.minimum(1, 2 * stats.f.sf(s2[used] / prior, d[used], prior_degrees))
        posterior = (own_prior * prior + d * np.where(d > 0, s2, 0)) / (own_prior + d)
    else:
        prior_degrees, prior = np.inf, float(np.average(s2[used], weights=d[used]))
        own_prior = np.full(s2.shape, np.inf)
        posterior = np.full(s2.shape, prior)
    return Moderated(prior, prior_degrees, posterior, np.minimum(own_prior + d, d.sum()))


def t_quantile_975(degrees: ArrayLike) -> np.ndarray:
    """Return Student's t quantile at .975."""
    return np.asarray(stats.t.ppf(0.975, degrees))


FACTORS = {
    "model": (0,), "source": (1,), "target": (2,),
    "model_source": (0, 1), "model_target": (0, 2), "source_target": (1, 2),
}  # fmt: skip


def crossed_components(delta: np.ndarray, own: np.ndarray) -> dict[str, float]:
    """Return the variance components of crossed random effects by REML: statsmodels' mixed model, one group whose
    components are the factors and their pairs.

    Parameters
    ----------
    delta : [model, source, target], percentage points; NaN is left out.
    own : [source, target], True for trained cells, which are left out.
    """
    from statsmodels.regression.mixed_linear_model import MixedLM, VCSpec

    index = np.nonzero(~own[None] & ~np.isnan(delta))
    levels = [
        np.ravel_multi_index([index[a] for a in axes], [delta.shape[a] for a in axes]) for axes in FACTORS.values()
    ]
    indicators = [(level[:, None] == np.unique(level)).astype(float) for level in levels]
    specification = VCSpec(
        list(FACTORS), [[[str(i) for i in range(z.shape[1])]] for z in indicators], [[z] for z in indicators]
    )
    ones = np.ones(len(levels[0]))
    fitted = MixedLM(delta[index], ones[:, None], groups=ones, exog_vc=specification).fit(reml=True, method="lbfgs")
    return dict(zip(FACTORS, fitted.vcomp, strict=True)) | {"residual": float(fitted.scale)}
