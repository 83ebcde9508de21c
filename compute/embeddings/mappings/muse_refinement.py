"""MUSE's judgement of a map without any pairs, and its refinement by Procrustes (see `muse`)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch.nn.functional import normalize

from compute.embeddings.mappings.proc import rotation
from compute.embeddings.neighbours import csls_penalty, top_k
from compute.embeddings.vectors import Vectors

CRITERION_WORDS = 10_000
"""Most frequent words of either side that the criterion looks at."""


@dataclass(frozen=True)
class Judged:
    """A W, and what is known of it."""

    w: torch.Tensor
    """float32 [d, d]."""
    criterion: float
    """Mean cosine of source words with their nearest target words by CSLS; -1 where there is no such pair."""
    pairs: torch.Tensor
    """int64 [p, 2]: mutual nearest neighbours by CSLS among the most frequent words."""


class Sides:
    """Both vocabularies, `x` float32 [n, d] and `z` [m, d], on `device`, and the judgement of a W on them."""

    def __init__(self, source: Vectors, target: Vectors, dictionary_words: int, device: str) -> None:
        # Copies: the matrices may be memory-mapped read-only.
        self.x, self.z = (torch.tensor(vectors.matrix, device=device) for vectors in (source, target))
        self._z_unit = normalize(self.z, dim=1)
        self._dictionary_words = dictionary_words

    def judged(self, w: torch.Tensor) -> Judged:
        """`w` with its criterion and mutual nearest neighbours."""
        x, z = normalize(self.x @ w, dim=1), self._z_unit
        to_z = top_k(x[: max(self._dictionary_words, CRITERION_WORDS)], z, 1, csls_penalty(z, x))[1][:, 0]
        to_x = top_k(z[: self._dictionary_words], x, 1, csls_penalty(x, z))[1][:, 0]

        frequent = to_z[:CRITERION_WORDS] < CRITERION_WORDS
        cosines = (x[: len(frequent)] * z[to_z[: len(frequent)]]).sum(1)[frequent]
        criterion = cosines.double().mean().item() if len(cosines) else -1.0

        rows = (to_z[: self._dictionary_words] < len(to_x)).nonzero()[:, 0]
        mutual = rows[to_x[to_z[rows]] == rows]
        return Judged(w, criterion, torch.stack([mutual, to_z[mutual]], dim=1))


def refined(sides: Sides, start: Judged, refinements: int) -> Iterator[Judged]:
    """Yield the Procrustes solutions that follow `start`, each from the mutual nearest neighbours under the one before;
    fewer than asked for where there are no such pairs."""
    latest = start
    for _ in range(refinements):
        if len(latest.pairs) == 0:
            return
        latest = sides.judged(rotation(sides.x[latest.pairs[:, 0]], sides.z[latest.pairs[:, 1]]).float())
        yield latest


def best_of(judged: Iterable[Judged]) -> Judged:
    """Return the one with the highest criterion, the first of equal ones."""
    return max(judged, key=lambda one: one.criterion)
