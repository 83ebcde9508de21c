"""Two vocabularies of which one is the other turned round: what every mapping method must find."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from compute.embeddings.mappings import Mapping, Seeds
from compute.embeddings.vectors import Vectors


class Rotated(NamedTuple):
    """`target.matrix[j]` is `source.matrix[i] @ rotation`, plus noise, for each (i, j) of `pairs` [m, 2], which
    are all pairs there are."""

    source: Vectors
    target: Vectors
    rotation: NDArray[Any]
    pairs: Seeds


def vectors(matrix: NDArray[Any], prefix: str) -> Vectors:
    """Made-up words for the rows of `matrix`."""
    return Vectors([f"{prefix}{i}" for i in range(len(matrix))], matrix.astype(np.float32))


def random_rotation(rng: np.random.Generator, d: int) -> NDArray[Any]:
    """A random orthogonal [d, d]."""
    return np.asarray(np.linalg.qr(rng.normal(size=(d, d)))[0])


def rotated(
    seed: int, n_source: int = 300, n_target: int = 220, d: int = 16, noise: float = 0.0, share: float = 0.5
) -> Rotated:
    """A problem with standard normal source vectors. The most frequent `share` of the target words are
    translations, in another order; the others translate nothing. `noise` is its standard deviation."""
    rng = np.random.default_rng(seed)
    rotation = random_rotation(rng, d)
    source = rng.normal(size=(n_source, d))
    target = rng.normal(size=(n_target, d))
    translated = min(n_source, int(share * n_target))
    rows = rng.permutation(min(n_source, 2 * translated))[:translated]
    target[:translated] = source[rows] @ rotation + noise * rng.normal(size=(translated, d))
    pairs = np.stack([rows, np.arange(translated)], axis=1)
    return Rotated(vectors(source, "s"), vectors(target, "t"), rotation, pairs)


def share_found(mapping: Mapping, problem: Rotated, pairs: Seeds) -> float:
    """The share of `pairs` whose target word is nearest to the source word by cosine, once mapped."""
    source, target = mapping.apply(problem.source, problem.target)
    x, y = (side.matrix / np.linalg.norm(side.matrix, axis=1, keepdims=True) for side in (source, target))
    return float(np.mean((x[pairs[:, 0]] @ y.T).argmax(axis=1) == pairs[:, 1]))
