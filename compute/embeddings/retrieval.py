"""Exact ranks of gold translations among all target words, by cosine and by CSLS, in blocks of rows.

Cosine: s(x, y) = cos(x, y). CSLS (Conneau et al. 2018): 2 cos(x, y) - r_T(x) - r_S(y), where r_T(x) is the
mean cosine of x with its k nearest target words and r_S(y) that of y with its k nearest source words, both
over the whole vocabularies. For one query r_T(x) is the same for every y, so it cannot change a rank and is
never computed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from compute.embeddings.vectors import Matrix, check_finite
from compute.names import UnknownName

Retrieval = Literal["cosine", "csls"]

NEIGHBOURS = 10
"""k of CSLS."""

BLOCK_CELLS = 1 << 25
"""Cells of the largest block of similarities held at once: 128 MiB of float32."""


class Ranker:
    """Two mapped vocabularies in which gold translations are looked up.

    Args:
        source: float32 [n, d], the whole source vocabulary, mapped.
        target: float32 [m, d], the whole target vocabulary, mapped.
        device: where the products are made ("cpu", "cuda"); float32 on each.

    Raises:
        ValueError: vectors that are not finite, or dimensions that differ.
    """

    def __init__(self, source: Matrix, target: Matrix, device: str = "cpu") -> None:
        if source.shape[1] != target.shape[1]:
            raise ValueError(f"source vectors have {source.shape[1]} dimensions, target {target.shape[1]}")
        self._source = _unit(source, device)
        self._target = _unit(target, device)
        self._hubness: torch.Tensor | None = None

    def ranks(self, queries: NDArray[np.int64], gold: NDArray[np.int64], retrieval: Retrieval) -> NDArray[np.float64]:
        """The rank of target row gold[i] for source row queries[i]: 1 + the number of target words scored
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
        device = self._target.device
        rows, answers = torch.from_numpy(queries).to(device), torch.from_numpy(gold).to(device)
        ranks = torch.empty(len(queries), dtype=torch.float64, device=device)
        for block in _blocks(len(queries), len(self._target)):
            scores = self._source[rows[block]] @ self._target.T
            if retrieval == "csls":
                scores = scores.mul_(2).sub_(self._target_hubness())
            own = scores.gather(1, answers[block, None])
            higher = (scores > own).sum(1)
            tied = (scores == own).sum(1) - 1
            ranks[block] = 1 + higher + tied.double() / 2
        return ranks.cpu().numpy()

    def _target_hubness(self) -> torch.Tensor:
        """r_S(y) [m]: computed on first use, then kept."""
        if self._hubness is None:
            self._hubness = mean_similarity_to_nearest(self._target, self._source)
        return self._hubness


def mean_similarity_to_nearest(of: torch.Tensor, among: torch.Tensor, k: int = NEIGHBOURS) -> torch.Tensor:
    """Mean cosine of each unit row of `of` [m, d] with its `k` nearest unit rows of `among` [n, d]; all n
    if fewer.

    Returns:
        float32 [m] on the device of the inputs.
    """
    k = min(k, len(among))
    means = torch.empty(len(of), dtype=torch.float32, device=of.device)
    for block in _blocks(len(of), len(among)):
        means[block] = (of[block] @ among.T).topk(k, dim=1, sorted=False).values.mean(1)
    return means


def _unit(matrix: Matrix, device: str) -> torch.Tensor:
    check_finite(matrix)
    # A copy: the matrix may be memory-mapped read-only, which torch does not know.
    rows = torch.tensor(np.asarray(matrix, dtype=np.float32), device=device)
    return torch.nn.functional.normalize(rows, dim=1)


def _blocks(rows: int, columns: int) -> Iterator[slice]:
    step = max(1, BLOCK_CELLS // max(1, columns))
    for start in range(0, rows, step):
        yield slice(start, min(rows, start + step))
