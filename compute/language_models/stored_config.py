"""What a checkpoint's own files say of it at planning: no model is loaded, and no library of models imported."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from compute.errors import UserError
from compute.json_text import parse_json
from compute.language_models.revisions import is_folder
from compute.project import expand

_LIBRARIES = {"*.model": "sentencepiece", "*.tiktoken": "tiktoken"}
"""Files of tokenizers, and what reads them where there is no tokenizer.json."""

_SENTENCEPIECE = b"\n"
"""The first byte of SentencePiece's files: the tag of a message's first field."""

WEIGHTS = ("model*.safetensors", "*[0-9]-of-[0-9]*.safetensors")
"""Files of weights that are read."""

_OTHER_WEIGHTS = ("*.bin", "*.pt", "*.pth", "*.gguf", "*.onnx", "*.h5", "*.msgpack", "*.safetensors")


def read_json(
    checkpoint: str, revision: str | None, name: str = "config.json", ask_hub: bool = False
) -> dict[str, Any]:
    """Return a JSON file of a checkpoint; empty where it cannot be had now, which a worker that needs it will tell."""
    try:
        content = parse_json(stored_file(checkpoint, revision, name, ask_hub).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def stored_file(checkpoint: str, revision: str | None, name: str, ask_hub: bool = False) -> Path:
    """Return where a checkpoint's file lies.

    Args:
        checkpoint: a folder, or a name on the hub.
        revision: on the hub.
        name: the file's.
        ask_hub: whether it may be downloaded; else only what was downloaded before is looked at.

    Raises:
        OSError: it is not there, or the hub cannot be reached.
    """
    if is_folder(checkpoint):
        return expand(checkpoint) / name
    from huggingface_hub import hf_hub_download, try_to_load_from_cache

    cached = try_to_load_from_cache(checkpoint, name, revision=revision)
    if isinstance(cached, str):
        return Path(cached)
    if cached is not None or not ask_hub or not _is_reached(checkpoint, revision):
        raise OSError(f"{checkpoint}: no {name} of it was downloaded before")
    try:
        return Path(hf_hub_download(checkpoint, name, revision=revision))
    except Exception as error:  # of the HTTP library that this version of the hub's client has
        raise OSError(str(error)) from None


@cache
def _is_reached(checkpoint: str, revision: str | None) -> bool:
    """Ask the hub for the model, which does not wait for a network as a download does; once a process."""
    from huggingface_hub import HfApi

    try:
        HfApi().model_info(checkpoint, revision=revision, timeout=20)
    except Exception:  # as above
        return False
    return True


def quantization(config: Mapping[str, Any]) -> str | None:
    """Return how a checkpoint's weights are quantized: the method's name; None if they are not."""
    settings = config.get("quantization_config") or (config.get("text_config") or {}).get("quantization_config")
    if not isinstance(settings, dict):
        return None
    method = settings.get("quant_method") or "bitsandbytes"
    return str(getattr(method, "value", method))


def check_quantized(checkpoint: str, revision: str | None, is_tuned: bool, ask_hub: bool = False) -> None:
    """Refuse, before anything runs, quantized weights that cannot be read, or not be tuned as QLoRA tunes them.

    Raises:
        UserError: the library of bitsandbytes is missing; another kind is to be tuned.
    """
    method = quantization(read_json(checkpoint, revision, ask_hub=ask_hub))
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


def check_library(folder: Path) -> None:
    """Raises ValueError for a tokenizer whose file only a library reads that is not installed."""
    if (folder / "tokenizer.json").is_file():
        return
    for pattern, library in _LIBRARIES.items():
        for path in sorted(folder.glob(pattern)):
            with open(path, "rb") as file:
                beginning = file.read(1)
            if pattern == "*.model" and beginning != _SENTENCEPIECE:
                continue  # a list of byte pairs, as Llama 3's
            if find_spec(library) is None:
                extra = "'transfer-warehouse[sentencepiece]'" if library == "sentencepiece" else library
                raise ValueError(
                    f"its tokenizer is in {path.name} alone, which {library} reads, and that is not installed: "
                    f"pip install {extra}; or save it as `tokenizer.json`"
                )


def check_weights(folder: Path, if_none: bool = True) -> None:
    """Raises ValueError for a model without safetensors weights; of one without any only `if_none`."""
    if any(True for pattern in WEIGHTS for _ in folder.glob(pattern)):
        return
    others = sorted(file.name for pattern in ("*.bin", "*.pt", "*.pth", "*.gguf") for file in folder.glob(pattern))
    if others or if_none:
        found = f", only {others[0]}" if others else ""
        raise ValueError(
            f"it has no safetensors weights{found}; other formats are not read, as they may run code; convert it with "
            "`save_pretrained`"
        )


def unread_weights(folder: Path) -> list[str]:
    """Return files of weights in a folder that are not those which are loaded: of other formats, or left from
    before."""
    read = {"model.safetensors"}
    index = folder / "model.safetensors.index.json"
    if not (folder / "model.safetensors").is_file() and index.is_file():
        try:
            read = set(parse_json(index.read_text(encoding="utf-8"))["weight_map"].values())
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return []
    found = {path.name for pattern in _OTHER_WEIGHTS for path in folder.glob(pattern)}
    return sorted(found - read - {"training_args.bin", "optimizer.pt", "scheduler.pt", "rng_state.pth"})
