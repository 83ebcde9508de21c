"""PROC: orthogonal Procrustes (Schönemann 1966; for word vectors Xing et al. 2015, Artetxe et al. 2016).

Of all orthogonal W, the one that minimises ||X_D W - Y_D||_F over the training pairs D: W = U Vᵀ where
X_Dᵀ Y_D = U S Vᵀ. Nothing is normalized here; preprocessing is declared once for all methods.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from compute.embeddings.mappings import Mapping, MappingMethod, Seeds
from compute.embeddings.vectors import Vectors

if TYPE_CHECKING:
    import torch


class Procrustes(MappingMethod):
    """Maps the source side by a rotation or reflection; the target side stays. There is nothing to set."""

    def fit(self, source: Vectors, target: Vectors, seeds: Seeds, device: str = "cpu", seed: int = 0) -> Mapping:
        """W [d, d] from the seed rows [m, 2]; nothing is drawn.

        Raises:
            ValueError: no seeds, or vectors of two dimensions.
        """
        from compute.embeddings.mappings.pairs import as_map, check_same_dimension, seed_vectors

        check_same_dimension(source, target)
        return Mapping(source_map=as_map(rotation(*seed_vectors(source, target, seeds, device))))


def rotation(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return the orthogonal float64 [d, d] W with least ||x W - y||_F, for paired rows x and y [m, d] of any
    floating type, on their device."""
    import torch

    u, _, vt = torch.linalg.svd(x.double().T @ y.double())
    return u @ vt
