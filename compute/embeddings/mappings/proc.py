"""PROC: orthogonal Procrustes (Schönemann 1966; for word vectors Xing et al. 2015, Artetxe et al. 2016).

Of all orthogonal W, the one that minimises ||X_D W - Y_D||_F over the training pairs D: W = U Vᵀ where
X_Dᵀ Y_D = U S Vᵀ. Nothing is normalised here; preprocessing is declared once for all methods.
"""

from __future__ import annotations

import numpy as np

from compute.embeddings.mappings import Mapping, MappingMethod, Seeds
from compute.embeddings.vectors import Matrix, Vectors


class Procrustes(MappingMethod):
    """Maps the source side by a rotation or reflection; the target side stays. There is nothing to set."""

    def fit(self, source: Vectors, target: Vectors, seeds: Seeds, device: str = "cpu", seed: int = 0) -> Mapping:
        """W [d, d] from the seed rows [m, 2].

        Raises:
            ValueError: no seeds, or vectors of two dimensions.
        """
        if source.dimension != target.dimension:
            raise ValueError(
                f"an orthogonal map needs one dimension, not {source.dimension} (source) "
                f"and {target.dimension} (target)"
            )
        if len(seeds) == 0:
            raise ValueError("Procrustes learns from training pairs, and there is none")
        return Mapping(source_map=rotation(source.matrix[seeds[:, 0]], target.matrix[seeds[:, 1]]))


def rotation(x: Matrix, y: Matrix) -> Matrix:
    """The orthogonal float32 [d, d] W with least ||x W - y||_F, for paired rows x and y [m, d]; in float64
    inside."""
    u, _, vt = np.linalg.svd(x.T.astype(np.float64) @ y.astype(np.float64))
    return np.asarray(u @ vt, dtype=np.float32)
