"""DLV: a discriminative latent-variable model (Ruder, Cotterell, Kementchedjhieva & Søgaard, EMNLP 2018).

Which source word matches which target word is a latent bipartite matching; hard EM over it and over an
orthogonal W, from a W solved on the training pairs:

    E-step: the matching of maximum weight, the weight of a pair being x W · y. Over the most frequent words
        of each side only, and a source word may be matched with its nearest three target words only, which
        makes the graph sparse. A word may also stay unmatched, at weight 0.
    M-step: W = U Vᵀ where X_Mᵀ Y_M = U S Vᵀ over the matched pairs M (Procrustes).

It ends when the weight of the matching no longer rises. The matching is solved exactly, in float64, by
SciPy's LAPJVsp (Jonker & Volgenant 1987).

The weights are inner products of the vectors as given. The authors give them unit length and then subtract
the mean, so that words without much of a direction of their own weigh little; vectors of very unequal length
would make the long ones everybody's match, so use a preprocessing that sets lengths.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from compute.embeddings.mappings import Mapping, MappingMethod, Seeds
from compute.embeddings.mappings.proc import rotation
from compute.embeddings.vectors import Vectors

if TYPE_CHECKING:
    import torch

THRESHOLD = 1e-4
"""Least rise of the weight, as a mean over source words, that keeps EM going. The candidates move with W, so
that the weight may also fall a little: below this it wanders rather than converges."""


class LatentVariableMatching(MappingMethod):
    """Maps the source side by a rotation or reflection; the target side stays."""

    candidates: int = Field(default=3, ge=1, le=100, description="target words a source word may be matched with")
    vocabulary: int = Field(default=40_000, ge=2, description="most frequent words of each side that are matched")

    def fit(self, source: Vectors, target: Vectors, seeds: Seeds, device: str = "cpu", seed: int = 0) -> Mapping:
        """W [d, d], first from the seed rows [m, 2], then from matchings; nothing is drawn.

        Raises:
            ValueError: no seeds, or vectors of two dimensions.
        """
        import torch

        from compute.embeddings.mappings.pairs import as_map, check_same_dimension, seed_vectors
        from compute.embeddings.neighbours import top_k

        check_same_dimension(source, target)
        w = rotation(*seed_vectors(source, target, seeds, device))
        x, y = (torch.tensor(side.matrix[: self.vocabulary], device=device) for side in (source, target))
        highest = -np.inf
        while True:
            weights, columns = top_k(x @ w.float(), y, self.candidates)
            rows, matched, total = _matching(weights, columns, len(y))
            if total / len(x) - highest < THRESHOLD or len(rows) == 0:
                return Mapping(source_map=as_map(w))
            highest = total / len(x)
            w = rotation(*seed_vectors(source, target, np.stack([rows, matched], axis=1), device))


def _matching(
    weights: torch.Tensor, columns: torch.Tensor, n_columns: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], float]:
    """Return the matching of maximum weight of rows with `columns` [n, c], whose `weights` [n, c] are given, each
    row and column at most once: matched rows, their columns, and the weight of all."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import min_weight_full_bipartite_matching

    n, candidates = weights.shape
    # A column of its own for each row, at weight 0, is what "unmatched" means: so a full matching exists.
    # The solver takes a cost of 0 for a missing edge, so all costs are made positive.
    gains = np.zeros((n, candidates + 1))
    gains[:, :candidates] = weights.double().cpu().numpy()
    costs = 1.0 + gains.max() - gains
    ends = np.column_stack([columns.cpu().numpy(), n_columns + np.arange(n)])
    starts = np.arange(0, costs.size + 1, candidates + 1)
    graph = csr_array((costs.ravel(), ends.ravel(), starts), shape=(n, n_columns + n))
    rows, chosen = min_weight_full_bipartite_matching(graph)
    matched = chosen < n_columns
    weight = gains[rows][ends[rows] == chosen[:, None]].sum()
    return rows[matched].astype(np.int64), chosen[matched].astype(np.int64), float(weight)
