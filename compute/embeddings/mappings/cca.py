"""CCA: canonical correlation analysis (Hotelling 1936; for word vectors Faruqui & Dyer 2014), and the
projection that the code of Glavaš et al. (2019) calls so.

Over the training pairs, X_D [m, d_s] and Y_D [m, d_t], with C_xx = X_Dᵀ X_D / m and so on:

    C_xx^(-1/2) C_xy C_yy^(-1/2) = U S Vᵀ,    W_x = C_xx^(-1/2) U,    W_y = C_yy^(-1/2) V

so that the mapped training vectors of each side have the identity as covariance (they are whitened) and S as
covariance with the other side. d' = min(d_s, d_t) columns: the two dimensions may differ. The covariances
are about the origin, as the paper's code has them, unless `centred`.

The paper's code stops at U and V: it rotates both sides and never whitens them. That is another method, with
other (mostly better) ranks, and has a name of its own: `cca_projection`. All is solved in float64.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from compute.embeddings.mappings import Mapping, MappingMethod, Seeds
from compute.embeddings.vectors import Vectors

if TYPE_CHECKING:
    import torch


class CanonicalCorrelation(MappingMethod):
    """Maps both sides onto their canonical variates, by W_x [d_s, d'] and W_y [d_t, d']."""

    ridge: float = Field(
        default=0.0,
        ge=0.0,
        description="added to the diagonals of C_xx and C_yy, as a multiple of their mean: for few training pairs",
    )
    centred: bool = Field(
        default=False,
        description="subtract from every vector of a side the mean of that side's training vectors",
    )

    def fit(self, source: Vectors, target: Vectors, seeds: Seeds, device: str = "cpu", seed: int = 0) -> Mapping:
        """W_x and W_y (and with `centred` the means) from the seed rows [m, 2]; nothing is drawn.

        Raises:
            ValueError: a covariance that cannot be inverted: too few or too similar training pairs for the
                dimension, and no ridge.
        """
        from compute.embeddings.mappings.pairs import as_map, seed_vectors

        x, y = (side.double() for side in seed_vectors(source, target, seeds, device))
        x_mean, y_mean = x.mean(0), y.mean(0)
        if self.centred:
            x, y = x - x_mean, y - y_mean
        whiten_x, u, whiten_y, v = _solve(x, y, self.ridge)
        return Mapping(
            source_map=as_map(whiten_x @ u),
            target_map=as_map(whiten_y @ v),
            source_mean=as_map(x_mean) if self.centred else None,
            target_mean=as_map(y_mean) if self.centred else None,
        )


class CanonicalProjection(MappingMethod):
    """Maps both sides by U [d_s, d'] and V [d_t, d'] alone, without whitening: what the code of Glavaš et al.
    (2019) does under the name CCA."""

    ridge: float = Field(
        default=0.0,
        ge=0.0,
        description="added to the diagonals of C_xx and C_yy, as a multiple of their mean: for few training pairs",
    )

    def fit(self, source: Vectors, target: Vectors, seeds: Seeds, device: str = "cpu", seed: int = 0) -> Mapping:
        """U and V from the seed rows [m, 2]; nothing is drawn.

        Raises:
            ValueError: as for `CanonicalCorrelation.fit`.
        """
        from compute.embeddings.mappings.pairs import as_map, seed_vectors

        x, y = (side.double() for side in seed_vectors(source, target, seeds, device))
        _, u, _, v = _solve(x, y, self.ridge)
        return Mapping(source_map=as_map(u), target_map=as_map(v))


def _solve(
    x: torch.Tensor, y: torch.Tensor, ridge: float
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """C_xx^(-1/2), U, C_yy^(-1/2) and V for paired float64 rows x [m, d_s] and y [m, d_t]."""
    import torch

    whiten_x, whiten_y = _inverse_root(x, ridge, "source"), _inverse_root(y, ridge, "target")
    u, _, vt = torch.linalg.svd(whiten_x @ (x.T @ y / len(x)) @ whiten_y, full_matrices=False)
    return whiten_x, u, whiten_y, vt.T


def _inverse_root(rows: torch.Tensor, ridge: float, side: str) -> torch.Tensor:
    """(RᵀR / m + κI)^(-1/2), symmetric [d, d], of float64 rows R [m, d]; κ is `ridge` times the mean of the
    diagonal."""
    import torch

    m, d = rows.shape
    covariance = rows.T @ rows / m
    covariance.diagonal().add_(ridge * covariance.diagonal().mean())
    eigenvalues, vectors = torch.linalg.eigh(covariance)
    if eigenvalues[0] <= d * torch.finfo(eigenvalues.dtype).eps * eigenvalues[-1]:
        raise ValueError(
            f"CCA cannot whiten the {side} side: the vectors of {m} training pairs do not span its {d} dimensions; "
            "give more pairs, or set a ridge such as 0.01"
        )
    return (vectors / eigenvalues.sqrt()) @ vectors.T
