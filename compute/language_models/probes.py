"""Whether a model's adapters mean here what they mean elsewhere, tried before hours are spent on them.

Once a model and settings, an adapter of random values is saved as those that are trained will be and loaded with PEFT.
Each adapted layer is given the same numbers here and there, and the whole model the same few tokens; and two adapters
are stacked, which must give what each gives alone.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from compute.language_models.adapters import Adapter, initial_adapter, save_adapter
from compute.language_models.encoding import PLAIN, Encoding, encode_items
from compute.language_models.fidelity import vectors
from compute.language_models.lora import LoraStack
from compute.language_models.regimes import reads_alone
from compute.language_models.settings import Lora
from compute.language_models.targets import Targets, describe, features, find_targets, matrix, number_type
from compute.tasks.task import Item

_TOKENS = 24
"""Of a text that is tried, its last."""

_SHARE_OF_WEIGHT = 0.3
"""The size of a probe's update, beside that of the layer's weight: enough for every layer to show."""

_TOLERANCE = {torch.float32: 0.01, torch.float64: 0.01}
_ROUGH = 0.2
"""How far two results may be apart, beside the probe's own effect, in the dtypes above and in others."""

_NUDGES = 4
"""Units in the last place by which a probe is changed, to see how much rounding alone moves the results."""


@dataclass(frozen=True)
class Trial:
    """What trying adapters on a model has shown.

    Attributes:
        targets: the layers that they are put on.
        stacks: whether several may go through the model in one pass.
        summary: in a line, for the user.
    """

    targets: Targets
    stacks: bool
    summary: str


def try_adapters(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    items: Sequence[Item],
    settings: Lora,
    encoding: Encoding = PLAIN,
) -> Trial:
    """Find the layers that adapters are put on, and try them with a few of `items`.

    Raises:
        ValueError: target modules that the model lacks or that no adapter is put on; PEFT computes something else with
            what is saved here, or cannot load it.
    """
    targets = find_targets(model, settings)
    texts = _texts(model, tokenizer, items, encoding)
    probes = [_probe(model, settings, seed, targets) for seed in (1, 2)]
    plain = _outputs(model, texts)
    alone = []
    for probe in probes:
        with LoraStack(model, [probe]):
            alone.append(_outputs(model, texts))
    with LoraStack(model, [_nudged(probes[0], model.dtype)]):
        rounding = float((_outputs(model, texts) - alone[0]).abs().max())
    effect = float(torch.stack([(one - plain).abs().max() for one in alone]).min())
    allowed = max(_TOLERANCE.get(model.dtype, _ROUGH) * effect, 2 * rounding)
    _compare_with_peft(model, probes[0], settings, texts, alone[0], allowed)
    stacks = not reads_alone(model) and _stacks(model, probes, texts, alone, allowed)
    summary = describe(model, targets, settings)
    return Trial(targets, stacks, summary if stacks else f"{summary}; trained one by one, as the layers do not stack")


def _texts(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, items: Sequence[Item], encoding: Encoding
) -> Tensor:
    """Two rows of tokens of one length, of the first items or, if those cannot be encoded, of any tokens."""
    try:
        rows = [one.context + one.choices[0] for one in encode_items(model, tokenizer, items[:2], encoding)]
    except ValueError:
        rows = []  # which whoever trains on them will tell
    rows = [row[-_TOKENS:] for row in rows if len(row) > 1]
    known = vectors(model)
    rows += [[(7 * place + 3 * len(rows)) % known for place in range(1, 9)]]
    shortest = min(map(len, rows))
    rows = [row[-shortest:] for row in (rows * 2)[:2]]
    if rows[0] == rows[1]:
        rows[1] = [(token + 1) % known for token in rows[1]]
    return torch.tensor(rows, device=model.device)


def _probe(model: PreTrainedModel, settings: Lora, seed: int, targets: Targets) -> Adapter:
    """Return an adapter whose B is random, each layer's update of a fixed size beside its weight."""
    start = initial_adapter(model, settings, seed, targets)
    draw = torch.Generator().manual_seed(seed)
    matrices = {}
    for name, layer in targets.layers.items():
        a, _ = start.matrices[name]
        b = torch.randn(features(layer)[1], settings.rank, generator=draw)
        size = float(matrix(layer).float().norm()) * _SHARE_OF_WEIGHT
        # |B A| without the product: the squares of A A' and B'B.
        update = float(((a @ a.T) * (b.T @ b)).sum().clamp(min=1e-12).sqrt()) * start.scaling
        matrices[name] = (a, b * (size / update))
    return replace(start, matrices=matrices)


def _nudged(probe: Adapter, dtype: torch.dtype) -> Adapter:
    by = 1 + _NUDGES * torch.finfo(dtype).eps
    return replace(probe, matrices={name: (a, b * by) for name, (a, b) in probe.matrices.items()})


@torch.no_grad()
def _layer_outputs(model: PreTrainedModel, names: Iterable[str]) -> dict[str, Tensor]:
    """Give each layer the same numbers; return what it makes of them, float32 [2, out]."""
    found = {}
    for name in names:
        layer: Any = model.get_submodule(name)
        bare = getattr(layer, "base_layer", getattr(layer, "base", layer))
        draw = torch.Generator().manual_seed(0)
        given = torch.randn(2, features(bare)[0], generator=draw).to(bare.weight.device, number_type(bare, model))
        found[name] = layer(given).float()
    return found


@torch.no_grad()
def _outputs(model: Any, rows: Tensor) -> Tensor:
    """Log-probabilities of every next token, float32 [rows, tokens, vocabulary]."""
    logits: Tensor = model(input_ids=rows, use_cache=False).logits
    return logits.float().log_softmax(-1)


def _compare_with_peft(
    model: PreTrainedModel, probe: Adapter, settings: Lora, rows: Tensor, ours: Tensor, allowed: float
) -> None:
    from peft import PeftModel
    from peft.tuners.tuners_utils import BaseTunerLayer

    layers = {name: model.get_submodule(name) for name in probe.matrices}
    plain = _layer_outputs(model, layers)
    with LoraStack(model, [probe]):
        of_layers = _layer_outputs(model, layers)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        save_adapter(probe, settings, Path(folder), "base")
        try:
            theirs = _outputs(PeftModel.from_pretrained(model, folder), rows)
            adapted = {name for name, module in model.named_modules() if isinstance(module, BaseTunerLayer)}
            of_theirs = _layer_outputs(model, layers)
        except torch.OutOfMemoryError:
            raise
        except Exception as error:  # whatever PEFT, or the model with its layers, makes of it
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            raise ValueError(f"PEFT cannot load the adapters that would be trained: {reason}") from error
        finally:
            for name, layer in layers.items():
                model.set_submodule(name, layer)
            if hasattr(model, "peft_config"):
                del model.peft_config
    if adapted != layers.keys():
        other = min(adapted ^ layers.keys())
        raise ValueError(f"PEFT would put the adapters on other layers than these, as {other}; name `target_modules`")
    for name, ones in of_layers.items():
        effect = float((ones - plain[name]).abs().max())
        if not float((of_theirs[name] - ones).abs().max()) <= _TOLERANCE.get(model.dtype, _ROUGH) * effect:
            raise ValueError(f"an adapter on layer {name} means something else in PEFT; name other `target_modules`")
    apart = float((theirs - ours).abs().max())
    if not apart <= allowed:
        raise ValueError(
            f"adapters on these layers mean something else in PEFT: a trial's log-probabilities are {apart:.3g} apart, "
            f"where {allowed:.2g} were rounding; name other `target_modules`"
        )


def _stacks(
    model: PreTrainedModel, probes: Sequence[Adapter], rows: Tensor, alone: Sequence[Tensor], allowed: float
) -> bool:
    """Return whether each of two stacked adapters gives what it gives alone."""
    try:
        with LoraStack(model, probes):
            together = _outputs(model, rows.repeat(len(probes), 1))
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, ValueError, IndexError):
        return False
    return bool((together - torch.cat(list(alone))).abs().max() <= allowed)
