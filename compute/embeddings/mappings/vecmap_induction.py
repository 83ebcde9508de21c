"""VecMap's stochastic dictionary induction (Artetxe et al. 2018, sections 3.3 and 3.4), without its masks.

Each word of either side takes as translation the word of the other side with the highest CSLS among those
that a draw keeps, each with probability p. Their script draws a mask for every cell of the similarity matrix,
in both directions, and makes the matrix four times. Here it is made once, and no mask is drawn: of the words
in falling order of score, the first that is kept stands at a place J that is geometric, P(J = j) = p (1 - p)^j
whatever the scores are. So a place is drawn for each word and the word at that place is looked up: the
same distribution, for n draws instead of n². (A draw that keeps nothing is not allowed here, so J is taken
modulo the number of words, which is exactly the geometric distribution given that something is kept.)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import torch

from compute.embeddings.neighbours import block_cells


@dataclass(frozen=True)
class Induced:
    """A dictionary of one translation for each word of either side, in both directions."""

    pairs: torch.Tensor
    """int64 [n + m, 2]: source row and target row; the source words' choices first, both in row order."""
    objective: float
    """Mean over the words of both sides (each side weighs a half) of the cosine with the nearest word."""


class StochasticInduction:
    """Induces dictionaries between `n` source and `m` target words; keeps the n × m float32 similarities, the
    only large piece of memory, from one call to the next.

    Args:
        n: source words.
        m: target words.
        neighbours: k of CSLS.
        device: of the vectors.
        seed: of the places drawn, which are drawn on the CPU: the same on every device.
    """

    def __init__(self, n: int, m: int, neighbours: int, device: str, seed: int) -> None:
        self._similarities = torch.empty((n, m), dtype=torch.float32, device=device)
        # Of the largest block of scores besides the matrix itself.
        self._block_cells = block_cells(self._similarities.device)
        # Kept too: fresh memory of this size costs more to get than what is computed in it.
        self._scratch = torch.empty(max(n, m, min(n * m, self._block_cells)), dtype=torch.float32, device=device)
        self._neighbours = neighbours
        self._random = torch.Generator().manual_seed(seed)

    def __call__(self, source: torch.Tensor, target: torch.Tensor, keep: float) -> Induced:
        """Return the dictionary for unit rows `source` [n, d] and `target` [m, d], each candidate kept with
        probability `keep`."""
        n, m = self._similarities.shape
        # Words in the order of their places: a block of words then looks for about equally many.
        source_places, source_order = self._places(n, m, keep)
        target_places, target_order = self._places(m, n, keep)
        cosines = torch.mm(source[source_order], target[target_order].T, out=self._similarities)
        nearest_of_source, source_hubness = self._neighbourhoods(cosines)
        nearest_of_target, target_hubness = self._neighbourhoods(cosines.T)
        chosen_targets = self._at_places(cosines, target_hubness / 2, source_places)
        chosen_sources = self._at_places(cosines.T, source_hubness / 2, target_places)
        pairs = torch.empty((n + m, 2), dtype=torch.int64, device=cosines.device)
        pairs[:n, 0] = torch.arange(n, device=cosines.device)
        pairs[source_order, 1] = target_order[chosen_targets]
        pairs[n + target_order, 0] = source_order[chosen_sources]
        pairs[n:, 1] = torch.arange(m, device=cosines.device)
        means = torch.stack([nearest.double().mean() for nearest in (nearest_of_source, nearest_of_target)]).tolist()
        return Induced(pairs, sum(means) / 2)

    def _places(self, words: int, candidates: int, keep: float) -> tuple[torch.Tensor, torch.Tensor]:
        """Places (from 0, ascending) drawn for `words`, on the CPU, and the word that each belongs to."""
        if keep >= 1:
            places, order = torch.zeros(words, dtype=torch.int64), torch.arange(words)
        else:
            drawn = torch.empty(words, dtype=torch.float64).geometric_(keep, generator=self._random)
            places, order = ((drawn.long() - 1) % candidates).sort(stable=True)
        return places, order.to(self._similarities.device)

    def _neighbourhoods(self, cosines: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """For each row, its largest cosine and the mean of its k largest."""
        rows, candidates = cosines.shape
        k = min(self._neighbours, candidates)
        highest, means = (torch.empty(rows, dtype=torch.float32, device=cosines.device) for _ in range(2))
        for block in _blocks(rows, candidates, self._block_cells):
            values, _ = largest(cosines[block], k)
            highest[block], means[block] = values[:, 0], values.mean(1)
        return highest, means

    def _at_places(self, cosines: torch.Tensor, penalty: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
        """For each row of `cosines` [a, b] less `penalty` [b], the column of the value at its place (from 0) in
        falling order; `places` [a] ascend, and stay on the CPU, which cuts the blocks by them without a wait."""
        there = places.to(cosines.device)
        found = torch.empty_like(there)
        # Cut where the depth looked to doubles: nearly all places are near 0, the last ones far from it.
        depths = [1 << bit for bit in range(int(places[-1]).bit_length() + 1)]
        cuts = torch.searchsorted(places, torch.tensor(depths)).tolist()
        for block in _blocks(len(places), len(penalty), self._block_cells, cuts):
            place = places[block]
            cells = self._scratch[: len(place) * len(penalty)]
            if cosines.stride(0) == 1:  # a transposed matrix stays one, so that memory is read in order
                scores = torch.sub(cosines[block].T, penalty[:, None], out=cells.view(len(penalty), -1)).T
            else:
                scores = torch.sub(cosines[block], penalty, out=cells.view(-1, len(penalty)))
            _, columns = largest(scores, int(place[-1]) + 1)
            found[block] = columns.gather(1, there[block, None])[:, 0]
        return found


def _blocks(rows: int, columns: int, cells: int, cuts: Sequence[int] = ()) -> Iterator[slice]:
    """Yield slices that cover `rows`, none across one of the `cuts`, nor of more than `cells` cells (but one row)."""
    step = max(1, cells // columns)
    edges = sorted({0, rows, *cuts})
    for first, last in pairwise(edges):
        for start in range(first, last, step):
            yield slice(start, min(last, start + step))


def largest(scores: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return values and columns ([a, k] each) of the `k` largest cells of each row of `scores` [a, b], largest first;
    quick on a transposed view too. Between equal cells the device chooses.

    The columns are dealt into groups (column j into group j mod g); the k groups with the largest maxima hold
    k largest cells, since any other cell has k maxima no smaller. Taking the maxima is one vectorised pass,
    and what is left to search is short.
    """
    rows, columns = scores.shape
    size, groups = _grouping(columns, k)
    if size == 1:
        return _top(scores, k)
    grouped = groups * size
    if scores.stride(0) == 1:
        cube = scores.T[:grouped].unflatten(0, (size, groups))  # [size, groups, rows]
        best = _top(cube.amax(0).T.contiguous(), k)[1]
        candidates = cube.gather(1, best.T.expand(size, -1, -1)).permute(2, 0, 1)
    else:
        cube = scores[:, :grouped].unflatten(1, (size, groups))  # [rows, size, groups]
        best = _top(cube.amax(1), k)[1]
        candidates = cube.gather(2, best[:, None, :].expand(-1, size, -1))
    values, found = _top(torch.cat([candidates.reshape(rows, size * k), scores[:, grouped:]], dim=1), k)
    # A candidate's number is (place in its group) * k + which of the best groups; then come the ungrouped.
    in_group = found // k * groups + best.gather(1, found % k)
    return values, torch.where(found < size * k, in_group, found - size * k + grouped)


@lru_cache
def _grouping(columns: int, k: int) -> tuple[int, int]:
    """(columns in a group, groups): those that leave the least to search; (1, columns) where none saves a half.

    Groups come by the 32: of other numbers torch takes the last maxima one by one.
    """
    best = (_search_cost(columns, k) / 2, 1, columns)
    for size in range(2, columns // 32 + 1):
        groups = columns // size // 32 * 32
        if groups >= k:
            gathered = size * k
            left = gathered + columns - size * groups
            best = min(best, (_search_cost(groups, k) + 5.0 * gathered + _search_cost(left, k), size, groups))
    return best[1:]


def _search_cost(columns: int, k: int) -> float:
    """Return what `_top` takes for a row on a CPU, roughly in ns: topk changes its algorithm where the row is 64 times
    longer than k."""
    if k == 1:
        return columns
    return columns * (2.0 if columns >= 64 * k else 10.0)


def _top(scores: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    if k == 1:  # many times faster than topk
        found = scores.max(dim=1, keepdim=True)
        return found.values, found.indices
    sorted_ = scores.topk(k, dim=1)
    return sorted_.values, sorted_.indices
