"""Two vocabularies of which one is the other turned round, uneven enough for a method to see it without any pairs."""

from __future__ import annotations

import numpy as np

from compute.embeddings.mappings import Seeds
from tests.helpers.rotated import Rotated, random_rotation, vectors

NO_SEEDS: Seeds = np.empty((0, 2), dtype=np.int64)


def clustered(
    seed: int, n: int = 400, d: int = 10, noise: float = 0.0, only_source: int = 20, only_target: int = 40
) -> Rotated:
    """`n` translations and, on either side, words that translate nothing, all in one random order on each side.

    Words fall into clusters of unequal sizes, and no two directions have the same variance or are symmetric about
    the mean, so that one rotation only makes the two alike. `noise` is in standard deviations of the narrowest
    direction.
    """
    rng = np.random.default_rng(seed)
    scales = np.linspace(2.5, 0.7, d)
    centres = rng.gamma(1.0, size=(12, d)) * scales
    shares = rng.dirichlet(np.linspace(1, 6, len(centres)))

    def words(count: int) -> np.ndarray:
        around = centres[rng.choice(len(centres), size=count, p=shares)]
        return around + 0.5 * scales * (rng.gamma(1.0, size=(count, d)) - 1)

    rotation = random_rotation(rng, d)
    common = words(n)
    source = np.vstack([common, words(only_source)])
    other = common @ rotation + noise * scales[-1] * rng.normal(size=(n, d))
    target = np.vstack([other, words(only_target) @ rotation])
    source_order, target_order = rng.permutation(len(source)), rng.permutation(len(target))
    pairs = np.stack([np.argsort(source_order)[:n], np.argsort(target_order)[:n]], axis=1)
    return Rotated(vectors(source[source_order], "s"), vectors(target[target_order], "t"), rotation, pairs)
