"""A mapping method: only the means of the two sides are brought together."""

from __future__ import annotations

import numpy as np

from compute.embeddings.mappings import Mapping, MappingMethod, Seeds
from compute.embeddings.vectors import Vectors


class MeanShift(MappingMethod):
    """Its fields are the settings. Raise `version` when the same settings would give other numbers."""

    version = "2"

    weight: float = 1.0

    def fit(self, source: Vectors, target: Vectors, seeds: Seeds, device: str = "cpu", seed: int = 0) -> Mapping:
        one, other = source.matrix[seeds[:, 0]].mean(axis=0), target.matrix[seeds[:, 1]].mean(axis=0)
        return Mapping(
            source_map=None,
            source_mean=np.asarray(self.weight * (one - other), dtype=np.float32),
        )
