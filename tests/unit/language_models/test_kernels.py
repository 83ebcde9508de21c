"""Kernels of full float32 are taken in a block and nowhere else; a product of fewer bits is not taken for one."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest
import torch
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM

from compute.language_models import kernels
from compute.language_models.kernels import is_exact, quick_kernels


def model(width: int, dtype: torch.dtype = torch.float32) -> LlamaForCausalLM:
    config = LlamaConfig(
        vocab_size=8, hidden_size=width, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2
    )
    return LlamaForCausalLM(config).to(dtype)  # type: ignore[arg-type]


def state() -> tuple[str, bool]:
    """Precision of products, and whether attention by blocks may be taken."""
    products = torch.backends.mkldnn.matmul  # type: ignore[attr-defined]
    return products.fp32_precision, torch.backends.cuda.flash_sdp_enabled()


def in_block(width: int, tokens: int, dtype: torch.dtype = torch.float32) -> tuple[str, bool]:
    with quick_kernels(model(width, dtype), tokens):
        return state()


@pytest.fixture
def quicker(monkeypatch: pytest.MonkeyPatch) -> None:
    """A processor on which oneDNN is quicker."""
    monkeypatch.setattr(kernels, "_onednn_is_quicker_and_exact", lambda: True)


@pytest.mark.usefixtures("quicker")
def test_wide_models_in_float32_have_them_and_leave_them() -> None:
    before = state()
    assert before[0] != "bf16" and before[1]
    with torch.no_grad():
        assert in_block(256, 128) == ("bf16", False)
        assert in_block(256, 129) == ("bf16", True)
    assert in_block(256, 256) == ("bf16", False)
    assert in_block(256, 1) == in_block(128, 128) == in_block(256, 128, torch.bfloat16) == before
    with pytest.raises(KeyError), quick_kernels(model(256), 8):
        raise KeyError
    assert state() == before


def test_where_onednn_is_not_known_to_be_exact_it_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "_onednn_is_quicker_and_exact", lambda: False)
    assert in_block(256, 64) == (state()[0], False)


def test_products_of_fewer_bits_are_told_from_float32() -> None:
    left, right = torch.randn(64, 576), torch.randn(576, 32)

    def rounded(bits: int) -> Tensor:
        """To so many bits of the mantissa, as bfloat16 (8) and TF32 (11) have."""
        found = []
        for one in (left, right):
            mantissa, exponent = one.frexp()
            found.append((mantissa * 2**bits).round().ldexp(exponent - bits))
        return found[0] @ found[1]

    assert is_exact(torch.matmul, left, right)
    assert not is_exact(lambda *given: rounded(8), left, right)
    assert not is_exact(lambda *given: rounded(11), left, right)


@pytest.mark.parametrize(
    "capabilities",
    [{}, {"cpu_name": "Intel", "avx512_f": True}, {"cpu_name": "AMD", "avx512_f": True, "amx_tile": True}],
)
def test_other_processors_keep_to_mkl(capabilities: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    assert not kernels._onednn_is_quicker_and_exact.__wrapped__()


_FAULTS = """
import resource, torch
from compute.language_models.kernels import keep_freed_memory
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        torch.ones(8 * 2**20 // 4), torch.ones(8 * 2**20 // 4)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
taken_back = faults()
keep_freed_memory()
faults()
print(taken_back, faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another library allocates")
def test_freed_memory_is_kept() -> None:
    """In a process of its own: what is asked of glibc holds for good."""
    done = subprocess.run([sys.executable, "-c", _FAULTS], capture_output=True, text=True, check=True)
    taken_back, kept = map(int, done.stdout.split())
    assert kept < 100 < taken_back, (kept, taken_back)
