"""Whether a tuning that exists belongs to a model, told at planning from files: no weights are loaded.

The model is made without weights, and PEFT puts the adapter on it: every key and shape is compared, of whatever method.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from compute.errors import UserError
from compute.language_models.given_adapters import GivenAdapter, check_base, check_vocabulary, find_adapter
from compute.language_models.revisions import Revision, pin
from compute.language_models.settings import Architecture
from compute.language_models.stored_config import check_library, check_quantized, check_weights, read_json, stored_file

_DIMENSIONS = ("model_type", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")
"""What of a configuration tuning leaves as it is; a vocabulary may have grown."""

_VOCABULARY = (".embed_tokens.", ".embed_in.", ".wte.", ".lm_head.", ".embed_out.")


@dataclass(frozen=True)
class BaseFiles:
    """The model that sources belong to, as far as it is known at planning.

    Attributes:
        name: in the study.
        checkpoint: where its files are, at `revision`; None: it is trained from scratch, as `architecture` says.
        revision: the commit on the hub.
        label: as rows have it; None where that is not known yet.
        runs_code: code that comes with it is run, of which nothing is known here.
        architecture: of a model that is trained from scratch.
        vocabulary: the most tokens that one may have.
    """

    name: str
    checkpoint: str | None = None
    revision: str | None = None
    label: str | None = None
    runs_code: bool = False
    architecture: Architecture | None = None
    vocabulary: int = 0


def adapter_on(base: BaseFiles, adapter: str, revision: str, said: str | None) -> GivenAdapter:
    """Return an adapter that belongs to a model.

    Args:
        base: the model.
        adapter: a folder, or a name on the hub.
        revision: on the hub.
        said: what the adapter calls the base, where that is another name of it.

    Raises:
        UserError: as `find_adapter`; or the adapter is of another base, vocabulary, architecture or shape.
    """
    found = find_adapter(adapter, revision)
    check_base(found, [name for name in (base.name, base.label) if name], base.checkpoint, said)
    if base.checkpoint is not None:
        check_vocabulary(found, _stored(base.checkpoint, base.revision, "tokenizer.json"))
    if base.architecture is not None:
        own = [shape[0] for key, shape in found.shapes.items() if any(part in key for part in _VOCABULARY) and shape]
        text = _made_config(base.architecture, min([base.vocabulary, *own]))
    else:
        assert base.checkpoint is not None
        config = read_json(base.checkpoint, base.revision, ask_hub=True)
        if not config or (base.runs_code and "auto_map" in config):
            return found  # who loads the model tells
        text = json.dumps(config, sort_keys=True)
    refusal = _misfit(text, found.folder, found.digest)
    if refusal is not None:
        raise UserError(refusal)
    return found


def checkpoint_of(base: BaseFiles, checkpoint: str, revision: str) -> Revision:
    """Return a tuned checkpoint of a model, pinned.

    Raises:
        UserError: there is none, or one that cannot be loaded, or of another architecture or size.
    """
    found = pin(checkpoint, revision)
    check_quantized(found.location, found.commit, is_tuned=False, ask_hub=True)
    if found.commit is None:
        try:
            check_library(Path(found.location))
            check_weights(Path(found.location))
        except ValueError as error:
            raise UserError(f"model {checkpoint}: {error}") from None
    if base.architecture is not None:
        bases = json.loads(_made_config(base.architecture, base.vocabulary))
    else:
        assert base.checkpoint is not None
        bases = read_json(base.checkpoint, base.revision, ask_hub=True)
    own = read_json(found.location, found.commit, ask_hub=True)
    for key in _DIMENSIONS:
        ours, theirs = _dimension(bases, key), _dimension(own, key)
        if ours is not None and theirs is not None and ours != theirs:
            raise UserError(
                f"{found.location}: config.json: {key} is {theirs!r}, and of the model that it is listed under, "
                f"{base.name!r}, {ours!r}; it was tuned from another"
            )
    return found


def _dimension(config: Mapping[str, Any], key: str) -> Any:
    text = config.get("text_config")
    return config.get(key, text.get(key) if isinstance(text, dict) else None)


def _stored(checkpoint: str, revision: str | None, name: str) -> Path:
    try:
        return stored_file(checkpoint, revision, name, ask_hub=True)
    except OSError:
        return Path(name, "is not there")


@lru_cache(maxsize=32)
def _made_config(architecture: Architecture, vocabulary: int) -> str:
    from compute.language_models.pretraining import new_config

    return str(new_config(architecture, vocabulary).to_json_string())


@lru_cache(maxsize=128)
def _misfit(config: str, folder: Path, content: str) -> str | None:
    """Return why an adapter does not fit a model; None if it does. `content` is its digest, for the cache."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    from compute.language_models.given_adapters import read_adapter
    from compute.language_models.peft_models import check_fit

    settings = json.loads(config)
    try:
        with torch.device("meta"):
            skeleton: Any = AutoModelForCausalLM.from_config(AutoConfig.for_model(**settings))
    except Exception:  # whatever a configuration of other people's making leads to: whoever loads it will tell
        return None
    try:
        check_fit(skeleton, read_adapter(folder))
    except ValueError as error:
        return str(error)
    return None
