"""Which of a processor's kernels do the work, where several give the same to rounding.

PyTorch multiplies float32 matrices on x86 by MKL, which on AMD's processors keeps to half of their registers' width,
or by oneDNN, which does not. oneDNN is asked where the precision of products may be lowered: what it lowers then is
the time alone on processors without tiles (AMX), as its kernels of less than float32 need them. And attention by blocks
(`flash`) is made for long rows: in short ones most of its time is not computing.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import PreTrainedModel

_NARROW = 256
"""Hidden states of fewer numbers: what the quicker kernels save is lost on calling them."""

_SHORT, _SHORT_IN_TRAINING = 128, 256
"""Tokens of a row."""

_KEPT, _LARGEST_BLOCK = 512 * 2**20, 32 * 2**20
"""Bytes that stay with the process when freed; a larger block is the system's own (32 MiB is the most that glibc
takes)."""

_ROUNDING = 1e-6
"""Of the sum of absolute products: float32 keeps to a tenth of it, products of 16 bits or TF32 lie ten times beyond."""


@contextmanager
def quick_kernels(model: PreTrainedModel, row_tokens: int) -> Iterator[None]:
    """Compute with the quickest kernels of full float32 in the block, for rows of so many tokens, padding included."""
    with ExitStack() as stack:
        if row_tokens > 1 and has_quick_kernels(model):
            keep_freed_memory()
            if _onednn_is_quicker_and_exact():
                stack.enter_context(_by_onednn())
            if row_tokens <= (_SHORT_IN_TRAINING if torch.is_grad_enabled() else _SHORT):
                stack.enter_context(sdpa_kernel(SDPBackend.MATH))
        yield


@cache
def keep_freed_memory() -> None:
    """Have glibc keep what a layer frees for the next one, as far as `_KEPT` goes; else the system takes each page back
    and clears it again, which was an eighth of the time of scoring. Nothing happens where another library allocates."""
    trim_threshold, top_pad, mmap_threshold = -1, -2, -3  # of malloc.h
    if mallopt := getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None:
        for parameter, value in ((mmap_threshold, _LARGEST_BLOCK), (trim_threshold, _KEPT), (top_pad, _LARGEST_BLOCK)):
            mallopt(parameter, value)


def has_quick_kernels(model: PreTrainedModel) -> bool:
    """Return whether it is wide enough for them, of float32, and on the processor."""
    config = model.config.get_text_config(decoder=True)
    is_float32_here = model.dtype == torch.float32 and model.device.type == "cpu"
    return is_float32_here and getattr(config, "hidden_size", 0) >= _NARROW


@contextmanager
def _by_onednn() -> Iterator[None]:
    products: Any = torch.backends.mkldnn.matmul  # type: ignore[attr-defined]  # not in its annotations
    before = products.fp32_precision
    products.fp32_precision = "bf16"
    try:
        yield
    finally:
        products.fp32_precision = before


@cache
def _onednn_is_quicker_and_exact() -> bool:
    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    is_amd = "AMD" in str(capabilities.get("cpu_name"))
    if not (is_amd and capabilities.get("avx512_f")) or capabilities.get("amx_tile"):
        return False
    draw = torch.Generator().manual_seed(0)
    left, right = (torch.randn(size, generator=draw) for size in ((512, 576), (576, 320)))
    with _by_onednn():
        return all(
            is_exact(torch.matmul, *given) for given in ((left, right), (right.T, left.T), (left[:8], right[:, :64]))
        )


def is_exact(multiply: Callable[[Tensor, Tensor], Tensor], left: Tensor, right: Tensor) -> bool:
    """Return whether a product of float32 matrices is as right as float32 makes it."""
    exact, size = left.double() @ right.double(), left.double().abs() @ right.double().abs()
    return bool(((multiply(left, right).double() - exact).abs() <= _ROUNDING * size).all())
