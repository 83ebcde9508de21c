"""Exact ranks of gold translations among all target words, by cosine and by CSLS.

Cosine: s(x, y) = cos(x, y). CSLS (Conneau et al. 2018): 2 cos(x, y) - r_T(x) - r_S(y), where r_T(x) is the
mean cosine of x with its k nearest target words and r_S(y) that of y with its k nearest source words, both
over the whole vocabularies.

For one query r_T(x) is the same for every y, so it cannot change a rank and is never computed. Nor is every
r_S(y): the mean over the k nearest of *some* source words is a lower bound of it, and where that bound
already keeps y below the gold translation of every query, r_S(y) is not needed. So target words meet the
source words a part at a time, and leave as soon as they are known to stay below; where hardly any leave, they meet
the rest at once. What remains of the time of the whole product depends on the ranks: little where most are small,
all of it where many are large.

Products are made in float32, those with many source words only where a quicker one leaves doubt
(`nearest_blocks`). A float32 inner product of unit vectors is off by at most d 2^-24 or so
(Higham 2002, section 3.1); scores closer than that allows are compared again in float64. Hence ranks are
those of exact arithmetic on the float32 unit vectors: they depend neither on blocks nor on what was skipped,
and equal vectors tie.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from compute.embeddings.neighbours import (
    NEIGHBOURS,
    as_tensor,
    blocks,
    nearest_blocks,
    product_blocks,
    row_lengths,
    unit_rows_of,
)
from compute.embeddings.vectors import Matrix, check_finite
from compute.names import UnknownName

Retrieval = Literal["cosine", "csls"]

FIRST_PART = 4_096
"""About as many source words does every target word meet; then as many again, twice as many, and so on."""

_FEW_LEAVE = 0.02
"""Where less than this share of the target words leaves after a part of the source words, those that stay meet all the
rest at once: one large product takes less time than many small ones, and hardly anything would be skipped."""

_GROUP = 32
"""Target words whose highest score is looked at first."""

_SPARE = 6
"""Neighbours kept beyond k, so that the k nearest in float64 are among those kept."""

_TIE = 1e-12
"""Scores this close in float64 are equal: its rounding is some 1e-13 here."""


class Ranker:
    """Two mapped vocabularies in which gold translations are looked up.

    Args:
        source: float32 [n, d], the whole source vocabulary, mapped.
        target: float32 [m, d], the whole target vocabulary, mapped.
        device: where the products are made ("cpu", "cuda").

    Raises:
        ValueError: vectors that are not finite, or dimensions that differ.
    """

    def __init__(self, source: Matrix, target: Matrix, device: str = "cpu") -> None:
        if source.shape[1] != target.shape[1]:
            raise ValueError(f"source vectors have {source.shape[1]} dimensions, target {target.shape[1]}")
        check_finite(source)
        check_finite(target)
        self._source_vectors, self._target_vectors = as_tensor(source, device), as_tensor(target, device)
        # Of one float32 inner product, or the mean of k of them.
        self._rounding = (source.shape[1] + 16) * 2.0**-24

    def ranks(self, queries: NDArray[np.int64], gold: NDArray[np.int64], retrieval: Retrieval) -> NDArray[np.float64]:
        """Return the rank of target row gold[i] for source row queries[i]: 1 + the number of target words scored
        strictly higher + half the number of the other words scored the same.

        Args:
            queries: int64 [q], rows of the source.
            gold: int64 [q], rows of the target.
            retrieval: "cosine" or "csls".

        Returns:
            float64 [q], from 1 to m, whole or half.

        Raises:
            compute.names.UnknownName: no such retrieval.
        """
        if retrieval not in get_args(Retrieval):
            raise UnknownName("retrieval", retrieval, get_args(Retrieval))
        if len(queries) == 0:
            return np.empty(0)
        device = self._target_vectors.device
        rows, gold_rows = torch.from_numpy(queries).to(device), torch.from_numpy(gold).to(device)
        of_queries, every = unit_rows_of(self._source_vectors[rows]), torch.arange(len(rows), device=device)
        own = _exact_products(of_queries, every, self._target_vectors, gold_rows)
        asked = _Questions(of_queries, gold_rows, own)
        hubness = self._hubness(asked) if retrieval == "csls" else None
        return self._ranks(asked, hubness).cpu().numpy()

    # Unit vectors of whole vocabularies cost as much as mapping them; cosine does without.

    @cached_property
    def _source(self) -> torch.Tensor:
        return unit_rows_of(self._source_vectors)

    @cached_property
    def _target(self) -> torch.Tensor:
        return unit_rows_of(self._target_vectors)

    def _ranks(self, asked: _Questions, hubness: _Hubness | None) -> torch.Tensor:
        ranks = torch.ones_like(asked.gold, dtype=torch.float64)
        if hubness is None:
            own, margin, target = asked.own, 2 * self._rounding, self._target_vectors
            scale = row_lengths(target).reciprocal_()
        else:
            bounds, margin, target = hubness.bounds[:, None], 6 * self._rounding, self._target
            own = 2 * asked.own - bounds[asked.gold, 0]
        for block, scores in product_blocks(target, asked.queries):
            if hubness is None:
                scores.mul_(scale[block])
            else:
                torch.add(-bounds[block], scores, alpha=2, out=scores)
            words, rows = _not_below(scores, (own - margin).float())
            lead = scores[words, rows] - own[rows]
            words += block.start
            higher = (lead > margin).double()
            # Numbers, not a mask: with a mask a GPU is waited for whenever it is used.
            close = ((lead <= margin) & (words != asked.gold[rows])).nonzero()[:, 0]
            exact = self._exact_lead(asked, rows[close], words[close], hubness)
            higher[close] = torch.where(exact.abs() <= _TIE, 0.5, (exact > 0).double())
            ranks.index_add_(0, rows, higher)
        return ranks

    def _exact_lead(
        self, asked: _Questions, rows: torch.Tensor, words: torch.Tensor, hubness: _Hubness | None
    ) -> torch.Tensor:
        """float64 [p]: by how much target rows `words` score higher than the gold words of questions `rows`, both
        int64 [p]."""
        gold = asked.gold[rows]
        lead = _exact_products(asked.queries, rows, self._target_vectors, words)
        lead -= asked.own[rows]
        if hubness is None:
            return lead
        involved, places = torch.cat([words, gold]).unique(return_inverse=True)
        exact = self._exact_hubness(involved, hubness)[places]
        return 2 * lead - (exact[: len(words)] - exact[len(words) :])

    def _exact_hubness(self, rows: torch.Tensor, hubness: _Hubness) -> torch.Tensor:
        """r_S in float64 [p] of target `rows` [p] that have met every source word."""
        k, kept = min(NEIGHBOURS, len(self._source)), hubness.kept
        nearest, repeated = hubness.nearest[rows].flatten(), rows.repeat_interleave(kept)
        cosines = _exact_products(self._source, nearest, self._target_vectors, repeated)
        exact = cosines.view(-1, kept).topk(k, dim=1).values.mean(1)
        if kept == len(self._source):
            return exact
        # Where many source vectors are all but equal, more may be as near as the k-th than were kept.
        values = hubness.values[rows]
        unsure = (values[:, -1] >= values[:, k - 1] - 2 * self._rounding).nonzero()[:, 0]
        for block in blocks(len(unsure), 2 * len(self._source), rows.device):
            cosines = self._target[rows[unsure[block]]].double() @ self._source.double().T
            exact[unsure[block]] = cosines.topk(k, dim=1).values.mean(1)
        return exact

    def _hubness(self, asked: _Questions) -> _Hubness:
        """r_S(y) of all gold words, and of all others as far as the ranks of `asked` need it."""
        found = _Hubness.of_nothing(len(self._target), len(self._source), self._target.device)
        gold = asked.gold.unique()
        for part in _parts(self._source):
            self._meet(gold, part, found)
        ceiling = self._ceiling(asked, found)
        others = torch.ones(len(self._target), dtype=torch.bool, device=gold.device)
        others[gold] = False
        rows = others.nonzero()[:, 0]
        parts = list(_parts(self._source))
        for number, part in enumerate(parts):
            self._meet(rows, part, found)
            before, rows = len(rows), rows[found.bounds[rows] <= ceiling[rows]]
            if before - len(rows) < _FEW_LEAVE * before and number + 1 < len(parts):
                self._meet(rows, torch.cat(parts[number + 1 :]), found)
                break
        return found

    def _ceiling(self, asked: _Questions, hubness: _Hubness) -> torch.Tensor:
        """float32 [m]: a target word whose r_S is higher than this is certain to score lower than every gold
        word of `asked`, whose r_S is known."""
        highest = torch.empty(len(self._target), device=self._target.device)
        own = 2 * asked.own - hubness.bounds[asked.gold]
        for block, cosines in product_blocks(self._target, asked.queries):
            highest[block] = cosines.mul_(2).sub_(own.float()).amax(1)
        # Six inner products or means of them are off here, and twelve where scores are compared.
        return highest + 18 * self._rounding

    def _meet(self, rows: torch.Tensor, part: torch.Tensor, found: _Hubness) -> None:
        """Makes the nearest of target `rows` in `found` the nearest among source rows `part`, too."""
        for positions, values, columns in nearest_blocks(self._target, self._source[part], found.kept, rows):
            words = rows[positions]
            values = torch.cat([found.values[words], values], dim=1)
            nearest = torch.cat([found.nearest[words], part[columns]], dim=1)
            values, places = values.topk(found.kept, dim=1)
            found.values[words], found.nearest[words] = values, nearest.gather(1, places)


class _Questions(NamedTuple):
    """Unit vectors `queries` [q, d] of source words, the target rows `gold` int64 [q] that translate them, and the
    cosines of the two, `own` float64 [q]."""

    queries: torch.Tensor
    gold: torch.Tensor
    own: torch.Tensor


@dataclass(frozen=True)
class _Hubness:
    """The nearest source words of each target word among those it has met: their cosines `values`, largest
    first (-inf where it has met fewer), and rows `nearest`, both [m, kept]."""

    values: torch.Tensor
    nearest: torch.Tensor

    @classmethod
    def of_nothing(cls, m: int, n: int, device: torch.device) -> _Hubness:
        """Before any of `m` target words has met any of `n` source words."""
        shape = (m, min(NEIGHBOURS + _SPARE, n))
        return cls(torch.full(shape, -torch.inf, device=device), torch.zeros(shape, dtype=torch.int64, device=device))

    @property
    def kept(self) -> int:
        """Return how many neighbours of a word are remembered."""
        return self.values.shape[1]

    @property
    def bounds(self) -> torch.Tensor:
        """[m]: r_S of a word that has met all source words, a lower bound of it for any other."""
        return self.values[:, :NEIGHBOURS].mean(1)


def _parts(vectors: torch.Tensor) -> Iterator[torch.Tensor]:
    """Yield the row numbers of `vectors` in parts that double in size, each spread over all frequencies."""
    doublings = max(0, int(np.log2(len(vectors) / FIRST_PART)))
    place = torch.arange(len(vectors), device=vectors.device) % (1 << doublings)
    first = 0
    for last in [1 << i for i in range(doublings + 1)]:
        yield ((place >= first) & (place < last)).nonzero()[:, 0]
        first = last


def _exact_products(x: torch.Tensor, x_rows: torch.Tensor, y: torch.Tensor, y_rows: torch.Tensor) -> torch.Tensor:
    """float64 [p]: inner products of rows `x_rows` of `x` [n, d], unit vectors, with rows `y_rows` of `y` [m, d] made
    unit vectors, pair by pair."""
    found = torch.empty(len(x_rows), dtype=torch.float64, device=x.device)
    for part in blocks(len(x_rows), 2 * x.shape[1], x.device):
        found[part] = (x[x_rows[part]].double() * unit_rows_of(y[y_rows[part]]).double()).sum(1)
    return found


def _not_below(scores: torch.Tensor, least: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return rows and columns of the cells of `scores` [t, q] that are at least their column's `least` [q].

    Few are: the maxima of groups of rows, many times cheaper than a comparison of every cell, say where to look.
    """
    groups = len(scores) // _GROUP
    whole = groups * _GROUP
    grouped = scores[:whole].view(groups, _GROUP, scores.shape[1])
    group, column = (grouped.amax(1) >= least).nonzero(as_tuple=True)
    found, inside = (grouped[group, :, column] >= least[column, None]).nonzero(as_tuple=True)
    rest, column_of_rest = (scores[whole:] >= least).nonzero(as_tuple=True)
    rows = torch.cat([group[found] * _GROUP + inside, whole + rest])
    return rows, torch.cat([column[found], column_of_rest])
