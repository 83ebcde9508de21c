"""Which device to compute on, and with how many workers."""

from __future__ import annotations

import os
from pathlib import Path

from compute.errors import UserError
from compute.names import UnknownName

DEVICES = ("auto", "cpu", "cuda")
_MOST_CPU_WORKERS = 8


def resolve_device(name: str) -> str:
    """`cpu` or `cuda` for a name of `DEVICES`. Raises UserError for another name, or where there is no GPU."""
    check_device(name)
    if name == "cpu":
        return name
    import torch

    if torch.cuda.is_available():
        return "cuda"
    if name == "cuda":
        raise UserError("DEVICE=cuda: no CUDA device is visible; use DEVICE=cpu or auto")
    return "cpu"


def planned_device(name: str) -> str:
    """Return the device that is meant where nothing is computed: that named, visible or not; `auto`: a GPU if there is
    one. Raises UserError for another name. Where no driver has made a device file, it is told without torch."""
    if name in ("cpu", "cuda"):
        return name
    there = any(Path("/dev", file).exists() for file in ("nvidiactl", "kfd", "dxg"))
    return resolve_device(name) if there or name not in DEVICES else "cpu"


def check_device(name: str) -> None:
    """Raise UserError for a name that is none of `DEVICES`."""
    if name not in DEVICES:
        raise UserError(str(UnknownName("device", name, DEVICES)))


def available_cores() -> int:
    """Return the cores that this process may use; where the system does not say (macOS), all there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def default_workers(device: str) -> int:
    """One worker a core on a CPU (at most 8), one a GPU."""
    return len(visible_gpus()) if device == "cuda" else min(available_cores(), _MOST_CPU_WORKERS)


def threads_a_worker(device: str, workers: int) -> int:
    """One on a CPU, where the cores have a worker each and results shall not depend on how many there are; beside a GPU
    the cores are shared out, as mappings in NumPy, DLV and the reading of vectors run on them."""
    return max(1, available_cores() // workers) if device == "cuda" else 1


def device_works(device: str) -> bool:
    """Return whether this process can still compute there.

    After an assertion or an illegal access on a GPU every later call fails until the process ends; running out of
    memory, or a call with wrong arguments, leaves it as it was.
    """
    if device == "cpu":
        return True
    import torch

    if not torch.cuda.is_initialized():
        return True
    try:
        torch.cuda.synchronize()
    except RuntimeError:
        return False
    return True


def visible_gpus() -> list[str]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them; empty where there is none."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [name.strip() for name in named.split(",") if name.strip()]
    import torch

    return [str(number) for number in range(torch.cuda.device_count())]
