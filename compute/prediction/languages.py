"""How alike languages are, as features: shared script, and whatever distances a study has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from compute.languages import script_of
from compute.prediction.mixed_model import Floats

Distances = Mapping[tuple[str, str], float]

_FEATURES = 6
"""Columns at most: more would say no more of a few dozen languages."""


def distance_matrix(languages: Sequence[str], distances: Distances) -> Floats:
    """Return distances of every two languages, [language, language]: symmetric, over their mean, the mean where there
    is none; all 0 where nothing is known."""
    n = len(languages)
    found = np.full((n, n), np.nan)
    for i, one in enumerate(languages):
        for j, other in enumerate(languages):
            known = [value for pair in ((one, other), (other, one)) if (value := distances.get(pair)) is not None]
            if known and i != j:
                found[i, j] = float(np.mean(known))
    if np.isnan(found).all() or np.nanmean(found) <= 0:
        return np.zeros((n, n))
    found = np.where(np.isnan(found), np.nanmean(found), found) / np.nanmean(found)
    np.fill_diagonal(found, 0.0)
    return found


def mean_distance(languages: Sequence[str], distances: Mapping[str, Distances]) -> Floats:
    """Return the mean of all distances, each over its mean, [language, language]; NaN without any."""
    parts = [part for one in distances.values() if (part := distance_matrix(languages, one)).any()]
    return np.mean(parts, axis=0) if parts else np.full((len(languages),) * 2, np.nan)


def other_script(languages: Sequence[str]) -> Floats:
    """Return 1 where two languages are not known to share a script, else 0, [language, language]."""
    scripts = [script_of(language) for language in languages]
    alike = [[one is not None and one == other for other in scripts] for one in scripts]
    return np.asarray(1.0 - (np.array(alike, dtype=bool) | np.eye(len(scripts), dtype=bool)), dtype=float)


def features(languages: Sequence[str], distances: Mapping[str, Distances]) -> Floats:
    """Return features whose products are the kernel exp(-d^2 / 2 median(d)^2), [language, feature].

    d is the mean of the distances and of `other_script`. The kernel is centered, so that the features say how languages
    differ and not what all have in common. Without any difference there are no columns.
    """
    parts = [distance_matrix(languages, one) for one in distances.values()] + [other_script(languages)]
    d = np.mean([part for part in parts if part.any()] or [np.zeros((len(languages),) * 2)], axis=0)
    between = d[~np.eye(len(languages), dtype=bool)]
    if len(languages) < 3 or np.ptp(between) < 1e-9:
        return np.zeros((len(languages), 0))
    kernel = np.exp(-0.5 * (d / np.median(between[between > 0])) ** 2)
    centered = kernel - kernel.mean(axis=0) - kernel.mean(axis=1)[:, None] + kernel.mean()
    values, vectors = np.linalg.eigh(centered)
    order = np.argsort(values)[::-1][: min(_FEATURES, len(languages) - 1)]
    kept = order[values[order] > 0.02 * values[order[0]]]
    return np.asarray(vectors[:, kept] * np.sqrt(values[kept]))
