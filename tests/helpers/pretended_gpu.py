"""A GPU that is not there: tensors that compute on the CPU and are held to a GPU's rules.

Within `pretended_gpu()` a tensor made with `device="cuda"`, or moved there, says that it is there, as does all that is
computed from it. What would raise on a GPU raises here: an operation on tensors of both sides, `numpy()` of one that is
there, a generator of the host's to draw there. What would make the host wait is counted.
"""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode, resolve_name

CUDA, CPU = torch.device("cuda", 0), torch.device("cpu")
ROOT = Path(__file__).parents[2]

_WAITS = {
    "item", "tolist", "__bool__", "__int__", "__float__", "__index__", "nonzero", "argwhere", "unique", "masked_select",
    "equal", "allclose", "is_nonzero", "unique_consecutive", "bincount",
}  # fmt: skip
_MAY_MIX = {
    "__getitem__", "index_put", "index_put_", "copy_", "__setitem__", "to", "cpu", "cuda", "__get__", "__set__",
    "autograd.grad", "grad", "size", "dim", "untyped_storage", "data_ptr", "set_data", "__repr__", "__format__",
    "type_as",
    "_has_compatible_shallow_copy_type", "_pack_padded_sequence", "_pad_packed_sequence", "lstm",
}  # fmt: skip
"""These take tensors of both sides, or look at no values."""


class OnGpu(Tensor):
    """A tensor that says it is on the GPU."""

    @property  # type: ignore[override]
    def device(self) -> torch.device:
        return CUDA

    @property  # type: ignore[override]
    def is_cuda(self) -> bool:
        return True


class PretendedGpu(TorchFunctionMode):
    """The mode; `waits` counts lines of ours that make the host wait."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: Counter[str] = Counter()

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        name = getattr(func, "__name__", str(func))
        if func is torch.device or getattr(func, "__name__", "") == "_parse_to":
            return func(*args, **(kwargs or {}))
        kwargs = dict(kwargs or {})
        args = list(args)
        inputs = list(_tensors((args, kwargs)))
        there = any(isinstance(tensor, OnGpu) for tensor in inputs)
        asked = _device(args, kwargs)
        if name == "__get__" or name == "device":
            with torch._C.DisableTorchFunctionSubclass():
                found = func(*args, **kwargs)
            return _moved(found, there) if there else found
        if name == "pin_memory":
            return args[0]
        if there:
            self._look(name, func, inputs, args, kwargs)
        if name in ("cpu", "cuda"):
            asked = CPU if name == "cpu" else CUDA
            name, func, args = "to", Tensor.to, [args[0], CPU]
        with torch._C.DisableTorchFunctionSubclass():
            found = func(*args, **kwargs)
        if there and asked is not None and asked.type == "cpu" and name == "to":
            self._wait("to the host")
            # A tensor of its own, as from a GPU.
            return found.as_subclass(Tensor).clone() if found is args[0] else found.as_subclass(Tensor)
        if name == "type_as":
            there = isinstance(args[1], OnGpu)
        if name == "_pack_padded_sequence":
            return _moved(found[0], there), found[1]  # how many go on at each place: the host's to know
        if asked is not None:
            there = asked.type == "cuda"
        return _moved(found, there) if there else found

    def _look(self, name: str, func: Any, inputs: list[Tensor], args: Any, kwargs: Any) -> None:
        if name in ("numpy", "__array__"):
            raise TypeError("can't convert cuda:0 device type tensor to numpy")
        host = [tensor for tensor in inputs if not isinstance(tensor, OnGpu) and tensor.dim() > 0]
        if host and name not in _MAY_MIX:
            raise RuntimeError(
                f"{resolve_name(func) or name}: expected all tensors to be on the same device, found cuda:0 and cpu"
            )
        generator = kwargs.get("generator")
        if generator is not None and generator.device.type == "cpu":
            raise RuntimeError(f"{name}: expected a 'cuda' device type for generator but found 'cpu'")
        if name in _WAITS or (name == "where" and len(inputs) == 1):
            self._wait(name)
        if name in ("__getitem__", "__setitem__"):
            if any(tensor.dtype == torch.bool for tensor in _tensors(args[1])):
                self._wait("a mask as index")
            elif name == "__setitem__" and host:
                self._wait("copied there")
        if name == "repeat_interleave" and kwargs.get("output_size") is None:
            self._wait(name)

    def _wait(self, why: str) -> None:
        frames = [
            f for f in traceback.extract_stack() if f.filename.startswith(str(ROOT)) and ".venv" not in f.filename
        ]
        ours = [f for f in frames if "/tests/" not in f.filename]
        last = ours[-1] if ours else frames[-1]
        self.waits[f"{Path(last.filename).relative_to(ROOT)}:{last.lineno} {why}"] += 1


def _tensors(values: Any) -> Iterator[Tensor]:
    if isinstance(values, Tensor):
        yield values
    elif isinstance(values, list | tuple):
        for value in values:
            yield from _tensors(value)
    elif isinstance(values, dict):
        yield from _tensors(list(values.values()))


def _device(args: list[Any], kwargs: dict[str, Any]) -> torch.device | None:
    """The device asked for, replaced by the CPU."""
    found: torch.device | None = None
    for place, value in enumerate(args):
        if isinstance(value, torch.device) or (isinstance(value, str) and value.split(":")[0] in ("cuda", "cpu")):
            found, args[place] = torch.device(value), CPU
    if kwargs.get("device") is not None:
        found, kwargs["device"] = torch.device(kwargs["device"]), CPU
    return found


def _moved(found: Any, there: bool) -> Any:
    if isinstance(found, OnGpu) or not there:
        return found
    if isinstance(found, Tensor):
        if found.is_leaf and found.requires_grad:
            return found.detach().as_subclass(OnGpu).requires_grad_()
        return found.as_subclass(OnGpu)
    if isinstance(found, tuple) and type(found).__module__ == "torch.return_types":
        return type(found)([_moved(value, there) for value in found])
    if isinstance(found, list | tuple) and type(found) in (list, tuple):
        return type(found)(_moved(value, there) for value in found)
    return found


@contextmanager
def pretended_gpu() -> Iterator[PretendedGpu]:
    """See the module."""
    before = torch.__future__.get_overwrite_module_params_on_conversion()
    torch.__future__.set_overwrite_module_params_on_conversion(True)
    with pytest.MonkeyPatch.context() as patch, PretendedGpu() as gpu:
        patch.setattr(torch.random, "fork_rng", lambda devices=(): _plain_fork())
        try:
            yield gpu
        finally:
            torch.__future__.set_overwrite_module_params_on_conversion(before)


_fork_rng = torch.random.fork_rng


@contextmanager
def _plain_fork() -> Iterator[None]:
    with _fork_rng(devices=[]):
        yield
