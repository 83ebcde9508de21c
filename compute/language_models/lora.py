"""Stacked LoRA: several adapters over one frozen base in one pass.

LoRA (Hu et al., arXiv 2106.09685) adds to a frozen linear layer's output W x the update s B A x, A of shape [r, in],
B of shape [out, r]. A stack holds K adapters' matrices as A [K, r, in] and B [K, out, r]; the rows of a batch are laid
out as K groups of equal size, one an adapter, so that the base runs once over all of them and the updates are two
batched matrix products. No adapter sees another's rows.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import PreTrainedModel

from compute.language_models.settings import Lora

_PEFT_KEY = "base_model.model.{module}.lora_{matrix}.weight"


@dataclass(frozen=True)
class Adapter:
    """One adapter: float32 matrices on the CPU by layer name, A [r, in] and B [out, r]."""

    rank: int
    scaling: float
    matrices: dict[str, tuple[Tensor, Tensor]]


class StackedLinear(nn.Module):
    """A frozen linear layer with K low-rank updates; its input's first dimension holds one group an active adapter."""

    def __init__(self, base: nn.Linear, a: Tensor, b: Tensor, scaling: Tensor, stack: LoraStack) -> None:
        super().__init__()
        device = base.weight.device
        self.base = base
        self.lora_a = nn.Parameter(a.to(device))
        self.lora_b = nn.Parameter(b.to(device))
        self.scaling = scaling.to(device)
        # In a tuple, so that the stack is not taken for a submodule's state and never copied with the layer.
        self._stack = (stack,)

    def forward(self, x: Tensor) -> Tensor:
        """[groups * rows, ..., in] -> [groups * rows, ..., out]."""
        stack = self._stack[0]
        a: Tensor = self.lora_a
        b: Tensor = self.lora_b
        scaling = self.scaling
        if len(stack.active) < len(stack):
            chosen = torch.tensor(stack.active, device=a.device)
            a, b, scaling = a[chosen], b[chosen], scaling[chosen]
        groups = x.reshape(len(a), -1, x.shape[-1])
        update = torch.bmm(stack.drop(groups), a.to(x.dtype).transpose(1, 2))
        update = torch.bmm(update, (b * scaling[:, None, None]).to(x.dtype).transpose(1, 2))
        output: Tensor = self.base(x)
        return output + update.view(*x.shape[:-1], -1)


class LoraStack:
    """Adapters installed on a model while the `with` block lasts; the model is as it was afterwards.

    Attributes:
        layers: the adapted layers by name.
        active: which adapters the groups of the next batch belong to, in order; all of them at first.
    """

    def __init__(self, model: PreTrainedModel, adapters: Sequence[Adapter]) -> None:
        """Takes adapters of one rank over the same layers.

        Raises:
            ValueError: no adapter; different ranks or layers; a layer that the model lacks or of another shape.
        """
        if not adapters:
            raise ValueError("a stack needs at least one adapter")
        self.active: list[int] = list(range(len(adapters)))
        self.layers: dict[str, StackedLinear] = {}
        self._model = model
        self._dropout = 0.0
        self._draws: list[torch.Generator] = []
        self._scalings = [adapter.scaling for adapter in adapters]
        self._rank = adapters[0].rank
        modules = dict(model.named_modules())
        for name in adapters[0].matrices:
            base = modules.get(name)
            if not isinstance(base, nn.Linear):
                raise ValueError(f"the model has no linear layer {name!r} to put the adapter on")
            if any(adapter.matrices.keys() != adapters[0].matrices.keys() for adapter in adapters):
                raise ValueError("stacked adapters must be over the same layers")
            pairs = [adapter.matrices[name] for adapter in adapters]
            shapes = {(tuple(a.shape), tuple(b.shape)) for a, b in pairs}
            expected = ((self._rank, base.in_features), (base.out_features, self._rank))
            if shapes != {expected}:
                raise ValueError(f"layer {name!r} takes A and B of {expected}, not {sorted(shapes)}")
            self.layers[name] = StackedLinear(
                base,
                torch.stack([a for a, _ in pairs]),
                torch.stack([b for _, b in pairs]),
                torch.tensor(self._scalings),
                self,
            )

    def __len__(self) -> int:
        return len(self._scalings)

    def __enter__(self) -> LoraStack:
        for name, layer in self.layers.items():
            self._model.set_submodule(name, layer)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for name, layer in self.layers.items():
            self._model.set_submodule(name, layer.base)

    def parameters(self) -> list[nn.Parameter]:
        """All matrices, each with the adapters as its first dimension."""
        return [matrix for layer in self.layers.values() for matrix in (layer.lora_a, layer.lora_b)]

    def adapter(self, index: int) -> Adapter:
        """A copy of one adapter as it is now."""
        matrices = {
            name: (layer.lora_a[index].detach().cpu().clone(), layer.lora_b[index].detach().cpu().clone())
            for name, layer in self.layers.items()
        }
        return Adapter(self._rank, self._scalings[index], matrices)

    @contextmanager
    def dropout(self, probability: float, seeds: Sequence[int]) -> Iterator[None]:
        """Within the block the updates' inputs are dropped out, each adapter's from its own seeded generator."""
        device = next(self._model.parameters()).device
        self._draws = [torch.Generator(device).manual_seed(seed) for seed in seeds]
        self._dropout = probability
        try:
            yield
        finally:
            self._dropout = 0.0

    def drop(self, groups: Tensor) -> Tensor:
        """[active, rows, in] with dropout where it is on; see `dropout`."""
        if self._dropout == 0.0 or not torch.is_grad_enabled():
            return groups
        keep = torch.stack(
            [torch.rand(groups.shape[1:], generator=self._draws[i], device=groups.device) for i in self.active]
        )
        return groups * (keep >= self._dropout) / (1 - self._dropout)


def initial_adapter(model: PreTrainedModel, settings: Lora, seed: int) -> Adapter:
    """An adapter as PEFT starts it: A Kaiming-uniform (a = sqrt 5), B zero, so that it changes nothing yet.

    Each layer's A depends on the seed and the layer's name only.

    Raises:
        ValueError: `target_modules` that match no linear layer of the model.
    """
    matrices = {}
    for name, layer in _target_layers(model, settings).items():
        digest = hashlib.sha256(f"lora\0{seed}\0{name}".encode()).digest()
        draw = torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)
        a = torch.empty(settings.rank, layer.in_features)
        nn.init.kaiming_uniform_(a, a=math.sqrt(5), generator=draw)
        matrices[name] = (a, torch.zeros(layer.out_features, settings.rank))
    return Adapter(settings.rank, settings.scaling, matrices)


def _target_layers(model: PreTrainedModel, settings: Lora) -> dict[str, nn.Linear]:
    output = model.get_output_embeddings()  # type: ignore[no-untyped-call]
    linear = {n: m for n, m in model.named_modules() if isinstance(m, nn.Linear) and m is not output}
    if settings.target_modules == "all-linear":
        return linear
    wanted = tuple(settings.target_modules)
    for ending in wanted:
        if not any(f".{name}".endswith(f".{ending}") for name in linear):
            endings = sorted({name.rpartition(".")[2] for name in linear})
            raise ValueError(f"target module {ending!r} matches no layer of the model; it has {', '.join(endings)}")
    return {n: m for n, m in linear.items() if f".{n}".endswith(tuple(f".{ending}" for ending in wanted))}


def save_adapter(adapter: Adapter, settings: Lora, folder: Path, base_model: str) -> None:
    """Writes PEFT's own format; `PeftModel.from_pretrained(base, folder)` loads it.

    Args:
        adapter: what to save.
        settings: what it was made with.
        folder: made if need be.
        base_model: a name for the base that means the same on every machine, never an absolute path.

    Raises:
        ValueError: `base_model` is an absolute path.
    """
    from peft import LoraConfig

    if Path(base_model).is_absolute():
        raise ValueError(f"base_model {base_model!r} is an absolute path, which means nothing on another machine")
    config = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,  # type: ignore[arg-type]  # PEFT says int and takes any number
        use_rslora=settings.rs_lora,
        lora_dropout=settings.dropout,
        target_modules=sorted(adapter.matrices),
        task_type="CAUSAL_LM",
        inference_mode=True,
        base_model_name_or_path=base_model,
    )
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(config.to_dict(), indent=2, sort_keys=True, default=sorted)
    (folder / "adapter_config.json").write_text(text + "\n", encoding="utf-8")
    tensors = {}
    for module, (a, b) in adapter.matrices.items():
        tensors[_PEFT_KEY.format(module=module, matrix="A")] = a.contiguous()
        tensors[_PEFT_KEY.format(module=module, matrix="B")] = b.contiguous()
    save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})


def load_adapter(folder: Path) -> Adapter:
    """An adapter saved in PEFT's format, ours or another's.

    Raises:
        OSError: a file is missing or truncated.
        ValueError: not a plain LoRA adapter.
    """
    config = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    if config.get("peft_type") != "LORA" or config.get("use_dora") or config.get("bias", "none") != "none":
        raise ValueError(f"adapter {folder}: not a plain LoRA adapter")
    tensors = load_file(folder / "adapter_model.safetensors")
    prefix, middle, suffix = "base_model.model.", ".lora_A", ".weight"
    matrices = {}
    for key, a in tensors.items():
        if key.startswith(prefix) and key.endswith(middle + suffix):
            module = key[len(prefix) : -len(middle + suffix)]
            matrices[module] = (a.float(), tensors[_PEFT_KEY.format(module=module, matrix="B")].float())
    if 2 * len(matrices) != len(tensors):
        raise ValueError(f"adapter {folder}: holds tensors that are not pairs of LoRA matrices")
    rank = int(config["r"])
    root = rank**0.5 if config.get("use_rslora") else rank
    return Adapter(rank, float(config["lora_alpha"]) / root, matrices)
