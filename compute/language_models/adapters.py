"""An adapter as a value: how it starts, and PEFT's own format on disk."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import PreTrainedModel

from compute.json_text import parse_json
from compute.language_models.settings import Lora
from compute.language_models.targets import (
    Targets,
    features,
    find_targets,
    is_fan_in_fan_out,
    matrix,
    peft_config,
)

_PREFIX = "base_model.model."
_ENDINGS = {"a": ".lora_A.weight", "b": ".lora_B.weight", "magnitude": ".lora_magnitude_vector"}


@dataclass(frozen=True)
class Adapter:
    """One adapter: float32 arrays on the CPU by layer name.

    Attributes:
        rank: r.
        scaling: what B A is multiplied by.
        matrices: A [r, in] and B [out, r].
        magnitudes: DoRA's m [out]; of none or of all layers.
        fan_in_fan_out: some layer keeps its weight as [in, out], which PEFT must be told.
    """

    rank: int
    scaling: float
    matrices: dict[str, tuple[Tensor, Tensor]]
    magnitudes: dict[str, Tensor] = field(default_factory=dict)
    fan_in_fan_out: bool = False

    def array(self, layer: str, name: str) -> Tensor:
        """One of a layer's arrays: `a`, `b` or `magnitude`."""
        if name == "magnitude":
            return self.magnitudes[layer]
        return self.matrices[layer][("a", "b").index(name)]


def initial_adapter(model: PreTrainedModel, settings: Lora, seed: int, targets: Targets | None = None) -> Adapter:
    """Return an adapter as PEFT starts it, changing nothing yet: A Kaiming-uniform (a = sqrt 5), B zero, m the norms
    of W.

    Each layer's A depends on the seed and the layer's name only.

    Args:
        model: that it is for.
        settings: of the adapter.
        seed: of A.
        targets: its layers, if `find_targets` has found them before.

    Raises:
        ValueError: as `find_targets`.
    """
    matrices, magnitudes = {}, {}
    layers = (targets or find_targets(model, settings)).layers
    for name, layer in layers.items():
        inputs, outputs = features(layer)
        digest = hashlib.sha256(f"lora\0{seed}\0{name}".encode()).digest()
        draw = torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)
        a = torch.empty(settings.rank, inputs)
        nn.init.kaiming_uniform_(a, a=math.sqrt(5), generator=draw)
        matrices[name] = (a, torch.zeros(outputs, settings.rank))
        if settings.dora:
            magnitudes[name] = matrix(layer).detach().float().norm(dim=1).cpu()
    return Adapter(settings.rank, settings.scaling, matrices, magnitudes, is_fan_in_fan_out(layers.values()))


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
    if Path(base_model).is_absolute():
        raise ValueError(f"base_model {base_model!r} is an absolute path, which means nothing on another machine")
    config = peft_config(settings, adapter.matrices, adapter.fan_in_fan_out, base_model)
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(config.to_dict(), indent=2, sort_keys=True, default=sorted)
    (folder / "adapter_config.json").write_text(text + "\n", encoding="utf-8")
    tensors = {}
    for layer in adapter.matrices:
        for name, ending in _ENDINGS.items():
            if name != "magnitude" or adapter.magnitudes:
                tensors[_PREFIX + layer + ending] = adapter.array(layer, name).contiguous()
    save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})


_REFUSED = ("rank_pattern", "alpha_pattern", "lora_bias", "modules_to_save", "layer_replication",
            "use_qalora", "use_bdlora", "arrow_config", "kasa_config", "velora_config", "monteclora_config",
            "alora_invocation_tokens", "target_parameters", "trainable_token_indices")  # fmt: skip
"""Entries of an `adapter_config.json` that make it something else than LoRA or DoRA of one rank and scaling."""

_CHANGES_BASE = ("pissa", "olora", "corda", "loftq", "lora_ga")
"""First values that PEFT takes out of the base's weights."""


def load_adapter(folder: Path) -> Adapter:
    """Return a LoRA or DoRA adapter saved in PEFT's format, ours or another's.

    Raises:
        OSError: a file is missing.
        ValueError: a file is damaged, or the adapter is of a kind that cannot be stacked; the line says which.
    """
    path = folder / "adapter_config.json"
    try:
        config: dict[str, Any] = parse_json(path.read_text(encoding="utf-8"))
        rank, alpha = int(config["r"]), float(config["lora_alpha"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"adapter {folder}: {path.name} is damaged: {type(error).__name__}: {error}") from error
    if config.get("peft_type") != "LORA" or config.get("bias", "none") != "none":
        raise ValueError(f"adapter {folder}: not a plain LoRA adapter")
    for entry in _REFUSED:
        if config.get(entry):
            raise ValueError(f"adapter {folder}: its {entry} is set, and adapters of one rank and scaling are taken")
    start = config.get("init_lora_weights")
    if isinstance(start, str) and start.startswith(_CHANGES_BASE):
        raise ValueError(f"adapter {folder}: started by {start!r}, which changes the base's own weights")
    path = folder / "adapter_model.safetensors"
    try:
        tensors = load_file(path)
    except SafetensorError as error:
        raise ValueError(f"adapter {folder}: {path.name} is damaged: {error}") from error
    found: dict[str, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        name = next((n for n, ending in _ENDINGS.items() if key.startswith(_PREFIX) and key.endswith(ending)), None)
        if name is None:
            raise ValueError(f"adapter {folder}: holds {key!r}, which is no part of a LoRA adapter")
        found.setdefault(key[len(_PREFIX) : -len(_ENDINGS[name])], {})[name] = tensor.float()
    expected = {"a", "b", "magnitude"} if config.get("use_dora") else {"a", "b"}
    for layer, arrays in found.items():
        if arrays.keys() != expected:
            names = ", ".join(_ENDINGS[n].split(".")[1] for n in sorted(expected))
            raise ValueError(f"adapter {folder}: layer {layer!r} should have {names}, no less and no more")
    root = rank**0.5 if config.get("use_rslora") else rank
    return Adapter(
        rank,
        alpha / root,
        {layer: (arrays["a"], arrays["b"]) for layer, arrays in found.items()},
        {layer: arrays["magnitude"] for layer, arrays in found.items() if "magnitude" in arrays},
        bool(config.get("fan_in_fan_out")),
    )
