"""Inner products in bfloat16, which say where the largest may be and by how much they may be wrong.

A product in bfloat16 takes half the time of one in float32, or less, where the processor has instructions for it. With
x', y' the rounded vectors, |x y - x' y'| <= |x - x'| |y| + |x'| |y - y'| by Cauchy and Schwarz; products of two
bfloat16 numbers are exact in float32, whose sums are off by at most (d + 16) 2^-24 |x'| |y'| (Higham 2002, section
3.1); and the sum is rounded to bfloat16 at last, by 2^-8 of itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

FEWEST_KEYS = 16_384
"""With fewer, what a quicker product saves is lost on looking at its largest cells again."""

_AT_ONCE = 8_192
"""Vectors whose errors are found at once, rather than in a second copy of them all."""

_GROUP = 16
"""Columns that share a maximum while the largest are searched."""

_ALIGNED = 16
"""The number of groups is a multiple of this."""


def is_quick(device: torch.device) -> bool:
    """Whether products in bfloat16 are known to be quicker there than in float32, which the processor tells. Of a GPU
    nothing is known: none was at hand to measure it."""
    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return device.type == "cpu" and bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


@dataclass(frozen=True)
class Rounded:
    """Vectors in bfloat16.

    Attributes:
        vectors: bfloat16 [n, d].
        lengths: float32 [n], Euclidean lengths before.
        errors: float32 [n], lengths of what rounding took away.
    """

    vectors: torch.Tensor
    lengths: torch.Tensor
    errors: torch.Tensor

    @classmethod
    def of(cls, vectors: torch.Tensor) -> Rounded:
        """Of float32 [n, d]."""
        rounded = vectors.bfloat16()
        parts = zip(vectors.split(_AT_ONCE), rounded.split(_AT_ONCE), strict=True)
        errors = torch.cat([torch.linalg.vector_norm(part - of_part.float(), dim=1) for part, of_part in parts])
        return cls(rounded, torch.linalg.vector_norm(vectors, dim=1), errors)

    def error_to(self, keys: Rounded) -> torch.Tensor:
        """float32 [n]: how far a float32 sum of products with any of `keys` may be from the exact inner product of the
        vectors as they were, its rounding to bfloat16 apart."""
        d = self.vectors.shape[1]
        longest, largest = keys.lengths.max(), keys.errors.max()
        lengths = self.lengths + self.errors
        summing = (d + 16) * 2.0**-24 * lengths * (longest + largest)
        # Lengths and errors, too, are sums in float32.
        return (self.errors * longest + lengths * largest + summing) * (1 + (d + 16) * 2.0**-23)


def candidates(products: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The columns of the `count` largest cells of each row of `products`, bfloat16 [b, m], of equal ones any.

    Returns:
        columns, int64 [b, count], and float32 [b]: what the float32 sum behind any other cell is at most.
    """
    rows, m = products.shape
    # Groups of columns far apart: so the maxima of many are taken by one instruction, if their number is even enough.
    groups = m // _GROUP // _ALIGNED * _ALIGNED
    grouped = products[:, : groups * _GROUP].view(rows, _GROUP, groups)
    best = grouped.amax(1).topk(min(count, groups), dim=1, sorted=False).indices
    inside = (best[:, None, :] + groups * torch.arange(_GROUP, device=products.device)[:, None]).flatten(1)
    rest = torch.arange(groups * _GROUP, m, device=products.device).expand(rows, -1)
    columns = torch.cat([inside, rest], dim=1)
    values, places = products.gather(1, columns).float().topk(min(count, columns.shape[1]), dim=1, sorted=True)
    least = values[:, -1]
    return columns.gather(1, places), least + 2.0**-7 * least.abs()
