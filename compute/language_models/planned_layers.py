"""The layers that adapters will be put on, known at planning from a model's configuration, without its weights.

Most checkpoints need no look: their linear layers are adapted, as PEFT adapts them. Mixtures of experts and models with
a state have layers that are left out, and named layers may be those; for these a skeleton of the model is made.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, get_args

from compute.language_models.settings import Family, Lora
from compute.language_models.stored_config import read_json, stored_file
from compute.language_models.stored_reading import ONE_BY_ONE

_EXPERTS = ("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts", "n_experts")


def left_out(
    checkpoint: str, revision: str | None, lora: Lora, runs_code: bool = False, ask_hub: bool = False
) -> tuple[str, ...]:
    """Return the endings of the names of layers that `lora` asks for and that no adapter is put on.

    Args:
        checkpoint: a folder, or a name on the hub.
        revision: on the hub.
        lora: what is asked for.
        runs_code: code that comes with the model is run, of which nothing is known here.
        ask_hub: whether the configuration may be downloaded.

    Raises:
        ValueError: named layers that the model lacks or that no adapter is put on; no layers to put one on.
    """
    config = read_json(checkpoint, revision, ask_hub=ask_hub)
    if not _is_looked_at(config, lora) or (runs_code and "auto_map" in config):
        return ()
    folder = stored_file(checkpoint, revision, "config.json").parent
    found = _left_out(folder, json.dumps(config, sort_keys=True), lora.target_modules, lora.dora)
    if isinstance(found, str):
        raise ValueError(found)
    return found


def _is_looked_at(config: Mapping[str, Any], lora: Lora) -> bool:
    if not config:
        return False
    text = config.get("text_config")
    parts = [config, text] if isinstance(text, dict) else [config]
    is_mixture = any(isinstance(part.get(name), int) and part[name] > 1 for part in parts for name in _EXPERTS)
    has_state = any(part.get("model_type") in ONE_BY_ONE for part in parts)
    is_named = lora.target_modules != "all-linear" and config.get("model_type") not in get_args(Family)
    return is_mixture or has_state or is_named


@lru_cache(maxsize=32)
def _left_out(folder: Path, config: str, targets: tuple[str, ...] | str, dora: bool) -> tuple[str, ...] | str:
    """Return the endings, or why such adapters are refused. `config` is that of the folder, for the cache."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    from compute.language_models.targets import find_targets

    try:
        with torch.device("meta"):
            model: Any = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder))
    except Exception:  # whatever a configuration of other people's making leads to: whoever loads it will tell
        return ()
    try:
        settings = Lora.model_validate({"target_modules": targets, "dora": dora})
        return tuple(sorted(find_targets(model, settings).left_out))
    except ValueError as error:
        return str(error)
