"""The machine a benchmark runs on: its rate of matrix products, and memory."""

from __future__ import annotations

import re
import resource
import time
from pathlib import Path

import torch
import transformers


def describe(device: str) -> str:
    """Processor and versions, for the head of a table."""
    name = torch.cuda.get_device_name() if device == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    return f"{name}, torch {torch.__version__}, transformers {transformers.__version__}"


def wait(device: str) -> None:
    """Until the device has done what it was told."""
    if device == "cuda":
        torch.cuda.synchronize()


def matmul_rate(device: str, dtype: str) -> float:
    """Floating-point operations a second of a large square matrix product, the best of twenty."""
    n = 8192 if device == "cuda" else 1024
    a, b = (torch.randn(n, n, device=device).to(getattr(torch, dtype)) for _ in range(2))
    best = float("inf")
    for _ in range(20):
        wait(device)
        start = time.perf_counter()
        a @ b
        wait(device)
        best = min(best, time.perf_counter() - start)
    return 2 * n**3 / best


class PeakMemory:
    """The most bytes held from now on: of the GPU, else of the process."""

    def __init__(self, device: str) -> None:
        self.device = device
        if device == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
            self.before = torch.cuda.memory_allocated()
        else:
            Path("/proc/self/clear_refs").write_text("5")  # starts the kernel's record of the peak anew
            self.before = _status("VmRSS")

    def peak(self) -> int:
        """The peak since then."""
        return int(torch.cuda.max_memory_allocated()) if self.device == "cuda" else _status("VmHWM")

    def grown(self) -> int:
        """The peak, less what was held at the beginning."""
        return self.peak() - self.before


def _status(name: str) -> int:
    found = re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return 1024 * (int(found[1]) if found else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
