"""Adapters that exist already, in PEFT's format: which files they are, what they hold, and what of it is refused.

Nothing of an adapter is run or unpickled: its settings are read as JSON, and of its weights the header alone.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from compute.errors import UserError
from compute.language_models.revisions import ADAPTER, check_revision, is_folder, pin
from compute.language_models.stored_config import stored_file
from compute.project import expand
from compute.store.digests import content_digest

ADAPTER_WEIGHTS = "adapter_model.safetensors"
_PICKLED = ("adapter_model.bin", "adapter_model.pt")

_NOT_CONTENT = ("base_model_name_or_path", "revision", "peft_version", "inference_mode")
"""Settings that say where something lies or who wrote them, and change no score."""

_BEYOND_A_TEXT = {
    "alora_invocation_tokens": "it works from certain tokens of a text on, which a choice would change",
    "arrow_config": "it chooses among other adapters, which are not in its files",
    "megatron_config": "it names code to import",
}
"""Settings with which an adapter does not score a text by itself, and why."""

_KINDS_BEYOND_A_TEXT = {
    "XLORA": "it mixes other adapters, which are not in its files",
    "POLY": "it needs the number of a task beside every text",
    "MULTITASK_PROMPT_TUNING": "it needs the number of a task beside every text",
}

_FROM_DATA = ("corda", "eva", "lora_ga", "loftq", "pissa_niter", "daniel")
"""Beginnings of `init_lora_weights` under which PEFT's base is not the study's again by these files alone."""

_LARGEST_RANK = 2**16


@dataclass(frozen=True)
class GivenAdapter:
    """An adapter's files, as they were when they were looked at.

    Attributes:
        folder: where they lie.
        config: of adapter_config.json.
        shapes: of the weights, by key.
        digest: SHA-256 of what decides its scores: settings and weights. Where they lie, and what the base is called,
            is no part of it.
    """

    folder: Path
    config: Mapping[str, Any]
    shapes: Mapping[str, tuple[int, ...]]
    digest: str

    @property
    def config_file(self) -> Path:
        """Its settings."""
        return self.folder / ADAPTER

    @property
    def weights_file(self) -> Path:
        """Its weights."""
        return self.folder / ADAPTER_WEIGHTS

    @property
    def base(self) -> str | None:
        """Return what its settings call the base model; None where they call it nothing."""
        return self.config.get("base_model_name_or_path") or None


def find_adapter(adapter: str, revision: str = "main") -> GivenAdapter:
    """Return an adapter of a folder or of the hub, whose files are downloaded if need be.

    Raises:
        UserError: there is none, or one that is not taken: in a format that may run code, or with settings that cannot
            be or that do not score a text by itself. The line names file and key.
    """
    return read_adapter(_folder(adapter, revision))


def read_adapter(folder: Path) -> GivenAdapter:
    """Return the adapter in a folder. Raises UserError as `find_adapter`."""
    config_file, weights_file = folder / ADAPTER, folder / ADAPTER_WEIGHTS
    config = _config(config_file)
    pickled = next((name for name in _PICKLED if (folder / name).exists()), None)
    if not weights_file.is_file():
        found = (
            f"only {pickled}, a pickle, which can run code and is never opened; save it anew with PEFT's "
            "`save_pretrained`"
            if pickled
            else "PEFT's `save_pretrained` writes it"
        )
        raise UserError(f"{weights_file}: no such file; {found}")
    settings = {key: value for key, value in config.items() if key not in _NOT_CONTENT}
    try:
        _check_config(config_file, config)
        content = json.dumps([settings, content_digest(weights_file)], sort_keys=True)
    except RecursionError:
        raise UserError(f"{config_file}: its settings are nested too deeply") from None
    shapes = _shapes(weights_file)
    return GivenAdapter(folder, config, shapes, hashlib.sha256(content.encode()).hexdigest())


def _folder(adapter: str, revision: str) -> Path:
    check_revision(adapter, revision)
    if not is_folder(adapter):
        commit = pin(adapter, revision).commit
        try:
            folder = stored_file(adapter, commit, ADAPTER, ask_hub=True).parent
        except OSError:
            raise UserError(f"adapter {adapter}: the hub has no {ADAPTER} of it, or cannot be reached") from None
        for name in (ADAPTER_WEIGHTS, "tokenizer.json"):
            try:
                stored_file(adapter, commit, name, ask_hub=True)
            except OSError:
                continue  # who reads the folder tells what it lacks
        return folder
    folder = expand(adapter).absolute()
    if not folder.is_dir():
        beside = folder.parent.iterdir() if folder.parent.is_dir() else ()
        raise UserError(f"adapter {adapter}: no such folder{_nearest(folder.name, beside)}")
    if not (folder / ADAPTER).is_file():
        inside = [path.parent.name for path in sorted(folder.glob(f"*/{ADAPTER}"))]
        hint = f"; there is one in {', '.join(inside[:3])}" if inside else "; PEFT's `save_pretrained` writes one"
        raise UserError(f"adapter {adapter}: the folder has no {ADAPTER}{hint}")
    return folder


def _nearest(name: str, paths: Any) -> str:
    from difflib import get_close_matches

    near = get_close_matches(name, [path.name for path in paths if path.is_dir()], n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _config(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: cannot be read as JSON: {error}") from None
    if not isinstance(config, dict):
        raise UserError(f"{path}: expected an object of settings, found {type(config).__name__}")
    return config


def _check_config(path: Path, config: Mapping[str, Any]) -> None:
    """Raises UserError for settings with which no adapter can be, or that are not taken."""

    def refuse(key: str, what: str) -> UserError:
        return UserError(f"{path}: {key} {what}")

    for key, value in _numbers(config):
        if not math.isfinite(value):
            raise refuse(key, f"is {value}; expected a finite number")
    kind = config.get("peft_type")
    if not isinstance(kind, str):
        raise refuse("peft_type", f"is {kind!r}; expected PEFT's name of the method, such as 'LORA'")
    if kind in _KINDS_BEYOND_A_TEXT:
        raise refuse("peft_type", f"is {kind!r}, which is not scored: {_KINDS_BEYOND_A_TEXT[kind]}")
    if config.get("task_type") not in (None, "CAUSAL_LM"):
        raise refuse("task_type", f"is {config['task_type']!r}; expected 'CAUSAL_LM': other models give no text")
    base = config.get("base_model_name_or_path")
    if base is not None and not isinstance(base, str):
        raise refuse("base_model_name_or_path", f"is {base!r}; expected a name or a folder")
    mapping = config.get("auto_mapping")
    library = mapping.get("parent_library") if isinstance(mapping, dict) else mapping
    if library is not None and not (isinstance(library, str) and library.split(".")[0] == "transformers"):
        raise refuse("auto_mapping", f"names code of {library!r}; only transformers' own classes are taken")
    for key, why in _BEYOND_A_TEXT.items():
        if config.get(key):
            raise refuse(key, f"is set, and such an adapter is not scored: {why}")
    _check_ranks(config, refuse)
    start = config.get("init_lora_weights")
    if isinstance(start, str) and start.lower().startswith(_FROM_DATA):
        raise refuse(
            "init_lora_weights",
            f"is {start!r}, under which the base's own weights were changed; save the adapter with "
            "`path_initial_model_for_weight_conversion`, which makes it a plain one",
        )


def _check_ranks(config: Mapping[str, Any], refuse: Any) -> None:
    ranks = [("r", config["r"])] if config.get("r") is not None else []
    scales = [("lora_alpha", config["lora_alpha"])] if config.get("lora_alpha") is not None else []
    for key, found in (("rank_pattern", ranks), ("alpha_pattern", scales)):
        pattern = config.get(key) or {}
        if not isinstance(pattern, dict):
            raise refuse(key, f"is {pattern!r}; expected numbers by the names of layers")
        found += [(f"{key}.{name}", value) for name, value in pattern.items()]
    if config["peft_type"] == "LORA" and not ranks:
        raise refuse("r", "is missing; expected the rank")
    for key, value in ranks:
        # Of some methods 0 means that another setting says it.
        least = 1 if config["peft_type"] in ("LORA", "ADALORA") else 0
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= _LARGEST_RANK:
            raise refuse(key, f"is {value!r}; expected a whole number from {least} to {_LARGEST_RANK}")
    for key, value in scales:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise refuse(key, f"is {value!r}; expected a number")


def _numbers(value: Any, place: str = "") -> Iterator[tuple[str, float]]:
    """Yield every number with a fraction, and where it stands."""
    if isinstance(value, float):
        yield place, value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _numbers(inner, f"{place}.{key}" if place else str(key))
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for position, inner in enumerate(value):
            yield from _numbers(inner, f"{place}[{position}]")


def _shapes(path: Path) -> dict[str, tuple[int, ...]]:
    try:
        with safe_open(path, framework="np") as weights:
            names = list(weights.keys())
            shapes = {name: tuple(weights.get_slice(name).get_shape()) for name in names}
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path}: damaged ({str(error).splitlines()[0]}); get it again") from None
    if not shapes:
        raise UserError(f"{path}: holds no weights")
    return shapes


def check_base(adapter: GivenAdapter, names: Sequence[str], checkpoint: str | None, said: str | None = None) -> None:
    """Compare what an adapter calls its base with the model that it is listed under.

    Names and folders are compared as far as they can be: two names on the hub are the same or not; a folder is the same
    folder, or one of that name.

    Args:
        adapter: the adapter.
        names: of a model that is pre-trained here: in the study, and as rows have it.
        checkpoint: of a model that is not.
        said: another name of the base, as the study says it.

    Raises:
        UserError: the base is another one.
    """
    if adapter.base is None or said == adapter.base:
        return
    base = _name(adapter.base)
    if said is None and checkpoint is not None:
        ours = _name(checkpoint)
        both_on_hub = not is_folder(checkpoint) and adapter.base == base and not _is_path(base)
        same = base.casefold() == ours.casefold() if both_on_hub else _last(base) == _last(ours)
        if same or (is_folder(checkpoint) and expand(checkpoint).resolve() == Path(adapter.base)):
            return
    if said is None and checkpoint is None:
        # As rows have it, it ends in a digest: another digest is another model.
        last = base.rstrip("/").rpartition("/")[2]
        if last in names or (len(names) == 1 and last.rpartition("@")[0] == names[0]):
            return
    instead = said or checkpoint or names[-1]
    raise UserError(
        f"{adapter.config_file}: base_model_name_or_path is {adapter.base!r}, and the model that it is listed under is "
        f"{instead!r}; list it under its own, or, where both are the same weights, add `base: {adapter.base}`"
    )


def _name(base: str) -> str:
    """Return a base's name on the hub where it is a folder of the hub's cache; else as it is."""
    for part in Path(base).parts:
        if part.startswith("models--"):
            return part.removeprefix("models--").replace("--", "/")
    return base


def _last(name: str) -> str:
    return name.rstrip("/").rpartition("/")[2].casefold()


def _is_path(name: str) -> bool:
    return name.startswith((".", "/", "~")) or name.count("/") != 1


def check_vocabulary(adapter: GivenAdapter, base_tokenizer: Path) -> None:
    """Refuse an adapter with a tokenizer of its own that numbers tokens otherwise than the base's: texts are read with
    the base's.

    Args:
        adapter: the adapter.
        base_tokenizer: the base's tokenizer.json; where there is none, nothing is compared.

    Raises:
        UserError: a token that the base's tokenizer lacks, or has under another number.
    """
    path = adapter.folder / "tokenizer.json"
    if not path.is_file() or not base_tokenizer.is_file():
        return
    own, bases = _vocabulary(path, content_digest(path)), _vocabulary(base_tokenizer, content_digest(base_tokenizer))
    for token, number in own.items():
        if bases.get(token) != number:
            there = f"number {bases[token]}" if token in bases else "none"
            raise UserError(
                f"{path}: token {token!r} is number {number} of {len(own)}, and of the base's {len(bases)} it is "
                f"{there}; the adapter belongs to a model of another vocabulary. If it was tuned with the base's own "
                "tokenizer, take this file out of its folder"
            )


@lru_cache(maxsize=8)
def _vocabulary(path: Path, content: str) -> dict[str, int]:
    """Return the tokens of a tokenizer.json with their numbers; `content` is its digest, for the cache."""
    try:
        tokenizer = json.loads(path.read_text(encoding="utf-8"))
        entries = tokenizer["model"]["vocab"]
        # A unigram model lists (token, score), numbered by place.
        known = entries if isinstance(entries, dict) else {entry[0]: place for place, entry in enumerate(entries)}
        return {**known, **{one["content"]: one["id"] for one in tokenizer.get("added_tokens") or ()}}
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise UserError(f"{path}: cannot be read as a tokenizer: {type(error).__name__}: {error}") from None
