"""Inner products of whole numbers, which say where the largest may be and by how much they may be wrong.

Processors multiply numbers of eight bits several times as fast as float32, and sum them exactly. With x', y' the
rounded vectors, |x y - x' y'| <= |x - x'| |y| + |x'| |y - y'| by Cauchy and Schwarz; a float32 sum of d products that
goes into it is off by at most (d + 16) 2^-24 of their lengths or so (Higham 2002, section 3.1). Vectors are turned
first, all alike, which changes no product: where a few components are large, as those of first principal components
are, steps small enough for the others could not hold them.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch

FEWEST_KEYS = 6_000
"""With fewer, what a quicker product saves is lost on looking at its largest cells again."""

QUERY_LEVEL = 127
"""The largest whole number in a query."""

_AT_ONCE = 8_192
"""Vectors that are rounded at once, rather than with several more copies of them all."""

_GROUP = 16
"""Columns that share a maximum while the largest are searched."""

_ALIGNED = 16
"""The number of groups is a multiple of this."""


KEY_LEVELS = (127, 63)
"""The largest whole number in a key: the first with which sums are right. Processors without VNNI add two products of
query + 128 and key in sixteen bits, which cut off 2 * 255 * 127, but not 2 * 255 * 63."""

SPARE = 112
"""Keys beyond those asked for that are looked at again: enough that most rows are certain."""


@cache
def key_level(device: torch.device) -> int | None:
    """The largest whole number that keys may be rounded to on `device`; None where products of whole numbers are not
    known to be quicker than in float32, or not right. Of a GPU nothing is known: none was at hand to measure it."""
    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    if device.type != "cpu" or not capabilities.get("avx2"):
        return None
    return next((level for level in KEY_LEVELS if _is_exact(level)), None)


def _is_exact(level: int) -> bool:
    """Return whether sums of the largest products are what they ought to be."""
    signs = torch.tensor([1, -1], dtype=torch.int8).repeat_interleave(32)[:, None].expand(-1, 320)
    queries, keys = signs * QUERY_LEVEL, signs * level
    return bool((multiply(queries, keys) == queries.double() @ keys.double().T).all())


def multiply(queries: torch.Tensor, keys: torch.Tensor, out: torch.Tensor | None = None) -> torch.Tensor:
    """int32 [b, m], in `out` if there is one: int8 `queries` [b, d] times the transpose of int8 `keys` [m, d]."""
    out = torch.empty((len(queries), len(keys)), dtype=torch.int32) if out is None else out
    # torch has no public name for it.
    return torch._int_mm(queries, keys.T, out=out)


@dataclass(frozen=True)
class Rounded:
    """Vectors, turned, as multiples of a step: each vector's own, or the same for all.

    Attributes:
        vectors: int8 [n, e].
        steps: float32 [n] or [1].
        lengths: float32 [n], Euclidean lengths before rounding.
        errors: float32 [n], lengths of what rounding took away.
    """

    vectors: torch.Tensor
    steps: torch.Tensor
    lengths: torch.Tensor
    errors: torch.Tensor

    @classmethod
    def queries(cls, vectors: torch.Tensor) -> Rounded:
        """Of float32 [n, d], each by a step of its own, since nothing is compared between queries."""
        turned = vectors @ _turn(vectors.shape[1]).matrix
        return cls._of(turned, turned.abs().amax(1) / QUERY_LEVEL)

    @classmethod
    def keys(cls, vectors: torch.Tensor, level: int) -> Rounded:
        """Of float32 [n, d], by one step: whole numbers up to `level`."""
        turned = vectors @ _turn(vectors.shape[1]).matrix
        return cls._of(turned, turned.abs().amax()[None] / level)

    @classmethod
    def _of(cls, turned: torch.Tensor, steps: torch.Tensor) -> Rounded:
        steps = steps.clamp_min(torch.finfo(torch.float32).tiny)
        rounded, errors = torch.empty_like(turned, dtype=torch.int8), turned.new_empty(len(turned))
        for start in range(0, len(turned), _AT_ONCE):
            some = slice(start, start + _AT_ONCE)
            part, step = turned[some], steps.expand(len(turned))[some, None]
            multiples = (part / step).round_()
            rounded[some] = multiples.to(torch.int8)
            errors[some] = torch.linalg.vector_norm(part - multiples * step, dim=1)
        return cls(rounded, steps, torch.linalg.vector_norm(turned, dim=1), errors)

    def error_to(self, keys: Rounded) -> torch.Tensor:
        """float32 [n]: how far a product with any of `keys`, times the steps of both, may be from the inner product
        of the vectors as they were."""
        e = self.vectors.shape[1]
        longest, largest = keys.lengths.max(), keys.errors.max()
        lengths = self.lengths + self.errors
        summing = ((e + 16) * 2.0**-24 + _turn(e).error) * lengths * (longest + largest)
        return (self.errors * longest + lengths * largest + summing) * (1 + (e + 16) * 2.0**-23)


class _Turn(NamedTuple):
    """Orthonormal rows, `matrix` float32 [d, e]; `error` is what an inner product of vectors turned by it in float32
    may be off by, in units of their lengths' product."""

    matrix: torch.Tensor
    error: float


@cache
def _turn(d: int) -> _Turn:
    # With one component alone torch leaves products of whole numbers unmade.
    e = max(d, 2)
    matrix = np.linalg.qr(np.random.default_rng(0).normal(size=(e, e)))[0][:d].astype(np.float32)
    defect = matrix.astype(np.float64) @ matrix.T.astype(np.float64) - np.eye(d)
    # A turned component is a sum of d products, whose absolute values make a vector at most sqrt(e) times as long
    # as the one turned. Twice that for two vectors, and once more for what is of second order.
    return _Turn(torch.from_numpy(matrix), float(np.linalg.norm(defect)) + 3 * (d + 16) * 2.0**-24 * e**0.5)


def candidates(products: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the columns of the `count` largest cells of each row of `products`, int32 [b, m], of equal ones any.

    Returns:
        columns, int64 [b, count], and int32 [b]: what any other cell is at most.
    """
    rows, m = products.shape
    # Groups of columns far apart: so the maxima of many are taken by one instruction, if their number is even enough.
    groups = m // _GROUP // _ALIGNED * _ALIGNED
    grouped = products[:, : groups * _GROUP].view(rows, _GROUP, groups)
    best = grouped.amax(1).topk(min(count, groups), dim=1, sorted=False).indices
    inside = (best[:, None, :] + groups * torch.arange(_GROUP, device=products.device)[:, None]).flatten(1)
    rest = torch.arange(groups * _GROUP, m, device=products.device).expand(rows, -1)
    columns = torch.cat([inside, rest], dim=1)
    values, places = products.gather(1, columns).topk(min(count, columns.shape[1]), dim=1, sorted=True)
    return columns.gather(1, places), values[:, -1]


def inner_products(x: torch.Tensor, y: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
    """float32 [b, c]: of each row of `x` [b, d] with the rows of `y` [m, d] that `columns`, int64 [b, c], name: each of
    them once a row."""
    rows, count = columns.shape
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
        # Without a copy of the rows of y, which would take several times as long as the products.
        cells = torch.sparse_csr_tensor(
            torch.arange(0, rows * count + 1, count),
            columns.flatten(),
            x.new_zeros(rows * count),
            (rows, len(y)),
            check_invariants=False,
        )
        return torch.sparse.sampled_addmm(cells, x, y.T, beta=0.0).values().view(rows, count)
