"""Adapters of others through PEFT itself: whether one fits a model, and the model with it while it is scored.

Methods that change layers (LoRA, DoRA, IA3, VeRA, ...) leave a model that is called as before. Methods that put learnt
vectors before a text (prompt tuning, prefix tuning) do not: `PromptedModel` calls PEFT's own forward for them.
"""

from __future__ import annotations

import copy
import dataclasses
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import peft
import torch
from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING
from peft.peft_model import PeftModelForCausalLM
from peft.utils.save_and_load import get_peft_model_state_dict, set_peft_model_state_dict
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import PreTrainedModel

from compute.language_models.fidelity import vectors
from compute.language_models.given_adapters import GivenAdapter
from compute.language_models.loading import check_reading
from compute.names import UnknownName

_NAME = "default"
"""Of the adapter within PEFT's model."""

_WITH_WEIGHTS = frozenset({"ADAMSS", "BOFT", "FROD", "SHIRA", "UNILORA"})
"""Methods that PEFT puts on no model without weights: whether they fit is seen when the base is loaded."""


def check_fit(skeleton: PreTrainedModel, adapter: GivenAdapter) -> None:
    """Refuse an adapter that PEFT would not put on a model of this shape with every one of its weights.

    PEFT puts weights that are missing at their first values, and drops others, with a warning at most.

    Args:
        skeleton: a model on the meta device; it is changed.
        adapter: what is to be put on it.

    Raises:
        ValueError: the line names the file, and the key or setting in it.
    """
    config = _config(adapter)
    _check_targets(skeleton, adapter)
    if adapter.config["peft_type"] in _WITH_WEIGHTS:
        return
    try:
        with _quiet(), torch.device("meta"):
            # How layers start does not change their shapes, and cannot be computed without weights.
            if isinstance(getattr(config, "init_lora_weights", None), str):
                config.init_lora_weights = False
            model = PeftModelForCausalLM(skeleton, config, _NAME, low_cpu_mem_usage=True)
    except Exception as error:  # whatever settings of other people's making lead to
        raise ValueError(f"{adapter.config_file}: PEFT {peft.__version__} refuses it: {_line(error)}") from None
    given = {key: torch.empty(shape, device="meta") for key, shape in adapter.shapes.items()}
    _check_weights(model, given, adapter)


def _check_weights(model: Any, given: dict[str, Tensor], adapter: GivenAdapter) -> None:
    """Raises ValueError for weights that are missing, of other shapes, or of no layer; those `given` are loaded."""
    expected = get_peft_model_state_dict(model, adapter_name=_NAME, save_embedding_layers=False)
    _compare(adapter, {key: tuple(tensor.shape) for key, tensor in expected.items()})
    if model.active_peft_config.is_prompt_learning:
        unknown = sorted(given.keys() - expected.keys())
    else:
        # PEFT knows keys of its earlier versions too; so it is asked to load them.
        is_meta = next(iter(given.values())).is_meta
        try:
            with _quiet():
                loaded = set_peft_model_state_dict(model, given, _NAME, low_cpu_mem_usage=is_meta)
        except Exception as error:  # as above
            raise ValueError(f"{adapter.weights_file}: PEFT cannot load it: {_line(error)}") from None
        unknown = sorted(loaded.unexpected_keys)
    if unknown:
        raise ValueError(
            f"{adapter.weights_file}: {len(unknown)} of its keys fit no layer of this {model.config.model_type!r} "
            f"model, the first {unknown[0]!r}; it was made for another"
        )


def _compare(adapter: GivenAdapter, expected: dict[str, tuple[int, ...]]) -> None:
    for key, shape in sorted(expected.items()):
        found = adapter.shapes.get(key)
        if found is not None and found != shape:
            raise ValueError(
                f"{adapter.weights_file}: {key!r} is {list(found)}, and with the settings of "
                f"{adapter.config_file.name} this model takes {list(shape)}"
            )
    missing = sorted(expected.keys() - adapter.shapes.keys())
    if missing:
        raise ValueError(
            f"{adapter.weights_file}: lacks {missing[0]!r}, which the settings of {adapter.config_file.name} ask of "
            f"this model ({len(missing)} of {len(expected)} weights are missing)"
        )


def _config(adapter: GivenAdapter) -> Any:
    """Return PEFT's configuration of an adapter, as one that is only read.

    Raises:
        ValueError: a method or a setting that this version of PEFT does not know, or a value that it refuses.
    """
    path, kind = adapter.config_file, adapter.config["peft_type"]
    known = {str(one.value): made for one, made in PEFT_TYPE_TO_CONFIG_MAPPING.items()}
    if kind not in known:
        raise ValueError(f"{path}: {UnknownName('peft_type', kind, known)} (PEFT {peft.__version__})")
    fields = {field.name for field in dataclasses.fields(known[kind])}
    for key, value in adapter.config.items():
        if key not in fields and value:
            raise ValueError(f"{path}: {UnknownName('key', key, fields)} (PEFT {peft.__version__}; a later one may)")
    try:
        with _quiet():
            config = known[kind].from_pretrained(str(adapter.folder))
    except Exception as error:  # as above
        raise ValueError(f"{path}: PEFT {peft.__version__} refuses it: {_line(error)}") from None
    # Without a task PEFT would not know a language model's own forward; the base is the study's.
    config.inference_mode, config.task_type, config.base_model_name_or_path = True, "CAUSAL_LM", None
    return config


def _check_targets(model: PreTrainedModel, adapter: GivenAdapter) -> None:
    """Raises ValueError for target modules that no layer of the model is called by."""
    asked = adapter.config.get("target_modules")
    names = [name for name, _ in model.named_modules() if name]
    if isinstance(asked, list) and asked and all(isinstance(one, str) for one in asked):
        if not any(f".{name}".endswith(f".{ending}") for name in names for ending in asked):
            endings = sorted({name.rpartition(".")[2] for name in names if not name.rpartition(".")[2].isdigit()})
            raise ValueError(f"{adapter.config_file}: target_modules: {UnknownName('layer', asked[0], endings)}")
    elif isinstance(asked, str) and asked != "all-linear":
        try:
            matches = any(re.fullmatch(asked, name) or f".{name}".endswith(f".{asked}") for name in names)
        except re.error as error:
            raise ValueError(f"{adapter.config_file}: target_modules: {asked!r} is no pattern: {error}") from None
        if not matches:
            raise ValueError(f"{adapter.config_file}: target_modules: {asked!r} matches no layer of this model")


@contextmanager
def with_adapter(model: PreTrainedModel, adapter: GivenAdapter) -> Iterator[Any]:
    """Yield the model with an adapter on it, through PEFT, to be scored and to generate as any model is.

    Afterwards the model is as it was, or `is_as_before` says that it is not.

    Raises:
        ValueError: the adapter does not fit, or PEFT's own forward gives other logits than ours.
    """
    with torch.device("meta"):
        skeleton = type(model)(copy.deepcopy(model.config))  # type: ignore[call-arg]
    check_fit(skeleton, adapter)
    try:
        with _quiet():
            whole = PeftModelForCausalLM.from_pretrained(
                model, str(adapter.folder), adapter_name=_NAME, config=_config(adapter), torch_device=str(model.device)
            ).eval()
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # as above
        raise ValueError(f"{adapter.folder}: PEFT cannot load it: {_line(error)}") from None
    try:
        if adapter.config["peft_type"] in _WITH_WEIGHTS:
            _check_weights(whole, load_file(adapter.weights_file, device=str(model.device)), adapter)
        usable = PromptedModel(whole) if whole.active_peft_config.is_prompt_learning else model
        _check_forward(whole, usable, adapter)
        yield usable
    finally:
        unload = getattr(whole.base_model, "unload", None)
        if not whole.active_peft_config.is_prompt_learning and unload is not None:
            unload()


@torch.inference_mode()
def _check_forward(whole: Any, usable: Any, adapter: GivenAdapter) -> None:
    """Refuse a method that works in PEFT's forward and not in the model's, or that looks at a text's company."""
    tokens = torch.tensor([[(5 * place + 2) % vectors(usable) for place in range(12)]], device=usable.device)
    try:
        theirs = whole(input_ids=tokens, attention_mask=torch.ones_like(tokens)).logits[:, -12:].float()
        ours = usable(input_ids=tokens, use_cache=False).logits.float()
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # as above
        raise ValueError(f"{adapter.folder}: no text can be read with it: {_line(error)}") from None
    if theirs.isfinite().all() and float((theirs - ours).abs().max() / theirs.std().clamp(min=1e-6)) > 0.01:
        raise ValueError(f"{adapter.config_file}: peft_type {adapter.config['peft_type']!r} is not scored text by text")
    check_reading(f"with adapter {adapter.folder}", usable)


State = dict[str, tuple[Any, ...]]


@torch.no_grad()
def state_of(model: nn.Module) -> State:
    """Return what tells whether a model's modules and weights are the same, and hold the same, at another time.

    Of a weight it is the place, how often it was written, and the sum, as `data` can be written uncounted.
    """
    state: State = {}
    for name, module in model.named_modules():
        marks = [
            (
                key,
                tensor.data_ptr(),
                None if tensor.is_inference() else tensor._version,
                float(tensor.sum(dtype=torch.float64)),
            )
            for key, tensor in (*module.named_parameters(recurse=False), *module.named_buffers(recurse=False))
        ]
        hooks = len(module._forward_pre_hooks) + len(module._forward_hooks)
        state[name] = (id(module), hooks, *marks)
    return state


class PromptedModel(nn.Module):
    """A model with learnt vectors before every text, to be called as the model is without: with the text's tokens.

    Rows are padded on the right, and hold one choice each: PEFT drops the positions and masks that several would need.
    """

    def __init__(self, whole: Any) -> None:
        super().__init__()
        self.whole = whole
        self.virtual_tokens = int(whole.active_peft_config.num_virtual_tokens)
        base = whole.get_base_model()
        self.config, self.generation_config = base.config, base.generation_config
        self.is_loaded_in_8bit = bool(getattr(base, "is_loaded_in_8bit", False))

    @property
    def device(self) -> torch.device:
        """The base's."""
        device: torch.device = self.whole.get_base_model().device
        return device

    @property
    def dtype(self) -> torch.dtype:
        """The base's."""
        dtype: torch.dtype = self.whole.get_base_model().dtype
        return dtype

    def get_input_embeddings(self) -> Any:
        """The base's."""
        return self.whole.get_base_model().get_input_embeddings()

    def get_output_embeddings(self) -> None:
        """None: places in its input are not places in the text."""
        return None

    def forward(self, input_ids: Tensor, **arguments: Any) -> Any:
        """Return PEFT's own output, its logits those at the text's tokens."""
        arguments = {key: value for key, value in arguments.items() if key != "use_cache"}
        mask = torch.ones_like(input_ids)
        output = self.whole(input_ids=input_ids, attention_mask=mask, **arguments)
        output.logits = output.logits[:, -input_ids.shape[1] :]
        return output

    def generate(self, **arguments: Any) -> Any:
        """Generate as PEFT does."""
        return self.whole.generate(**arguments)


@contextmanager
def _quiet() -> Iterator[None]:
    """Leave out what PEFT warns of: here it is an error or of no concern."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines)[:300] if lines else type(error).__name__
