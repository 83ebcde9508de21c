"""Dropout whose draws are a function of what they are for, so that neither company nor batching changes them.

A counter-based generator (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011): each draw is a hash
of a key and a counter. Here the key is a token's (adapter's seed, step, row of the step's batch, place in the row) and
the layer, the counter a feature. A generator with a state would draw other numbers when rows are padded further, split
over micro-batches or accompanied by other adapters' rows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import torch
from torch import Tensor

_GOLDEN = -1640531527  # 2^32 / golden ratio, odd: steps of it visit all 32-bit numbers, far apart


def row_keys(names: Sequence[str]) -> Tensor:
    """Return a key for each name: int32 [names], from its sha256."""
    digests = [hashlib.sha256(f"dropout\0{name}".encode()).digest() for name in names]
    return torch.tensor([int.from_bytes(digest[:4], "big", signed=True) for digest in digests], dtype=torch.int32)


def token_keys(rows: Tensor, length: int) -> Tensor:
    """Return keys of the tokens of rows with these keys: int32 [rows, length] from int32 [rows]."""
    places = torch.arange(length, device=rows.device, dtype=torch.int32)
    return _mix(rows[:, None] + places * _GOLDEN)


def drop(x: Tensor, keys: Tensor, layer: int, probability: float) -> Tensor:
    """Dropout as torch's: entries are zeroed with a probability, the others divided by one less it.

    Args:
        x: [..., features].
        keys: of the tokens: int32, as many as x has rows of features, in their order.
        layer: a 32-bit number of the layer's own, so that layers draw differently.
        probability: of an entry to be zeroed, at least 0 and less than 1.
    """
    features = torch.arange(x.shape[-1], device=x.device, dtype=torch.int32)
    bits = _mix(_mix(keys.reshape(-1) ^ layer)[:, None] + features * _GOLDEN)
    keep = bits >= int(probability * 2**32) - 2**31
    return x * keep.to(x.dtype).mul_(1 / (1 - probability)).view(x.shape)


def _mix(bits: Tensor) -> Tensor:
    """Return a bijection of the 32-bit numbers that spreads every bit (MurmurHash3's finaliser, Appleby), in place."""
    # Shifts of int32 carry the sign along: the mask cuts it off.
    bits ^= (bits >> 16) & 0xFFFF
    bits *= -2048144789
    bits ^= (bits >> 13) & 0x7FFFF
    bits *= -1028477387
    bits ^= (bits >> 16) & 0xFFFF
    return bits
