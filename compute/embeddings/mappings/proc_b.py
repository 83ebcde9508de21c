"""PROC-B: Procrustes with a bootstrapped dictionary (Glavaš et al. 2019, section 3.1; their appendix says
one round and 10,000 pairs).

W is solved on the training pairs D and the reverse map on D turned round; each word of either side then
chooses its nearest in the other by cosine, over both whole vocabularies. The pairs that chose each other,
most frequent first (by the sum of the two ranks), are appended to D up to 10,000 pairs, and W is solved once
more. With an orthogonal W the reverse map is Wᵀ and cos(x W, y) = cos(x, y Wᵀ): one product serves both
choices. It is made in blocks; nothing of the size of vocabulary times vocabulary is held.

The paper's code counts the rows of D before it drops those without a vector; here D is what has vectors.
"""

from __future__ import annotations

from pydantic import Field

from compute.embeddings.mappings import Mapping, MappingMethod, Seeds
from compute.embeddings.mappings.proc import rotation
from compute.embeddings.vectors import Vectors


class BootstrappedProcrustes(MappingMethod):
    """Maps the source side by a rotation or reflection; the target side stays."""

    rounds: int = Field(default=1, ge=1, le=50, description="dictionaries made from mutual nearest neighbours")
    limit: int = Field(default=10_000, ge=1, description="most pairs of a dictionary, the training pairs among them")

    def fit(self, source: Vectors, target: Vectors, seeds: Seeds, device: str = "cpu", seed: int = 0) -> Mapping:
        """W [d, d] from the seed rows [m, 2]; nothing is drawn. Every round starts from the training pairs
        again, and rounds end early when one finds what the last one found.

        Raises:
            ValueError: no seeds, or vectors of two dimensions.
        """
        import torch

        from compute.embeddings.mappings.pairs import as_map, check_same_dimension, seed_vectors
        from compute.embeddings.neighbours import mutual_nearest, unit_tensor

        check_same_dimension(source, target)
        w = rotation(*seed_vectors(source, target, seeds, device))
        x, y = unit_tensor(source.matrix, device), unit_tensor(target.matrix, device)
        given = torch.from_numpy(seeds).to(device)
        dictionary = given
        for _ in range(self.rounds):
            mutual = mutual_nearest(x @ w.float(), y)
            by_frequency = mutual[mutual.sum(1).argsort(stable=True)]
            previous, dictionary = dictionary, torch.cat([given, by_frequency[: max(0, self.limit - len(given))]])
            if torch.equal(previous, dictionary):
                break
            w = rotation(*seed_vectors(source, target, dictionary.cpu().numpy(), device))
        return Mapping(source_map=as_map(w))
