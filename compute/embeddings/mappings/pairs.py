"""What the methods learn from, as tensors: the vectors of the training pairs, and the learnt map back."""

from __future__ import annotations

import numpy as np
import torch

from compute.embeddings.mappings import Seeds
from compute.embeddings.vectors import Matrix, Vectors


def check_same_dimension(source: Vectors, target: Vectors) -> None:
    """Raises ValueError where the two sides differ in dimension, as only those of CCA may."""
    if source.dimension != target.dimension:
        raise ValueError(
            f"both sides need the same dimension, not {source.dimension} (source) and {target.dimension} (target)"
        )


def check_seeds(seeds: Seeds) -> None:
    """Raises ValueError where there is no training pair to learn from."""
    if len(seeds) == 0:
        raise ValueError("the method learns from training pairs, and there is none")


def seed_vectors(source: Vectors, target: Vectors, seeds: Seeds, device: str) -> tuple[torch.Tensor, torch.Tensor]:
    """X_D and Y_D, float32 [m, d] each: the vectors of the training pairs, on `device`.

    Raises:
        ValueError: no pair.
    """
    check_seeds(seeds)
    return (
        torch.from_numpy(source.matrix[seeds[:, 0]]).to(device),
        torch.from_numpy(target.matrix[seeds[:, 1]]).to(device),
    )


def as_map(weights: torch.Tensor) -> Matrix:
    """Return a learnt tensor [d, d'] as what `Mapping` holds: float32, in host memory."""
    return np.ascontiguousarray(weights.to(device="cpu", dtype=torch.float32).numpy())
