"""PROC-B: Procrustes with a bootstrapped dictionary (Glavaš et al. 2019, section 3.1; their appendix says
one round and 10,000 pairs).

W is solved on the training pairs D and the reverse map on D turned round; each word of either side then
chooses its nearest in the other by cosine, over both whole vocabularies. The pairs that chose each other,
most frequent first (by the sum of the two ranks), are appended to D up to 10,000 pairs, and W is solved once
more. With an orthogonal W the reverse map is Wᵀ and cos(x W, y) = cos(x, y Wᵀ): one space serves both choices.
Only the frequent end of the vocabularies chooses, as far as the dictionary asks for it, but among all words of
the other side; products are made in blocks, and nothing of the size of vocabulary times vocabulary is held.

The paper's code counts the rows of D before it drops those without a vector; here D is what has vectors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from compute.embeddings.mappings import Mapping, MappingMethod, Seeds
from compute.embeddings.mappings.proc import rotation
from compute.embeddings.vectors import Vectors

if TYPE_CHECKING:
    import torch


_WORTH_IT = 0.5
"""Share of the whole product from which on it is made at once."""


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
        from compute.embeddings.neighbours import unit_tensor

        check_same_dimension(source, target)
        w = rotation(*seed_vectors(source, target, seeds, device))
        x, y = unit_tensor(source.matrix, device), unit_tensor(target.matrix, device)
        given = torch.from_numpy(seeds).to(device)
        dictionary = given
        for _ in range(self.rounds):
            mutual = frequent_mutual(x @ w.float(), y, max(0, self.limit - len(given)))
            previous, dictionary = dictionary, torch.cat([given, mutual])
            if torch.equal(previous, dictionary):
                break
            w = rotation(*seed_vectors(source, target, dictionary.cpu().numpy(), device))
        return Mapping(source_map=as_map(w))


def frequent_mutual(x: torch.Tensor, y: torch.Tensor, limit: int) -> torch.Tensor:
    """int64 [p, 2], p <= limit: of the pairs (i, j) whose rows of `x` [n, d] and `y` [m, d] are each other's nearest by
    inner product those with the least i + j, the least first; of equal sums the lower i first.

    A pair with i + j < 2 b has i < b or j < b. So the first b rows of either side look for their nearest, and besides
    them only the rows beyond that were found; b grows until there are enough pairs below 2 b.
    """
    import torch

    from compute.embeddings.neighbours import mutual_nearest, top_k

    def nearest(queries: torch.Tensor, keys: torch.Tensor) -> torch.Tensor:
        return top_k(queries, keys, 1)[1][:, 0]

    def chosen_back(here: torch.Tensor, there: torch.Tensor, far: torch.Tensor, keys: torch.Tensor) -> torch.Tensor:
        """Of the first rows that chose `here` those that `here` chooses: known of the first rows, looked for beyond."""
        beyond = here >= len(there)
        back = there[torch.where(beyond, 0, here)]
        back[beyond] = nearest(far[here[beyond]], keys)
        return back

    n, m, first = len(x), len(y), max(1, limit)
    to_y, to_x = (torch.empty(0, dtype=torch.int64, device=x.device) for _ in range(2))
    while first * (n + m) < _WORTH_IT * n * m:
        to_y = torch.cat([to_y, nearest(x[len(to_y) : first], y)])
        to_x = torch.cat([to_x, nearest(y[len(to_x) : first], x)])
        rows = torch.arange(first, device=x.device)
        forth = torch.stack([rows, to_y], dim=1)[rows + to_y < 2 * first]
        forth = forth[chosen_back(forth[:, 1], to_x, y, x) == forth[:, 0]]
        # What the first rows of y found among the first of x is there already.
        back = torch.stack([to_x, rows], dim=1)[(to_x >= first) & (rows + to_x < 2 * first)]
        back = back[chosen_back(back[:, 0], to_y, x, y) == back[:, 1]]
        found = torch.cat([forth, back])
        if len(found) >= limit:
            return _by_frequency(found, n)[:limit]
        # As many as there were grow with b where frequent words translate frequent ones, with its square at worst.
        growth = 1.1 * (limit / max(1, len(found))) ** 0.7
        first = int(first * min(4, max(1.25, growth))) + 1
    return _by_frequency(mutual_nearest(x, y), n)[:limit]


def _by_frequency(pairs: torch.Tensor, n: int) -> torch.Tensor:
    return pairs[(pairs.sum(1) * n + pairs[:, 0]).argsort()]
