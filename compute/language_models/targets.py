"""Which layers an adapter is put on: those that PEFT would put it on, as far as both can."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from compute.language_models.settings import Lora
from compute.language_models.stored_config import check_tunable, quantization
from compute.names import UnknownName

_NO_MATRIX = (nn.Embedding, nn.Conv1d, nn.Conv2d, nn.Linear, Conv1D)
"""Modules whose parameters of several dimensions are told by their layers, or are nothing that LoRA is put on."""


@dataclass(frozen=True)
class Targets:
    """The layers that an adapter is put on.

    Attributes:
        layers: by name, in the model's order.
        left_out: why others are not, by the ending of their names.
    """

    layers: Mapping[str, nn.Module]
    left_out: Mapping[str, str]


def features(layer: nn.Module) -> tuple[int, int]:
    """Inputs and outputs of a layer."""
    if isinstance(layer, Conv1D):
        inputs, outputs = layer.weight.shape
        return int(inputs), int(outputs)
    assert isinstance(layer, nn.Linear)
    return layer.in_features, layer.out_features


def is_fan_in_fan_out(layers: Iterable[nn.Module]) -> bool:
    """Return whether some layer keeps its weight as [in, out]."""
    return any(isinstance(layer, Conv1D) for layer in layers)


def matrix(layer: nn.Module) -> Tensor:
    """Return the layer's weight [out, in] in floating point."""
    weight: Any = layer.weight
    if weight.dtype == torch.int8:
        # Not through bitsandbytes, whose layer moves its scales about when it is first used.
        of_layer: Any = layer
        scales = weight.SCB if weight.SCB is not None else of_layer.state.SCB
        weight = weight.detach().float() * scales.float()[:, None] / 127
    elif not weight.is_floating_point():
        from peft.utils.integrations import dequantize_module_weight

        weight = dequantize_module_weight(layer)
    return weight.T if isinstance(layer, Conv1D) else weight


def number_type(layer: nn.Module, model: PreTrainedModel) -> torch.dtype:
    """Return what the layer computes in."""
    weight: Any = layer.weight
    return weight.dtype if weight.is_floating_point() else model.dtype


def find_targets(model: PreTrainedModel, settings: Lora) -> Targets:
    """Return the layers that `settings` name, as PEFT matches names; `all-linear`: all but the output layer.

    Left out are layers that return more than their product, as routers do, and layers on which PEFT would not load the
    adapter again: those it refuses, and those whose names it takes for the experts of a mixture.

    Raises:
        ValueError: `target_modules` that match no layer or one that is left out; a model without such layers, or with
            weights quantized in a way in which they are not tuned.
    """
    check_tunable(quantization(model.config.to_dict()))
    output = model.get_output_embeddings()  # type: ignore[no-untyped-call]
    linear = {n: m for n, m in model.named_modules() if isinstance(m, nn.Linear | Conv1D) and m is not output}
    if not linear:
        raise ValueError(f"a {model.config.model_type!r} model has no linear layers that LoRA could be put on")
    if settings.target_modules == "all-linear":
        asked = linear
    else:
        wanted = tuple(settings.target_modules)
        for ending in wanted:
            if not any(f".{name}".endswith(f".{ending}") for name in linear):
                raise _unknown(model, ending, linear)
        asked = {n: m for n, m in linear.items() if f".{n}".endswith(tuple(f".{ending}" for ending in wanted))}
    plain = {name: layer for name, layer in asked.items() if _returns_its_product(layer)}
    left_out = {_ending(name): "they return more than a product" for name in asked.keys() - plain.keys()}
    taken = taken_by_peft(model, settings, plain)
    left_out |= {_ending(name): "PEFT would not load an adapter on these" for name in plain.keys() - taken}
    if left_out and settings.target_modules != "all-linear":
        names = ", ".join(f"{ending} ({why})" for ending, why in sorted(left_out.items()))
        raise ValueError(f"target_modules of a {model.config.model_type!r} model that no adapter is put on: {names}")
    layers = {name: layer for name, layer in plain.items() if name in taken}
    if not layers:
        raise ValueError(f"a {model.config.model_type!r} model has no linear layers that LoRA could be put on")
    return Targets(layers, left_out)


def _unknown(model: PreTrainedModel, ending: str, linear: Mapping[str, nn.Module]) -> ValueError:
    """Return why there is no layer of that name: that it is part of stacked experts, or mistyped."""
    for name, _ in _other_matrices(model):
        if ".experts." in name and (name.endswith(ending) or f".{ending}" in f".{name}" or _is_fused(name, ending)):
            return ValueError(
                f"target module {ending!r}: the experts of a {model.config.model_type!r} model are one stacked "
                f"parameter ({_ending(name)}), which no adapter is put on; name layers: "
                f"{', '.join(sorted({_ending(layer) for layer in linear}))}"
            )
    return UnknownName("target module", ending, sorted({_ending(name) for name in linear}))


def _is_fused(parameter: str, ending: str) -> bool:
    """Return whether an ending such as `gate_proj` is part of a parameter such as `gate_up_proj`."""
    return ending.endswith("_proj") and ending.removesuffix("_proj") in parameter.rpartition(".")[2].split("_")


@torch.no_grad()
def _returns_its_product(layer: nn.Module) -> bool:
    """Return whether the layer gives what its kind gives. Routers that return several values do not; told by trying,
    since a `forward` of its own may do the same in another order."""
    of_layer: Any = layer
    if type(layer).forward in (nn.Linear.forward, Conv1D.forward) or not of_layer.weight.is_floating_point():
        return True
    if of_layer.weight.is_meta:
        layer = copy.deepcopy(layer).to_empty(device="cpu")
        for parameter in layer.parameters():
            nn.init.constant_(parameter, 0.5)
    weight = matrix(layer)
    given = torch.ones(1, features(layer)[0], device=weight.device, dtype=weight.dtype)
    try:
        found = layer(given)
    except (RuntimeError, TypeError, ValueError, IndexError):
        return False
    bias: Any = layer.bias
    expected = nn.functional.linear(given, weight, bias)
    return (
        isinstance(found, Tensor)
        and found.shape == expected.shape
        and bool(
            torch.allclose(found.float(), expected.float(), rtol=0.1, atol=0.1 * float(expected.float().abs().max()))
        )
    )


def taken_by_peft(model: PreTrainedModel, settings: Lora, layers: Iterable[str]) -> set[str]:
    """Of these layers, those that PEFT puts an adapter on when it is given their names.

    It is tried on a model without weights: all together, and if that fails ending by ending.
    """
    names = set(layers)
    if _injected(model, settings, names) == names:
        return names
    by_ending: dict[str, set[str]] = {}
    for name in names:
        by_ending.setdefault(_ending(name), set()).add(name)
    return {
        name for together in by_ending.values() if _injected(model, settings, together) == together for name in together
    }


def _injected(model: PreTrainedModel, settings: Lora, names: set[str]) -> set[str]:
    from peft import inject_adapter_in_model
    from peft.tuners.tuners_utils import BaseTunerLayer

    config = copy.deepcopy(model.config)
    with torch.device("meta"):
        skeleton = type(model)(config)
    try:
        turned = is_fan_in_fan_out(module for name, module in skeleton.named_modules() if name in names)
        inject_adapter_in_model(peft_config(settings, names, turned), skeleton, low_cpu_mem_usage=True)
    except (ValueError, NotImplementedError, AttributeError, TypeError):
        return set()
    return {name for name, module in skeleton.named_modules() if isinstance(module, BaseTunerLayer)}


def peft_config(
    settings: Lora, layers: Iterable[str], fan_in_fan_out: bool = False, base_model: str | None = None
) -> Any:
    """PEFT's configuration of an adapter on these layers."""
    from peft import LoraConfig

    return LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,  # type: ignore[arg-type]  # PEFT says int and takes any number
        use_rslora=settings.rs_lora,
        use_dora=settings.dora,
        lora_dropout=settings.dropout,
        target_modules=sorted(layers),
        fan_in_fan_out=fan_in_fan_out,
        task_type="CAUSAL_LM",
        inference_mode=True,
        base_model_name_or_path=base_model,
    )


def describe(model: PreTrainedModel, targets: Targets, settings: Lora) -> str:
    """Return what is adapted and what not, in a line."""
    shapes = [features(layer) for layer in targets.layers.values()]
    numbers = sum(settings.rank * (i + o) + settings.dora * o for i, o in shapes)
    endings = ", ".join(sorted({_ending(name) for name in targets.layers}))
    text = f"LoRA on {len(shapes)} layers ({endings}), {numbers:,} parameters"
    reasons: dict[str, list[str]] = {}
    for ending, why in sorted(targets.left_out.items()):
        reasons.setdefault(why, []).append(ending)
    others = _other_matrices(model)
    if others:
        share = sum(size for _, size in others) / sum(parameter.numel() for parameter in model.parameters())
        why = f"parameters that are no layers, {100 * share:.0f} % of the model"
        reasons[why] = sorted({_ending(name) for name, _ in others})
    not_on = "; ".join(f"{', '.join(endings)} ({why})" for why, endings in reasons.items())
    return text + (f"; not on {not_on}" if not_on else "")


def _other_matrices(model: PreTrainedModel) -> list[tuple[str, int]]:
    """Return names and sizes of weights of several dimensions that belong to no layer of a usual kind, as stacked
    experts."""
    owners = dict(model.named_modules())
    return [
        (name, parameter.numel())
        for name, parameter in model.named_parameters()
        if parameter.dim() > 1 and not isinstance(owners[name.rpartition(".")[0]], _NO_MATRIX)
    ]


def _ending(name: str) -> str:
    """By what a user would name a layer or parameter: `q_proj`, `experts.down_proj`, `gate.weight`."""
    parts = name.split(".")
    of_the_one_before = parts[-1] in ("weight", "bias") or parts[-1].isdigit() or parts[-2:-1] == ["experts"]
    return ".".join(parts[-2:]) if of_the_one_before else parts[-1]
