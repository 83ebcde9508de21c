"""Stacked LoRA: several adapters over one frozen base in one pass.

LoRA (Hu et al., arXiv 2106.09685) adds to a frozen linear layer's output W x the update s B A x, A of shape [r, in],
B of shape [out, r]. A stack holds K adapters' matrices as A [K, r, in] and B [K, out, r]; the rows of a batch are laid
out as K groups of equal size, one an adapter, so that the base runs once over all of them and the updates are two
batched matrix products. No adapter sees another's rows.

DoRA (Liu et al., arXiv 2402.09353) then scales each output by m / |W + s B A|, the norm over inputs being taken as a
constant; m, of shape [out], is trained too and starts as |W|.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from compute.language_models.adapters import Adapter
from compute.language_models.dropout import drop
from compute.language_models.kernels import has_quick_kernels
from compute.language_models.targets import features, matrix, number_type


class StackedLinear(nn.Module):
    """A frozen linear layer with an update an active adapter; its input's first dimension holds one group each.

    Attributes:
        base: the frozen layer.
        a: A of the active adapters [active, r, in], in the base's dtype.
        b: B of the active adapters [active, out, r], in the base's dtype.
        magnitude: m of the active adapters [active, out] in float32; None without DoRA.
    """

    a: Tensor
    b: Tensor

    def __init__(self, name: str, base: nn.Module, stack: LoraStack) -> None:
        super().__init__()
        self.base = base
        self.magnitude: Tensor | None = None
        self._number = zlib.crc32(name.encode()) - 2**31
        self._base_norms: Tensor | None = None
        self._norms: Tensor | None = None
        # In a tuple, so that the stack is not taken for a submodule's state and never copied with the layer.
        self._stack = (stack,)

    @property
    def weight(self) -> Any:
        """The base's, for models that read it themselves; PEFT's layers show the same."""
        return self.base.weight

    @property
    def bias(self) -> Any:
        """The base's."""
        return self.base.bias

    def forward(self, x: Tensor) -> Tensor:
        """[groups * rows, ..., in] -> [groups * rows, ..., out]."""
        stack = self._stack[0]
        groups = x.reshape(len(self.a), -1, x.shape[-1])
        if self._is_quicker_merged(groups.shape[1]):
            weight = torch.addmm(matrix(self.base), self.b[0], self.a[0], alpha=stack.scaling)
            return nn.functional.linear(x, weight, self.bias)
        output: Tensor = self.base(groups)
        dropped = stack.drop(groups, self._number)
        narrow = torch.bmm(dropped, self.a.transpose(1, 2))
        if self.magnitude is None:
            # In place where nothing else has the output: as a copy, it would be written twice.
            add = output.baddbmm_ if type(self.base) is nn.Linear else output.baddbmm
            output = add(narrow, self.b.transpose(1, 2), alpha=stack.scaling)
        else:
            scale = self.magnitude / self.norms()
            if dropped is not groups:
                plain = nn.functional.linear(dropped, matrix(self.base).to(x.dtype))
            else:
                plain = output if self.bias is None else output - self.bias
            update = torch.bmm(narrow, self.b.transpose(1, 2)) * stack.scaling
            output = output + (scale - 1)[:, None].to(x.dtype) * plain + scale[:, None].to(x.dtype) * update
        return output.view(*x.shape[:-1], -1)

    def _is_quicker_merged(self, tokens: int) -> bool:
        """Whether the update of the weight is fewer products than that of the output of so many tokens."""
        if torch.is_grad_enabled() or len(self.a) > 1 or self.magnitude is not None or not self._stack[0].may_merge:
            return False
        weight = self.weight
        if type(weight) is not nn.Parameter or weight.dtype != torch.float32:
            return False  # quantized: such layers may round what they are given, too
        inputs, outputs = features(self.base)
        return tokens * (inputs + outputs) > inputs * outputs

    @torch.no_grad()
    def norms(self) -> Tensor:
        """|W + s B A| of each output over the inputs, float32 [active, out]; no gradient goes through it.

        By |W|^2 + 2 s W.(B A) + s^2 |B A|^2, so that no matrix of W's size is made for each adapter.
        """
        if self._norms is None:
            weight, a, b, s = matrix(self.base).float(), self.a.float(), self.b.float(), self._stack[0].scaling
            if self._base_norms is None:
                self._base_norms = weight.square().sum(1)
            cross = (torch.matmul(weight, a.transpose(1, 2)) * b).sum(2)
            square = (torch.bmm(b, torch.bmm(a, a.transpose(1, 2))) * b).sum(2)
            self._norms = (self._base_norms + 2 * s * cross + s * s * square).clamp(min=0).sqrt()
        return self._norms

    def forget_norms(self) -> None:
        """To be called when A or B have changed."""
        self._norms = None


@dataclass
class _Slot:
    """Where an array lies among an adapter's numbers of one device and dtype."""

    layer: str
    array: str
    start: int
    shape: tuple[int, ...]

    @property
    def stop(self) -> int:
        return self.start + torch.Size(self.shape).numel()


class _Part:
    """All numbers of the stack on one device and for one dtype, an adapter a row.

    Attributes:
        masters: float32 [adapters, numbers]: what is trained and saved.
        working: the active adapters' [active, numbers], in the dtype that the base computes in.
        leaves: views of `working`, one a slot, [active, *shape].
        gradients: float32 [adapters, numbers]; None until asked for.
    """

    def __init__(self, device: torch.device, dtype: torch.dtype) -> None:
        self.device, self.dtype = device, dtype
        self.slots: list[_Slot] = []
        self.leaves: list[Tensor] = []
        self.masters = self.working = torch.empty(0)
        self.gradients: Tensor | None = None

    def add(self, layer: str, array: str, shape: tuple[int, ...]) -> None:
        """Room for one more array of each adapter."""
        self.slots.append(_Slot(layer, array, self.slots[-1].stop if self.slots else 0, shape))

    def fill(self, adapters: Sequence[Adapter]) -> None:
        """Take over the adapters' values."""
        rows = [
            torch.cat([adapter.array(slot.layer, slot.array).flatten() for slot in self.slots]) for adapter in adapters
        ]
        self.masters = torch.stack(rows).to(self.device, torch.float32)

    def activate(self, active: Sequence[int]) -> None:
        """Make room for the active adapters alone."""
        self.working = torch.empty(len(active), self.masters.shape[1], device=self.device, dtype=self.dtype)
        trained = self.gradients is not None
        self.leaves = [self._view(self.working, slot).requires_grad_(trained) for slot in self.slots]
        self.refresh(active)

    @torch.no_grad()
    def refresh(self, active: Sequence[int]) -> None:
        """Bring `working` up to `masters`."""
        for place, k in enumerate(active):
            self.working[place].copy_(self.masters[k])

    def add_gradients(self, active: Sequence[int], gradients: Iterable[Tensor | None]) -> None:
        """Add those of `leaves` to `gradients`; a layer that the model did not use has none."""
        assert self.gradients is not None
        for slot, gradient in zip(self.slots, gradients, strict=True):
            if gradient is None:
                continue
            view = self._view(self.gradients, slot)
            if list(active) == list(range(len(view))):
                view.add_(gradient)
            else:
                for place, k in enumerate(active):
                    view[k].add_(gradient[place])

    def _view(self, numbers: Tensor, slot: _Slot) -> Tensor:
        return numbers.detach()[:, slot.start : slot.stop].view(-1, *slot.shape)


class LoraStack:
    """Adapters installed on a model while the `with` block lasts; the model is as it was afterwards.

    Attributes:
        layers: the adapted layers by name.
        scaling: what B A is multiplied by.
        rank: of the updates.
    """

    def __init__(self, model: PreTrainedModel, adapters: Sequence[Adapter]) -> None:
        """Takes adapters of one rank, scaling and kind (LoRA or DoRA) over the same layers.

        Raises:
            ValueError: no adapter; different ranks, scalings or layers; a layer that the model lacks or of another
                shape.
        """
        if not adapters:
            raise ValueError("a stack needs at least one adapter")
        self.rank, self.scaling = adapters[0].rank, adapters[0].scaling
        if any((other.rank, other.scaling) != (self.rank, self.scaling) for other in adapters):
            raise ValueError("stacked adapters must be of one rank and scaling")
        self.layers: dict[str, StackedLinear] = {}
        self._model = model
        self.may_merge = has_quick_kernels(model)  # in fewer bits a merged weight is another
        self._fan_in_fan_out = adapters[0].fan_in_fan_out
        self._size = len(adapters)
        self._dropout: tuple[float, Tensor] | None = None
        self._parts: dict[tuple[torch.device, torch.dtype], _Part] = {}
        modules = dict(model.named_modules())
        for name in adapters[0].matrices:
            base = modules.get(name)
            if not isinstance(base, nn.Linear | Conv1D):
                raise ValueError(f"the model has no linear layer {name!r} to put the adapter on")
            if any(
                other.matrices.keys() != adapters[0].matrices.keys()
                or other.magnitudes.keys() != adapters[0].magnitudes.keys()
                for other in adapters
            ):
                raise ValueError("stacked adapters must be over the same layers")
            shapes = {tuple(tuple(matrix.shape) for matrix in other.matrices[name]) for other in adapters}
            inputs, outputs = features(base)
            expected = ((self.rank, inputs), (outputs, self.rank))
            if shapes != {expected}:
                raise ValueError(f"layer {name!r} takes A and B of {expected}, not {sorted(shapes)}")
            self.layers[name] = StackedLinear(name, base, self)
            part = self._part(base.weight.device, number_type(base, model))
            part.add(name, "a", expected[0])
            part.add(name, "b", expected[1])
            if name in adapters[0].magnitudes:
                # In float32: in bf16 a magnitude near 1 could not move by less than 0.4 %.
                self._part(base.weight.device, torch.float32).add(name, "magnitude", (outputs,))
        for part in self._parts.values():
            part.fill(adapters)
        self._activate(list(range(self._size)))

    def _part(self, device: torch.device, dtype: torch.dtype) -> _Part:
        return self._parts.setdefault((device, dtype), _Part(device, dtype))

    def __len__(self) -> int:
        return self._size

    def __enter__(self) -> LoraStack:
        for name, layer in self.layers.items():
            self._model.set_submodule(name, layer)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for name, layer in self.layers.items():
            self._model.set_submodule(name, layer.base)

    @property
    def active(self) -> list[int]:
        """Return which adapters the groups of the next batch belong to, in order; all of them at first."""
        return list(self._active)

    @active.setter
    def active(self, active: Sequence[int]) -> None:
        if list(active) != self._active:
            self._activate(active)

    def _activate(self, active: Sequence[int]) -> None:
        self._active = list(active)
        for part in self._parts.values():
            part.activate(self._active)
            for slot, leaf in zip(part.slots, part.leaves, strict=True):
                setattr(self.layers[slot.layer], slot.array, leaf)
        self._forget_norms()

    def _forget_norms(self) -> None:
        for layer in self.layers.values():
            layer.forget_norms()

    def adapter(self, index: int) -> Adapter:
        """Return a copy of one adapter as it is now."""
        # One copy a part: each makes the host wait for the device.
        rows = [(part, part.masters[index].cpu()) for part in self._parts.values()]
        arrays = {
            (slot.layer, slot.array): row[slot.start : slot.stop].view(slot.shape).clone()
            for part, row in rows
            for slot in part.slots
        }
        matrices = {name: (arrays[name, "a"], arrays[name, "b"]) for name in self.layers}
        magnitudes = {name: arrays[name, "magnitude"] for name in self.layers if (name, "magnitude") in arrays}
        return Adapter(self.rank, self.scaling, matrices, magnitudes, self._fan_in_fan_out)

    def trained(self, index: int) -> list[Tensor]:
        """All numbers of one adapter, float32, a vector a device and dtype. After changing them call `refresh`."""
        return [part.masters[index] for part in self._parts.values()]

    def refresh(self) -> None:
        """To be called when `trained` was changed: from now on the active adapters compute with the new values."""
        for part in self._parts.values():
            part.refresh(self._active)
        self._forget_norms()

    def require_gradients(self) -> None:
        """From now on forward passes remember what `add_gradients` needs."""
        for part in self._parts.values():
            part.gradients = torch.zeros_like(part.masters)
        self._activate(self._active)

    def add_gradients(self, loss: Tensor) -> None:
        """Add the gradients of a loss to `gradients`: summed in float32, whatever the model computes in."""
        parts = self._parts.values()
        leaves = [leaf for part in parts for leaf in part.leaves]
        gradients = iter(torch.autograd.grad(loss, leaves, allow_unused=True))
        for part in parts:
            part.add_gradients(self._active, islice(gradients, len(part.leaves)))

    @property
    def gradients(self) -> list[Tensor]:
        """Sums since `zero_gradients`: float32 [adapters, numbers], in the order of `trained`."""
        return [part.gradients for part in self._parts.values() if part.gradients is not None]

    def zero_gradients(self) -> None:
        """Begin new sums."""
        for gradients in self.gradients:
            gradients.zero_()

    @contextmanager
    def dropout(self, probability: float, keys: Tensor) -> Iterator[None]:
        """Within the block the updates' inputs are dropped out.

        Args:
            probability: of an entry to be zeroed.
            keys: of the tokens of the batch, int32 [rows, length]; see `compute.language_models.dropout`.
        """
        self._dropout = (probability, keys)
        try:
            yield
        finally:
            self._dropout = None

    def drop(self, groups: Tensor, layer: int) -> Tensor:
        """[active, tokens, in] with dropout where it is on; see `dropout`."""
        if self._dropout is None:
            return groups
        probability, keys = self._dropout
        return drop(groups, keys.to(groups.device), layer, probability)
