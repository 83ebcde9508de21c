"""What a folder's weights say of the layers that an adapter can be put on, without loading a model."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

from safetensors import SafetensorError, safe_open

from compute.json_text import parse_json
from compute.language_models.revisions import is_folder
from compute.language_models.settings import Family, Lora
from compute.names import UnknownName
from compute.project import expand

_VOCABULARY = ("embed_tokens", "embed_in", "lm_head", "embed_out")
"""Layers with a matrix that no adapter is put on."""


def check_target_modules(checkpoint: str, lora: Lora) -> None:
    """Looks for `target_modules` among the names of a checkpoint's weights, where it is in a folder.

    Only for architectures whose layers are called as their weights are: transformers renames those of others as it
    loads them. Whatever is not told here, a worker tells that has loaded the model.

    Raises:
        UnknownName: no layer's name ends so.
    """
    if lora.target_modules == "all-linear" or not is_folder(checkpoint):
        return
    layers = _layers(expand(checkpoint))
    for ending in lora.target_modules:
        if layers and not any(f".{name}".endswith(f".{ending}") for name in layers):
            raise UnknownName("target module", ending, sorted({name.rpartition(".")[2] for name in layers}))


def _layers(folder: Path) -> set[str]:
    """Return names of the linear layers but the output's; empty where they cannot be told."""
    found = set()
    try:
        config = parse_json((folder / "config.json").read_text(encoding="utf-8"))
        if config.get("model_type") not in get_args(Family):
            return set()
        for path in folder.glob("*.safetensors"):
            with safe_open(path, framework="np") as weights:
                names = [name for name in weights.keys() if name.endswith(".weight")]  # noqa: SIM118
                found |= {name for name in names if len(weights.get_slice(name).get_shape()) == 2}
    except (OSError, ValueError, AttributeError, SafetensorError):
        return set()
    layers = {name.removesuffix(".weight") for name in found}
    return {name for name in layers if name.rpartition(".")[2] not in _VOCABULARY}
