"""RCSLS: relaxed cross-domain similarity local scaling as the training loss (Joulin, Bojanowski, Mikolov,
Jégou & Grave, EMNLP 2018, equation 7).

Over the training pairs (x_i, y_i), i = 1 ... n, all of unit length, and a W [d, d] that need not be
orthogonal:

    f(W) = 1/n Σ_i [ -2 x_i W · y_i + 1/k Σ_{y in N_Y(x_i W)} x_i W · y + 1/k Σ_{x in N_X(y_i)} x W · y_i ]

N_Y(x_i W): the k target words with the largest inner product with x_i W; N_X(y_i): the k source words whose
mapped vectors have the largest with y_i; both among the whole vocabularies. W starts at Procrustes and takes
full-batch gradient steps, the neighbours held fixed in the gradient. A step that raises the loss is undone
and tried again at half its length. (The authors' align.py halves the length and keeps the bad W.) What is
returned has the lowest loss seen.

The spectral constraint (section 3 there) clips the singular values of W at 1 after every step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from compute.embeddings.mappings import Mapping, MappingMethod, Seeds
from compute.embeddings.mappings.proc import rotation
from compute.embeddings.vectors import Vectors

if TYPE_CHECKING:
    import torch

SHORTEST_STEP = 1e-4
"""A step halved to below this ends the search, as in align.py."""


class RelaxedCsls(MappingMethod):
    """Maps the source side by a matrix; the target side stays."""

    neighbours: int = Field(default=10, ge=1, le=1_000, description="k, the size of the neighbourhoods")
    step: float = Field(default=1.0, gt=0.0, description="length of the first gradient step")
    iterations: int = Field(default=10, ge=1, le=10_000, description="most gradient steps, undone ones among them")
    spectral: bool = Field(default=False, description="keep the singular values of W at most 1")

    def fit(self, source: Vectors, target: Vectors, seeds: Seeds, device: str = "cpu", seed: int = 0) -> Mapping:
        """W [d, d] from the seed rows [m, 2]; nothing is drawn. Vectors are brought to unit length first,
        whatever the preprocessing; W serves the given ones, since their lengths change no cosine.

        Raises:
            ValueError: no seeds, or vectors of two dimensions.
        """
        import torch

        from compute.embeddings.mappings.pairs import as_map, check_same_dimension, check_seeds
        from compute.embeddings.neighbours import unit_tensor

        check_same_dimension(source, target)
        check_seeds(seeds)
        x, y = unit_tensor(source.matrix, device), unit_tensor(target.matrix, device)
        pairs = torch.from_numpy(seeds).to(device)
        w = rotation(x[pairs[:, 0]], y[pairs[:, 1]])
        step = self.step
        loss, gradient = _loss(x, y, pairs, w, self.neighbours)
        for _ in range(self.iterations):
            tried = w - step * gradient
            if self.spectral:
                tried = _clipped(tried)
            tried_loss, tried_gradient = _loss(x, y, pairs, tried, self.neighbours)
            if tried_loss < loss:
                w, loss, gradient = tried, tried_loss, tried_gradient
                continue
            step /= 2
            if step < SHORTEST_STEP:
                break
        return Mapping(source_map=as_map(w))


def _loss(x: torch.Tensor, y: torch.Tensor, pairs: torch.Tensor, w: torch.Tensor, k: int) -> tuple[float, torch.Tensor]:
    """f(W) and its gradient, float64 [d, d], for unit rows x [n, d] and y [m, d]."""
    from compute.embeddings.neighbours import top_k

    mapped = x @ w.float()
    x_d, y_d = x[pairs[:, 0]], y[pairs[:, 1]]
    mapped_d = mapped[pairs[:, 0]]
    near_mapped, near_y = top_k(mapped_d, y, k)
    near_target, near_x = top_k(y_d, mapped, k)
    loss = (near_mapped.mean(1) + near_target.mean(1)).double() - 2 * (mapped_d * y_d).sum(1).double()
    gradient = x_d.T @ (y[near_y].mean(1) - 2 * y_d) + x[near_x].mean(1).T @ y_d
    return loss.mean().item(), gradient.double() / len(pairs)


def _clipped(w: torch.Tensor) -> torch.Tensor:
    """Return the matrix nearest to `w` [d, d] whose singular values are at most 1."""
    import torch

    u, singular, vt = torch.linalg.svd(w)
    return (u * singular.clamp(max=1)) @ vt
