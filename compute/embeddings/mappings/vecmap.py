"""VecMap: symmetric mapping with re-weighting, learnt from a dictionary, or from none by self-learning.

Artetxe, Labaka and Agirre, "A robust self-learning method for fully unsupervised cross-lingual mappings of
word embeddings", ACL 2018 (the self-learning), and "Generalizing and improving bilingual word embedding
mappings with a multi-step framework of linear transformations", AAAI 2018 (the mapping). Three methods:

* `VecMapSupervised` solves the mapping once from the training pairs.
* `VecMapSemiSupervised` starts from the training pairs and learns more by itself.
* `VecMap` needs no pairs: it starts from words whose similarities to all others are alike.

The mapping, from paired rows X_D, Z_D [m, d] (X = source [n, d], Z = target):
  whiten     A = (X_DᵀX_D)^(-1/2), B = (Z_DᵀZ_D)^(-1/2)
  rotate     U S Vᵀ = (X_D A)ᵀ (Z_D B)
  re-weight  by S^r on both sides, r = 0.5
  de-whiten  X A U S^r (Uᵀ A⁻¹ U) and Z B V S^r (Vᵀ B⁻¹ V)
Directions in which the training rows of a side have no extent (fewer pairs than dimensions) are dropped: A
and A⁻¹ are pseudo-inverses of each other.

Self-learning, over the `vocabulary_cutoff` most frequent words of each side: solve orthogonal Procrustes from
the current dictionary; induce a new one in both directions by CSLS, each candidate dropped with probability
1 - p; repeat. The objective is the mean cosine of each word with its nearest one. Whenever it has not risen
by `threshold` for `patience` iterations p grows by `keep_growth`, from `initial_keep` up to 1; when p is 1
and it does not rise any more, the mapping above is solved from the last dictionary.

The start without pairs (section 3.2 of the ACL paper), over the `initial_vocabulary` most frequent words: with
M = (X Xᵀ)^(1/2), the sorted row of a word is the distribution of its similarities, which a translation should
share. Sorted rows are made unit-centre-unit, and matched by CSLS in both directions.

Preprocessing: VecMap's own is `unit-centre-unit`, and its published results rest on it. It is for the study to
declare; nothing is normalized here, since doing it twice would change the vectors again. Similarities are
cosines, which for unit rows are the inner products of the papers. Memory: 4 bytes times the square of the
cut-off, for the similarities.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from compute.embeddings.mappings import Mapping, MappingMethod, Seeds, Supervision, restart_seeds
from compute.embeddings.vectors import Matrix, Vectors

if TYPE_CHECKING:
    import torch

    from compute.embeddings.mappings.vecmap_induction import Induced

_NO_EXTENT = 1e-10
"""Eigenvalues of X_DᵀX_D below this share of the largest count as zero."""


class VecMapSupervised(MappingMethod):
    """The symmetric mapping from the training pairs; both sides are mapped."""

    reweight: float = Field(default=0.5, ge=0, le=1, description="r, the power of the cross-correlations on each side")

    def fit(self, source: Vectors, target: Vectors, seeds: Seeds, device: str = "cpu", seed: int = 0) -> Mapping:
        """Maps of both sides, [d, d] each, from the seed rows [m, 2]; nothing is drawn.

        Raises:
            ValueError: no seeds, or vectors of two dimensions.
        """
        from compute.embeddings.mappings.pairs import check_same_dimension, check_seeds

        check_same_dimension(source, target)
        check_seeds(seeds)
        return symmetric_map(source.matrix[seeds[:, 0]], target.matrix[seeds[:, 1]], self.reweight)


class VecMapSemiSupervised(VecMapSupervised):
    """Self-learning that starts from the training pairs; both sides are mapped."""

    supervision: ClassVar[Supervision] = "semi-supervised"
    draws: ClassVar[bool] = True

    vocabulary_cutoff: int = Field(
        default=20_000, ge=2, le=50_000, description="most frequent words of each side that take part in self-learning"
    )
    csls_neighbours: int = Field(default=10, ge=1, description="k of CSLS")
    initial_keep: float = Field(default=0.1, gt=0, le=1, description="probability at first that a candidate is kept")
    keep_growth: float = Field(default=2.0, gt=1, description="factor by which that probability grows")
    patience: int = Field(default=50, ge=1, description="iterations without a better objective before it grows")
    threshold: float = Field(default=1e-6, gt=0, description="the least rise of the objective that counts")

    def fit(self, source: Vectors, target: Vectors, seeds: Seeds, device: str = "cpu", seed: int = 0) -> Mapping:
        """Maps of both sides, [d, d] each.

        Raises:
            ValueError: no seeds, or vectors of two dimensions.
        """
        from compute.embeddings.mappings.pairs import check_same_dimension, check_seeds

        check_same_dimension(source, target)
        check_seeds(seeds)
        pairs, _ = self._learnt(source, target, seeds, device, seed)
        return symmetric_map(source.matrix[pairs[:, 0]], target.matrix[pairs[:, 1]], self.reweight)

    def _learnt(self, source: Vectors, target: Vectors, seeds: Seeds, device: str, seed: int) -> tuple[Seeds, float]:
        """Return the last dictionary of the self-learning, and the highest objective."""
        best = -float("inf")
        for induced in self.iterations(source, target, seeds, device, seed):
            best = max(best, induced.objective)
        return induced.pairs.cpu().numpy(), best

    def iterations(self, source: Vectors, target: Vectors, seeds: Seeds, device: str, seed: int) -> Iterator[Induced]:
        """Yield the dictionaries of the self-learning, one after the other, until it has converged."""
        import torch

        from compute.embeddings.mappings.vecmap_induction import StochasticInduction

        x, z = (torch.tensor(side.matrix[: self.vocabulary_cutoff], device=device) for side in (source, target))
        x_unit, z_unit = (torch.nn.functional.normalize(rows, dim=1) for rows in (x, z))
        induce = StochasticInduction(len(x), len(z), self.csls_neighbours, device, seed)
        cross = torch.tensor(source.matrix[seeds[:, 0]].T @ target.matrix[seeds[:, 1]], device=device)
        keep, best = self.initial_keep, -float("inf")
        iteration = improved = 0
        previous: torch.Tensor | None = None
        while True:
            iteration += 1
            if iteration - improved > self.patience:
                if keep >= 1:
                    return
                keep, improved = min(1.0, self.keep_growth * keep), iteration
            induced = induce(x_unit @ _rotation(cross), z_unit, keep)
            yield induced
            if induced.objective - best >= self.threshold:
                best, improved = induced.objective, iteration
            # With nothing dropped, the same dictionary again would be the same for ever.
            if keep >= 1 and previous is not None and torch.equal(previous, induced.pairs):
                return
            previous = induced.pairs
            cross = x[previous[:, 0]].T @ z[previous[:, 1]]


class VecMap(VecMapSemiSupervised):
    """Self-learning without training pairs; both sides are mapped."""

    supervision: ClassVar[Supervision] = "unsupervised"

    initial_vocabulary: int = Field(
        default=4_000, ge=2, le=50_000, description="most frequent words of each side in the first dictionary"
    )
    restarts: int = Field(
        default=1, ge=1, description="runs, with seeds that no other seed has; the highest objective is kept"
    )

    def fit(self, source: Vectors, target: Vectors, seeds: Seeds, device: str = "cpu", seed: int = 0) -> Mapping:
        """Maps of both sides, [d, d] each; `seeds` are not used.

        Raises:
            ValueError: vectors of two dimensions.
        """
        from compute.embeddings.mappings.pairs import check_same_dimension

        check_same_dimension(source, target)
        first = initial_pairs(source, target, self.initial_vocabulary, self.csls_neighbours, device)
        seeds_of_runs = restart_seeds(seed, self.restarts)
        runs = [self._learnt(source, target, first, device, own_seed) for own_seed in seeds_of_runs]
        pairs, _ = max(runs, key=lambda run: run[1])
        return symmetric_map(source.matrix[pairs[:, 0]], target.matrix[pairs[:, 1]], self.reweight)


def symmetric_map(x: Matrix, z: Matrix, reweight: float) -> Mapping:
    """Return the mapping of the module's docstring from paired rows `x` and `z` [m, d], in float64 inside."""
    x64, z64 = x.astype(np.float64), z.astype(np.float64)
    (whiten_x, colour_x), (whiten_z, colour_z) = _whitening(x64), _whitening(z64)
    u, s, vt = np.linalg.svd(whiten_x @ (x64.T @ z64) @ whiten_z)
    source_map, target_map = (
        np.asarray(whiten @ (side * s**reweight) @ side.T @ colour @ side, dtype=np.float32)
        for whiten, colour, side in ((whiten_x, colour_x, u), (whiten_z, colour_z, vt.T))
    )
    return Mapping(source_map=source_map, target_map=target_map)


def _whitening(rows: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(rowsᵀrows)^(-1/2) and (rowsᵀrows)^(1/2), both without the directions of no extent."""
    squares, directions = np.linalg.eigh(rows.T @ rows)
    extended = squares > _NO_EXTENT * squares[-1]
    roots = np.sqrt(np.where(extended, squares, 1))
    return (directions * (extended / roots)) @ directions.T, (directions * (extended * roots)) @ directions.T


def initial_pairs(source: Vectors, target: Vectors, size: int, neighbours: int, device: str) -> Seeds:
    """Return the first dictionary, [2 k, 2] with k = min(size, n, m): each word's match, in both directions."""
    from compute.embeddings.mappings.vecmap_induction import StochasticInduction

    k = min(size, len(source), len(target))
    x, z = (_sorted_similarities(side.matrix[:k], device) for side in (source, target))
    # Nothing is dropped, so nothing is drawn either.
    return StochasticInduction(k, k, neighbours, device, seed=0)(x, z, keep=1).pairs.cpu().numpy()


def _sorted_similarities(matrix: Matrix, device: str) -> torch.Tensor:
    """Return rows of (X Xᵀ)^(1/2) = X (XᵀX)^(-1/2) Xᵀ [k, k], each sorted, then unit-centre-unit."""
    import torch
    from torch.nn.functional import normalize

    whiten, _ = _whitening(matrix.astype(np.float64))
    rows = torch.tensor(matrix, device=device)
    similarities = rows @ torch.tensor(whiten, dtype=torch.float32, device=device) @ rows.T
    similarities = normalize(similarities.sort(dim=1).values, dim=1)
    similarities -= similarities.mean(0)
    return normalize(similarities, dim=1)


def _rotation(cross: torch.Tensor) -> torch.Tensor:
    """Return the orthogonal W [d, d] with the largest trace of Wᵀ cross, for cross = XᵀZ. On the CPU: so small a
    matrix is decomposed faster there than on a GPU."""
    import torch

    u, _, vt = torch.linalg.svd(cross.cpu().double())
    return (u @ vt).to(device=cross.device, dtype=torch.float32)
