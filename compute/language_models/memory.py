"""Batches by tokens and by logits, halved when the GPU's memory is not enough for one; and what goes there and back."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Limits:
    """What a batch may hold.

    Attributes:
        tokens: padding included.
        logits: rows of logits over the vocabulary.
        full: so many tokens keep the device busy, and a larger batch holds no more padding than `PADDING_SHARE`.
        is_padded: whether texts are padded to the longest.
    """

    tokens: int
    logits: int
    full: int = 1 << 62
    is_padded: bool = True


PADDING_SHARE = 0.08
"""Of a batch's tokens: below it a batch more costs what the padding does."""


_TOKENS = {"cpu": 2048, "cuda": 16384}
"""On a CPU few enough for its caches; on a GPU enough to keep it busy."""

_FULL = {"cpu": 256, "cuda": 8192}

_UNPADDED = 1024
"""Tokens of a batch without padding, on a CPU."""

_LOGITS = {"cpu": 2**26, "cuda": 2**29}
"""Numbers; 1 GiB of bfloat16 on a GPU."""


def default_limits(device: str | torch.device, vocabulary: int, is_padded: bool = True) -> Limits:
    """Limits that suit a device and a vocabulary's size."""
    kind = "cpu" if torch.device(device).type == "cpu" else "cuda"
    tokens = _TOKENS[kind] if is_padded else _UNPADDED
    return Limits(tokens, max(1, _LOGITS[kind] // vocabulary), _FULL[kind], is_padded)


@dataclass(frozen=True)
class Load:
    """One text's tokens and rows of logits, and what to call it in an error."""

    tokens: int
    logits: int
    name: str


def run_in_batches(loads: Sequence[Load], limits: Limits, run: Callable[[list[int]], None]) -> None:
    """Calls `run` with the indices of each batch, so that every index is in one batch that ran to its end.

    A batch holds texts of like length within the limits, or a single one. The longest come first, so that it shows at
    once whether the memory is enough. A batch that the GPU's memory is not enough for is run again in halves, and later
    ones are no larger than those.

    Args:
        loads: of each text.
        limits: of a batch.
        run: does the work of a batch; is called again with part of it if it raises `torch.OutOfMemoryError`.

    Raises:
        ValueError: the memory is not enough for a single text.
    """
    left = sorted(range(len(loads)), key=lambda i: (-loads[i].tokens, i))
    while left:
        batch = _next_batch(loads, left, limits)
        if _fits(run, batch):
            left = left[len(batch) :]
        elif len(batch) == 1:
            load = loads[batch[0]]
            raise ValueError(
                f"{load.name}: the GPU's memory is not enough for its {load.tokens} tokens, alone in a batch; take a "
                "GPU with more memory, a smaller dtype, or a smaller model"
            )
        else:
            half = batch[: len(batch) // 2]
            limits = Limits(len(half) * loads[half[0]].tokens, sum(loads[i].logits for i in half), limits.full)


def _next_batch(loads: Sequence[Load], left: Sequence[int], limits: Limits) -> list[int]:
    batch: list[int] = []
    logits = tokens = 0
    for i in left:
        logits += loads[i].logits
        tokens += loads[i].tokens
        padded = (len(batch) + 1) * loads[left[0]].tokens if limits.is_padded else tokens
        is_padding = padded > limits.full and padded - tokens > PADDING_SHARE * padded
        if batch and (padded > limits.tokens or logits > limits.logits or is_padding):
            break
        batch.append(i)
    return batch


def _fits(run: Callable[[list[int]], None], batch: list[int]) -> bool:
    try:
        run(batch)
    except torch.OutOfMemoryError:
        pass  # what the error's traceback holds is freed once this block is left
    else:
        return True
    release_memory()
    return False


def release_memory() -> None:
    """Give back to the GPU, if there is one, what nothing refers to any more."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """Return the tensor there; to a GPU from pinned memory, so that the copy is queued like other work and nobody
    waits."""
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)
