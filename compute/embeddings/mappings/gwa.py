"""GWA: words matched by Gromov–Wasserstein optimal transport, then Procrustes (Alvarez-Melis & Jaakkola, "Gromov–
Wasserstein Alignment of Word Embedding Spaces", EMNLP 2018).

With the cosine distances within each language, C [n, n] among source words and C' [n', n'] among target words,
each divided by its mean, a coupling T [n, n'] with uniform marginals is sought that minimises (equation 5)

    Σ_ijkl ½ (C_ik - C'_jl)² T_ij T_kl - ε H(T),   H(T) = -Σ_ij T_ij (log T_ij - 1)

by projected mirror descent, first from T = p qᵀ: each iteration is an entropic transport problem, solved by Sinkhorn's
algorithm (Peyré, Cuturi & Solomon 2016), here by the POT library in float64. Word i and word j that hold each
other's largest share of T are anchors; W = U Vᵀ with X_Aᵀ Z_A = U S Vᵀ over the anchors A (Procrustes) maps all
words. Memory and time grow with the square and the cube of `words`.

The descent at once to a small ε may end in a coupling that is no translation at all: on the Italian and French Bible,
2,000 words, unit-centre-unit, where MAP by cosine is .06. So it begins at `first_epsilon`, and ε is halved down to
`epsilon`, each time from the coupling found before: there that ends at a lower objective, and MAP is .42. A
`first_epsilon` not above `epsilon` is the authors' course, for which `iterations` should be 60 or more.

Where ε is so small that e^(-cost/ε) leaves the range of float64, as words that are told apart very clearly may
cause, the halving ends before it; where the first is, it begins with twice as much.

The course is determined by the vectors: nothing is drawn, so there is nothing to restart. The authors' own
preprocessing is to centre and then set lengths to 1, which is for the study to declare; vectors are used as given.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from compute.embeddings.mappings import Mapping, MappingMethod, Seeds, Supervision
from compute.embeddings.mappings.proc import rotation
from compute.embeddings.vectors import Vectors

if TYPE_CHECKING:
    import torch

_MOST_ENTROPY = 10.0
"""Above this T would be close to p qᵀ, whatever the distances."""


class GromovWasserstein(MappingMethod):
    """Maps the source side by a rotation or reflection; the target side stays."""

    supervision: ClassVar[Supervision] = "unsupervised"

    words: int = Field(default=2_000, ge=2, le=50_000, description="most frequent words of each side that are matched")
    epsilon: float = Field(default=5e-4, gt=0, description="ε, the weight of the entropy")
    first_epsilon: float = Field(default=4e-3, gt=0, description="ε at first, which is halved down to `epsilon`")
    iterations: int = Field(default=20, ge=1, description="most iterations of the descent at each ε")
    sinkhorn_iterations: int = Field(default=200, ge=1, description="most iterations of Sinkhorn's algorithm in each")
    tolerance: float = Field(default=1e-8, gt=0, description="change of T (Frobenius norm) that ends a descent")

    def fit(self, source: Vectors, target: Vectors, seeds: Seeds, device: str = "cpu", seed: int = 0) -> Mapping:
        """W [d, d]; `seeds` and `seed` are not used.

        Raises:
            ValueError: vectors of two dimensions, or the words of a side do not differ.
        """
        import torch
        from torch.nn.functional import normalize

        from compute.embeddings.mappings.pairs import as_map, check_same_dimension

        check_same_dimension(source, target)
        x, z = (
            torch.tensor(side.matrix[: self.words], dtype=torch.float64, device=device) for side in (source, target)
        )
        distances = []
        for rows in (x, z):
            unit = normalize(rows, dim=1)
            distance = 1 - unit @ unit.T
            distances.append(distance / distance.mean())
        coupling = self._coupling(*distances)
        to_z, to_x = coupling.argmax(1), coupling.argmax(0)
        anchors = (to_x[to_z] == torch.arange(len(x), device=device)).nonzero()[:, 0]
        return Mapping(source_map=as_map(rotation(x[anchors], z[to_z[anchors]])))

    def _coupling(self, source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """T [n, n'] for distances [n, n] and [n', n']."""
        epsilon = max(self.first_epsilon, self.epsilon)
        coupling: torch.Tensor | None = None
        while epsilon <= _MOST_ENTROPY:
            found = self._descended(source, target, epsilon, coupling)
            if found is None and coupling is not None:
                return coupling
            if found is None:
                epsilon *= 2
                continue
            if epsilon <= self.epsilon:
                return found
            epsilon, coupling = max(epsilon / 2, self.epsilon), found
        raise ValueError("no coupling was found: do the words of each side differ in direction?")

    def _descended(
        self, source: torch.Tensor, target: torch.Tensor, epsilon: float, start: torch.Tensor | None
    ) -> torch.Tensor | None:
        """T [n, n'] after the descent at `epsilon` from `start`, or from p qᵀ; None beyond the range of float64."""
        import ot
        import torch

        with warnings.catch_warnings():
            # Sinkhorn's steps need not converge before the last: the descent goes on from where they are.
            for message in (".*did not converge", ".*failed to produce"):
                warnings.filterwarnings("ignore", message=message, category=UserWarning)
            warnings.filterwarnings("error", message=".*numerical errors", category=UserWarning)
            try:
                coupling = ot.gromov.entropic_gromov_wasserstein(
                    source,
                    target,
                    loss_fun="square_loss",
                    epsilon=2 * epsilon,  # POT's loss is (a - b)², without the half
                    symmetric=True,
                    G0=start,
                    max_iter=self.iterations,
                    tol=self.tolerance,
                    numItermax=self.sinkhorn_iterations,
                )
            except UserWarning:
                return None
        return coupling if torch.isfinite(coupling).all() else None
