"""What a checkpoint's own files say of it at planning: no model is loaded, and no library of models imported."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from compute.errors import UserError
from compute.language_models.revisions import is_folder

_OTHER_WEIGHTS = ("*.bin", "*.pt", "*.pth", "*.gguf", "*.onnx", "*.h5", "*.msgpack", "*.safetensors")


def read_config(checkpoint: str, revision: str) -> Mapping[str, Any]:
    """A checkpoint's config.json; empty where it cannot be had now, which a worker that needs it will tell."""
    try:
        path = Path(checkpoint).expanduser() / "config.json" if is_folder(checkpoint) else _of_hub(checkpoint, revision)
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return config if isinstance(config, dict) else {}


def _of_hub(name: str, revision: str) -> Path:
    """The hub's file where it was downloaded before: a plan asks the hub for nothing but a revision. Raises OSError."""
    from huggingface_hub import try_to_load_from_cache

    cached = try_to_load_from_cache(name, "config.json", revision=revision)
    if not isinstance(cached, str):
        raise OSError(f"{name} was not downloaded before")
    return Path(cached)


def quantization(config: Mapping[str, Any]) -> str | None:
    """How a checkpoint's weights are quantized: the method's name; None if they are not."""
    settings = config.get("quantization_config") or (config.get("text_config") or {}).get("quantization_config")
    if not isinstance(settings, dict):
        return None
    method = settings.get("quant_method") or "bitsandbytes"
    return str(getattr(method, "value", method))


def check_quantized(checkpoint: str, revision: str, is_tuned: bool) -> None:
    """Refuse, before anything runs, quantized weights that cannot be read, or not be tuned as QLoRA tunes them.

    Raises:
        UserError: the library of bitsandbytes is missing; another kind is to be tuned.
    """
    method = quantization(read_config(checkpoint, revision))
    if method is None:
        return
    if method == "bitsandbytes" and find_spec("bitsandbytes") is None:
        raise UserError(
            f"model {checkpoint}: its weights are quantized by bitsandbytes, which is not installed: "
            "pip install 'transfer-warehouse[quantized]'"
        )
    if is_tuned:
        try:
            check_tunable(method)
        except ValueError as error:
            raise UserError(f"model {checkpoint}: {error}") from None


def check_tunable(method: str | None) -> None:
    """Raises ValueError for weights quantized in a way in which they are not tuned."""
    if method not in (None, "bitsandbytes"):
        raise ValueError(
            f"its weights are quantized by {method}, and only those of bitsandbytes are tuned (QLoRA); take the "
            "weights as they were before, or leave `sources` out"
        )


def unread_weights(folder: Path) -> list[str]:
    """Files of weights in a folder that are not those which are loaded: of other formats, or left from before."""
    read = {"model.safetensors"}
    index = folder / "model.safetensors.index.json"
    if not (folder / "model.safetensors").is_file() and index.is_file():
        try:
            read = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return []
    found = {path.name for pattern in _OTHER_WEIGHTS for path in folder.glob(pattern)}
    return sorted(found - read - {"training_args.bin", "optimizer.pt", "scheduler.pt", "rng_state.pth"})
