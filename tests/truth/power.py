"""What `transfer power` would read of an earlier study of the worlds' population, by NumPy from a large draw."""

from __future__ import annotations

import functools

import numpy as np

from compute.verbs.sensitivity import Components
from tests.truth.population import LUCK_SHARED, Design, Plant, baseline_and_runs

OF_CHANGE = 1.8
"""Of a change of 3 to 12 pp in this population; a test draws it."""


@functools.cache
def components(luck_pp: float = 3.6, low: float = 0.35, high: float = 0.75) -> Components:
    """Return the components of a study whose base models have accuracies from `low` to `high` and which changes
    nothing."""
    tasks = [("add", f"l{i}") for i in range(8)] + [("sort", f"l{i}") for i in range(8)]
    design = Design((("else", "a"), ("else", "b"), ("else", "c")), tuple(tasks), 1, 4_000, 4)
    accuracy = np.tile(np.linspace(low, high, 8), 2)[None]
    base, runs = baseline_and_runs(Plant(design, accuracy, np.zeros(design.shape), luck_pp=luck_pp),
                                   np.random.default_rng(1))  # fmt: skip
    # [seed, source, target, item]
    d = np.array([run.right[0] for run in runs]).astype(float) - base[0]
    d -= d.mean(axis=-1, keepdims=True)
    means = d.mean(axis=0)
    own = ((d - means) ** 2).sum(axis=0).mean(axis=(0, 2)) / (design.n_seeds - 1)
    shared = means.var(axis=-1).mean(axis=0) - own / design.n_seeds
    p = accuracy[0]
    of_target = means.sum(axis=0)  # over sources
    alike = (of_target**2 - (means**2).sum(axis=0)).mean() / (3 * 2)
    of_task = [means[:, [t[0] == task for t in tasks]].sum(axis=(0, 1)) for task in ("add", "sort")]
    own_targets = [of_target[[t[0] == task for t in tasks]] for task in ("add", "sort")]
    others = np.mean([
        (whole**2 - (parts**2).sum(axis=0)).mean() / (24**2 - 8 * 3**2)
        for whole, parts in zip(of_task, own_targets, strict=True)
    ])  # fmt: skip
    return Components(
        shared, float(own.mean()), OF_CHANGE, (luck_pp / 100) ** 2, (4 * p * (1 - p)) ** 2, float(alike), float(others),
        LUCK_SHARED, 0.0, 0.0,
    )  # fmt: skip
