"""ICP: iterative closest points on the principal components, from many random starts (Hoshen & Wolf, "Non-
Adversarial Unsupervised Word Translation", EMNLP 2018).

Source rows X [n, d] and target rows Z [m, d] are mapped onto each other by two matrices, x A and z B [d, d]. An
epoch pairs every x with the z whose z B is nearest to it (Euclidean), and every z with the x whose x A is nearest,
and then takes a pass of mini-batches, with Adam, over (equations 1 to 4)

    ½ |x A - z_x|² + ½ |z B - x_z|² + λ (½ |x A B - x|² + ½ |z B A - z|²)

Three stages:
1. Each of `restarts` runs works on the first `components` principal components of the `words` most frequent words,
   from A = B = I. The sign of a component is arbitrary: the first run turns them all so that their third moments
   are positive, the others draw signs; and mini-batches are drawn. The run whose pairs are nearest, by
   min(mean |x - z_x B|², mean |z - x_z A|²), is kept.
2. The same in all dimensions, on the given vectors, from the pairs of that run and the rotation A = Bᵀ that brings
   the mutual ones nearest (Procrustes).
3. Fine-tuning on the `fine_tuning_words` most frequent words, on mutual nearest pairs only.

For the components, the mean word is subtracted, and all are scaled so that the mean square is 1; otherwise vectors are
used as given. A need not be orthogonal. Defaults are those of the authors' code. There each word is standardised over
its own dimensions before its components are taken about the origin, the signs are drawn by a randomised PCA, and the
second stage starts from A = B = I: with few words, and so few mini-batches an epoch, it would not arrive.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from compute.embeddings.mappings import Mapping, MappingMethod, Seeds, Supervision, restart_seeds
from compute.embeddings.vectors import Vectors


class IterativeClosestPoints(MappingMethod):
    """Maps the source side by a matrix; the target side stays."""

    supervision: ClassVar[Supervision] = "unsupervised"
    draws: ClassVar[bool] = True

    restarts: int = Field(default=100, ge=1, description="runs of the first stage, with seeds that no other seed has")
    words: int = Field(default=5_000, ge=2, description="most frequent words of each side in the first two stages")
    fine_tuning_words: int = Field(default=7_500, ge=2, description="most frequent words of each side in the third")
    components: int = Field(default=25, ge=1, description="principal components in the first stage")
    restart_epochs: int = Field(default=100, ge=1, description="epochs of each run of the first stage")
    training_epochs: int = Field(default=50, ge=1, description="epochs of the second stage")
    fine_tuning_epochs: int = Field(default=50, ge=0, description="epochs of the third stage")
    batch: int = Field(default=128, ge=1, description="pairs of each direction in a mini-batch")
    learning_rate: float = Field(
        default=0.01,
        gt=0,
        description="of Adam, whose moments start anew each epoch; halved every 100 epochs of a stage",
    )
    cycle_weight: float = Field(default=0.01, ge=0, description="λ, the weight of the way there and back")

    def fit(self, source: Vectors, target: Vectors, seeds: Seeds, device: str = "cpu", seed: int = 0) -> Mapping:
        """Return A [d, d]; `seeds` are not used.

        Raises:
            ValueError: vectors of two dimensions, or every run ended with a map that is not finite.
        """
        import torch

        from compute.embeddings.mappings.icp_matching import Descent, Matching, best_start, principal_components
        from compute.embeddings.mappings.pairs import as_map, check_same_dimension
        from compute.embeddings.mappings.proc import rotation

        check_same_dimension(source, target)
        words = max(self.words, self.fine_tuning_words)
        x, z = (torch.tensor(side.matrix[:words], device=device) for side in (source, target))
        descent = Descent(self.batch, self.learning_rate, self.cycle_weight)
        small_x, small_z = (principal_components(side[: self.words], self.components) for side in (x, z))
        start = best_start(small_x, small_z, descent, self.restart_epochs, restart_seeds(seed, self.restarts))
        random = torch.Generator().manual_seed(seed)
        training = Matching(x[: self.words], z[: self.words], descent, random)
        rows = start.pairs.mutual()
        turn = rotation(x[rows], z[start.pairs.of_x[rows]]).float()
        training.forth, training.back = turn, turn.T
        training.train(self.training_epochs, start.pairs)
        fine_tuning = Matching(x[: self.fine_tuning_words], z[: self.fine_tuning_words], descent, random)
        fine_tuning.forth, fine_tuning.back = training.forth, training.back
        fine_tuning.train(self.fine_tuning_epochs, mutual_only=True)
        if not torch.isfinite(fine_tuning.forth).all():
            raise ValueError("ICP ended with a map that is not finite; a lower learning_rate may help")
        return Mapping(source_map=as_map(fine_tuning.forth))
