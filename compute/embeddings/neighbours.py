"""Nearest neighbours by inner product between two sets of vectors, on any device, a block of rows at a time.

Every function takes float32 tensors of one device, [n, d] and [m, d], and never holds an [n, m] product: a
block has at most `block_cells` cells, or `BLOCK_ROWS` rows. Of equal scores the lower index is the nearer, so
that a result does not depend on how a device or a block happens to order ties. For cosines pass unit rows
(`unit_tensor`).

A `penalty` is subtracted from the inner products with a key before they are compared. CSLS (Conneau et al.
2018), 2 cos(x, y) - r_T(x) - r_S(y), orders the keys y of one query x as cos(x, y) - r_S(y) / 2 does: that
is a penalty of r_S(y) / 2 (`csls_penalty`).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np
import torch

from compute.embeddings import coarse
from compute.embeddings.vectors import Matrix

NEIGHBOURS = 10
"""k of CSLS."""

BLOCK_CELLS = 1 << 22
"""Cells of a block of similarities: 16 MiB of float32, which a processor's cache may hold."""

CUDA_BLOCK_CELLS = 1 << 26
"""The same on a GPU: 256 MiB. Its products fill it only if they are large, and each block costs launches and waits."""

BLOCK_ROWS = 256
"""Rows of a block, however wide: with fewer, a matrix product is bound by reading the other matrix."""

_SHORTEST = 1e-12
"""A row shorter than this is divided by it."""

_GROUP = 32
"""Columns that share a maximum while the largest are searched; from 32 on torch vectorises the reduction."""


def as_tensor(matrix: Matrix, device: str = "cpu") -> torch.Tensor:
    """`matrix` [n, d] as float32 on `device`; on the CPU its own memory, to be read only: it may be a file's."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.as_tensor(np.asarray(matrix, dtype=np.float32), device=device)


def unit_tensor(matrix: Matrix, device: str = "cpu") -> torch.Tensor:
    """`matrix` [n, d] with rows of Euclidean length 1 on `device`, a copy; zero rows stay zero."""
    return unit_rows_of(as_tensor(matrix, device))


def unit_rows_of(vectors: torch.Tensor) -> torch.Tensor:
    """`vectors` [n, d] with rows of Euclidean length 1, a copy; zero rows stay zero."""
    return vectors / row_lengths(vectors)


def row_lengths(vectors: torch.Tensor) -> torch.Tensor:
    """[n, 1]: what the rows of `vectors` [n, d] are divided by to become unit vectors: their Euclidean lengths, of a
    zero row something small."""
    return torch.linalg.vector_norm(vectors, dim=1, keepdim=True).clamp_min_(_SHORTEST)


def block_cells(device: torch.device) -> int:
    """Cells of a block of similarities on `device`."""
    return CUDA_BLOCK_CELLS if device.type == "cuda" else BLOCK_CELLS


def blocks(rows: int, columns: int, device: torch.device) -> Iterator[slice]:
    """Yield slices that cover `rows`, each of as many as make `block_cells(device)` cells with `columns` columns, and
    at least `BLOCK_ROWS`."""
    step = max(BLOCK_ROWS, block_cells(device) // max(1, columns))
    for start in range(0, rows, step):
        yield slice(start, min(rows, start + step))


def product_blocks(
    x: torch.Tensor, y: torch.Tensor, rows: torch.Tensor | None = None
) -> Iterator[tuple[slice, torch.Tensor]]:
    """`x` [n, d] (or its `rows`, int64 [r]) times the transpose of `y` [m, d], a block of rows at a time.

    Yields:
        the slice of `x` (of `rows`), and its products [b, m]: in a buffer that the next block overwrites, and
        the caller may.
    """
    x, y = x.detach(), y.detach()
    n = len(x) if rows is None else len(rows)
    buffer: torch.Tensor | None = None
    for block in blocks(n, len(y), x.device):
        some = x[block] if rows is None else x[rows[block]]
        # Memory that is used again need not be mapped again, which costs as much as a small product.
        buffer = x.new_empty((len(some), len(y))) if buffer is None else buffer[: len(some)]
        yield block, torch.mm(some, y.T, out=buffer)


def _coarse_blocks(queries: coarse.Rounded, keys: coarse.Rounded) -> Iterator[tuple[slice, torch.Tensor]]:
    """As `product_blocks`, of rounded vectors: int32 [b, m], to be multiplied by the steps of both."""
    buffer: torch.Tensor | None = None
    for block in blocks(len(queries.vectors), len(keys.vectors), keys.vectors.device):
        some = queries.vectors[block]
        buffer = coarse.multiply(some, keys.vectors, out=None if buffer is None else buffer[: len(some)])
        yield block, buffer


def top_k(
    queries: torch.Tensor, keys: torch.Tensor, k: int, penalty: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the `k` keys with the largest inner product with each query, the largest first.

    Args:
        queries: [q, d].
        keys: [m, d].
        k: how many; all m if there are fewer.
        penalty: [m], subtracted from the products with each key.

    Returns:
        values (float32 [q, k], the penalty subtracted) and indices (int64 [q, k]).
    """
    k = min(k, len(keys))
    values = torch.empty((len(queries), k), dtype=torch.float32, device=queries.device)
    indices = torch.empty((len(queries), k), dtype=torch.int64, device=queries.device)
    for block, products in product_blocks(queries, keys):
        values[block], indices[block] = largest(products if penalty is None else products.sub_(penalty), k)
    return values, indices


def nearest_blocks(
    x: torch.Tensor, y: torch.Tensor, k: int, rows: torch.Tensor | None = None
) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    """Yield the `k` rows of `y` [m, d] with the largest inner products with each row of `x` [n, d] (or of its `rows`,
    int64 [r]); of equal ones any.

    Where it is quick, products of rounded vectors find the candidates, and only theirs are made in float32; rows for
    which that is not certain to have found them all are done again in float32 as a whole.

    Yields:
        positions, int64 [b], in `x` (in `rows`), each once and in no order; values, float32 [b, k], the largest
        first; and rows of `y`, int64 [b, k].
    """
    x, y = x.detach(), y.detach()
    asked = torch.arange(len(x), device=x.device) if rows is None else rows
    sure = torch.zeros(len(asked), dtype=torch.bool, device=x.device)
    level = coarse.key_level(x.device) if len(y) >= coarse.FEWEST_KEYS else None
    if level is not None:
        queries = coarse.Rounded.queries(x if rows is None else x[rows])
        keys = coarse.Rounded.keys(y, level)
        error, steps = queries.error_to(keys), queries.steps * keys.steps
        for block, products in _coarse_blocks(queries, keys):
            columns, highest = coarse.candidates(products, k + coarse.SPARE)
            values, places = coarse.inner_products(x[asked[block]], y, columns).topk(k, dim=1)
            sure[block] = values[:, -1] > highest * steps[block] + error[block]
            found = sure[block].nonzero()[:, 0]
            yield found + block.start, values[found], columns.gather(1, places)[found]
    positions = (~sure).nonzero()[:, 0]
    for block, products in product_blocks(x, y, asked[positions]):
        yield positions[block], *any_largest(products, k)


def mean_similarity_to_nearest(of: torch.Tensor, among: torch.Tensor, k: int = NEIGHBOURS) -> torch.Tensor:
    """r of CSLS: mean cosine of each unit row of `of` [m, d] with its `k` nearest unit rows of `among`
    [n, d]; all n if fewer.

    Returns:
        float32 [m].
    """
    means = torch.empty(len(of), dtype=torch.float32, device=of.device)
    for positions, values, _ in nearest_blocks(of, among, k):
        means[positions] = values.mean(1)
    return means


def csls_penalty(keys: torch.Tensor, queries: torch.Tensor, k: int = NEIGHBOURS) -> torch.Tensor:
    """[m]: what to subtract from the cosine with each of `keys` [m, d] to order them by CSLS; the
    neighbourhoods are over all `queries` [n, d]. Unit rows."""
    return mean_similarity_to_nearest(keys, queries, k) / 2


def nearest_both_ways(x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """For each row of `x` [n, d] the nearest row of `y` [m, d], and the reverse, from one product.

    Returns:
        int64 [n] of rows of y and int64 [m] of rows of x.
    """
    to_y = torch.empty(len(x), dtype=torch.int64, device=x.device)
    to_x = torch.zeros(len(y), dtype=torch.int64, device=x.device)
    best = torch.full((len(y),), -torch.inf, dtype=x.dtype, device=x.device)
    for block, products in product_blocks(x, y):
        to_y[block] = largest(products, 1)[1][:, 0]
        # A maximum alone is many times cheaper than one with its index, and few columns improve on what
        # earlier blocks gave them. Strictly: at a tie the earlier row stays.
        highest = products.amax(0)
        improved = (highest > best).nonzero()[:, 0]
        best[improved] = highest[improved]
        to_x[improved] = block.start + products[:, improved].argmax(0)
    return to_y, to_x


def mutual_nearest(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """int64 [p, 2], ordered by the row of `x`: the pairs (i, j) whose rows of `x` [n, d] and `y` [m, d] are
    each other's nearest, as `nearest_both_ways` finds them."""
    to_y, to_x = nearest_both_ways(x, y)
    rows = torch.arange(len(x), device=x.device)
    mutual = to_x[to_y] == rows
    return torch.stack([rows[mutual], to_y[mutual]], dim=1)


def largest(scores: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return values and columns ([b, k] each) of the `k` largest cells of each row of `scores` [b, m], largest
    first; of equal cells the lower column first."""
    k = min(k, scores.shape[1])
    # One more than asked for: a tie across the border would leave the choice to the device.
    found, columns = any_largest(scores, k + 1)
    indices, order = columns[:, :k].sort(dim=1)
    values, order = found[:, :k].gather(1, order).sort(dim=1, descending=True, stable=True)
    indices = indices.gather(1, order)
    if found.shape[1] > k:
        for row in (found[:, k - 1] == found[:, k]).nonzero()[:, 0].tolist():
            candidates = (scores[row] >= found[row, k - 1]).nonzero()[:, 0]
            order = scores[row, candidates].argsort(descending=True, stable=True)[:k]
            indices[row] = candidates[order]
    return values, indices


def any_largest(scores: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    """As `largest`, but of equal cells any may come first, and any may be left out: cheaper, and enough
    where only the values count."""
    k = min(k, scores.shape[1])
    columns = _columns_with_largest(scores, k)
    if columns is None:
        values, columns = scores.topk(k, dim=1)
        return values, columns
    values, places = scores.gather(1, columns).topk(k, dim=1)
    return values, columns.gather(1, places)


def _columns_with_largest(scores: torch.Tensor, k: int) -> torch.Tensor | None:
    """[b, c]: columns among which are `k` largest cells of each row; None for all of them.

    The k groups with the largest maxima hold k largest cells: any other cell has k maxima no smaller.
    """
    rows, m = scores.shape
    groups = m // _GROUP
    if groups < 4 * k:
        return None
    grouped = scores[:, : groups * _GROUP].view(rows, groups, _GROUP)
    best = grouped.amax(2).topk(k, dim=1, sorted=False).indices
    inside = (best[:, :, None] * _GROUP + torch.arange(_GROUP, device=scores.device)).flatten(1)
    rest = torch.arange(groups * _GROUP, m, device=scores.device).expand(rows, -1)
    return torch.cat([inside, rest], dim=1)
