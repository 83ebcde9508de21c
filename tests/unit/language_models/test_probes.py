"""Adapters mean in PEFT what they mean here, or are refused before they are trained."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor
from transformers import (
    AutoModelForCausalLM,
    DeepseekV3Config,
    GPT2Config,
    Llama4TextConfig,
    MambaConfig,
    PreTrainedConfig,
    PreTrainedModel,
    Qwen3MoeConfig,
)

from compute.language_models import probes
from compute.language_models.adapters import save_adapter
from compute.language_models.probes import try_adapters
from compute.language_models.settings import Lora
from compute.language_models.targets import find_targets
from compute.language_models.training import train_stack
from compute.language_models.training_records import TrainedAdapter, TrainingSource
from tests.helpers.tiny_model import tiny_items, tiny_model

ITEMS = tiny_items()[:6]
SHAPE = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
LAYER = "model.layers.1.mlp.up_proj"
EXPERTS = {"moe_intermediate_size": 16, "num_experts_per_tok": 2, "num_key_value_heads": 4}


def made(config: type[PreTrainedConfig], **shape: Any) -> PreTrainedModel:
    torch.manual_seed(0)
    _, tokenizer = tiny_model()
    model = AutoModelForCausalLM.from_config(config(vocab_size=len(tokenizer), pad_token_id=0, **shape))
    for parameter in model.eval().requires_grad_(False).parameters():
        parameter.mul_(4 if parameter.dim() > 1 else 1)
    return model


def gpt2() -> PreTrainedModel:
    return made(GPT2Config, n_embd=32, n_layer=2, n_head=4, n_positions=64)


def mixture() -> PreTrainedModel:
    return made(
        DeepseekV3Config, **SHAPE, **EXPERTS, n_routed_experts=4, n_group=1, topk_group=1, first_k_dense_replace=1,
        q_lora_rank=8, kv_lora_rank=8, qk_nope_head_dim=8, qk_rope_head_dim=8, v_head_dim=8,
    )  # fmt: skip


def test_layers_with_turned_weights_are_adapted_as_peft_adapts_them() -> None:
    model, (_, tokenizer) = gpt2(), tiny_model()
    trial = try_adapters(model, tokenizer, ITEMS, Lora(rank=2))
    theirs = get_peft_model(gpt2(), LoraConfig(r=2, target_modules="all-linear", task_type="CAUSAL_LM"))
    expected = {name.split(".lora_A")[0] for name, _ in theirs.named_parameters() if "lora_A" in name}
    assert {f"base_model.model.{name}" for name in trial.targets.layers} == expected
    numbers = sum(p.numel() for name, p in theirs.named_parameters() if "lora_" in name)
    assert trial.summary == f"LoRA on 8 layers (c_attn, c_fc, c_proj), {numbers:,} parameters"
    for dora in (False, True):
        assert try_adapters(model, tokenizer, ITEMS, Lora(rank=2, dora=dora)).stacks


@pytest.mark.parametrize(
    ("model", "reached", "left_out", "refused"),
    [
        (mixture(), "kv_b_proj", ("down_proj", "gate_proj", "up_proj"), "PEFT would not load an adapter on these"),
        (
            made(MambaConfig, hidden_size=32, num_hidden_layers=2, state_size=4, intermediate_size=64),
            "dt_proj", ("out_proj",), "PEFT would not load an adapter on these",
        ),
        (
            made(Llama4TextConfig, **SHAPE, intermediate_size_mlp=48, num_key_value_heads=2, head_dim=8,
                 num_local_experts=4, interleave_moe_layer_step=1),
            "q_proj", ("router",), "they return more than a product",
        ),
    ],
    ids=["mixture", "state space", "router"],
)  # fmt: skip
def test_layers_that_peft_would_not_adapt_are_left_out_and_said(
    model: PreTrainedModel, reached: str, left_out: tuple[str, ...], refused: str
) -> None:
    _, tokenizer = tiny_model()
    trial = try_adapters(model, tokenizer, ITEMS, Lora(rank=2))
    endings = {name.rpartition(".")[2] for name in trial.targets.layers}
    assert reached in endings and not endings & set(left_out)
    assert f"not on {', '.join(left_out)} ({refused})" in trial.summary
    with pytest.raises(ValueError, match=left_out[0]):
        find_targets(model, Lora(target_modules=(reached, left_out[0])))
    sources = [TrainingSource(str(seed), ITEMS, (), seed) for seed in (1, 2)]
    settings = Lora(rank=2, epochs=2, batch_size=3)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    together = train_stack(model, tokenizer, sources, settings, trial=trial)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    for source, result in zip(sources, together, strict=True):
        (alone,) = train_stack(model, tokenizer, [source], settings, trial=trial)
        assert isinstance(result, TrainedAdapter) and isinstance(alone, TrainedAdapter)
        assert [row.loss for row in result.log] == pytest.approx([row.loss for row in alone.log], abs=1e-3)


def test_stacked_experts_are_said_to_be_left_out() -> None:
    model, (_, tokenizer) = made(Qwen3MoeConfig, **SHAPE, **EXPERTS, num_experts=4, head_dim=8), tiny_model()
    summary = try_adapters(model, tokenizer, ITEMS, Lora(rank=2)).summary
    assert "(k_proj, o_proj, q_proj, v_proj)" in summary
    assert "not on experts.down_proj, experts.gate_up_proj, gate.weight (parameters that are no layers, " in summary
    with pytest.raises(ValueError, match=r"'gate_proj': the experts of a 'qwen3_moe' model .*experts.gate_up_proj"):
        find_targets(model, Lora(target_modules=("q_proj", "gate_proj")))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_peft_reads_otherwise_is_refused(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    model, tokenizer = tiny_model()
    model = model.to(dtype)
    modules = dict(model.named_modules())
    matrices: Callable[[dict[str, Any]], dict[str, Any]]

    def wrong(adapter: Any, *rest: Any) -> None:
        save_adapter(replace(adapter, matrices=matrices(adapter.matrices)), *rest)

    monkeypatch.setattr(probes, "save_adapter", wrong)
    matrices = lambda found: dict(list(found.items())[1:])  # noqa: E731
    with pytest.raises(ValueError, match=r"on other layers than these, as model.layers.0.self_attn.q_proj"):
        try_adapters(model, tokenizer, ITEMS, Lora(rank=2))
    matrices = lambda found: found | {LAYER: (found[LAYER][0], 2 * found[LAYER][1])}  # noqa: E731
    with pytest.raises(ValueError, match=rf"an adapter on layer {LAYER} means something else in PEFT"):
        try_adapters(model, tokenizer, ITEMS, Lora(rank=2))
    monkeypatch.setattr(probes, "_layer_outputs", lambda model, names: {})
    with pytest.raises(ValueError, match="mean something else in PEFT"):
        try_adapters(model, tokenizer, ITEMS, Lora(rank=2))
    assert dict(model.named_modules()) == modules and not hasattr(model, "peft_config")


def test_rounding_alone_is_no_reason_to_refuse() -> None:
    """A deep random Mamba in bfloat16 gives other numbers for whatever is added in another order."""
    model, (_, tokenizer) = made(MambaConfig, hidden_size=32, num_hidden_layers=12, state_size=4), tiny_model()
    model = model.to(torch.bfloat16)
    trial = try_adapters(model, tokenizer, ITEMS, Lora(rank=2))
    assert trial.summary.startswith("LoRA on 36 layers (dt_proj, in_proj, x_proj)")
    source = TrainingSource("one", ITEMS, (), 1)
    (trained,) = train_stack(model, tokenizer, [source], Lora(rank=2, epochs=2, batch_size=3), trial=trial)
    assert isinstance(trained, TrainedAdapter) and all(math.isfinite(row.loss) for row in trained.log)


def test_layers_that_do_not_stack_are_trained_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here they are given tokens in another order than that of the rows, as experts are."""
    model, tokenizer = tiny_model()
    plain = try_adapters(model, tokenizer, ITEMS, Lora(rank=2))
    assert plain.stacks
    sources = [TrainingSource(str(seed), ITEMS, (), seed) for seed in (1, 2)]
    settings = Lora(rank=2, epochs=2, batch_size=3)
    expected = [[row.loss for row in result.log] for result in train_stack(model, tokenizer, sources, settings)]
    forward = type(model.model.layers[0].mlp).forward

    def flipped(module: Any, x: Tensor) -> Tensor:
        return forward(module, x.flatten(0, 1).flip(0)).flip(0).view(x.shape)

    monkeypatch.setattr(type(model.model.layers[0].mlp), "forward", flipped)
    trial = try_adapters(model, tokenizer, ITEMS, Lora(rank=2))
    assert not trial.stacks and trial.summary.endswith("trained one by one, as the layers do not stack")
    results = train_stack(model, tokenizer, sources, settings, trial=trial)
    assert [[row.loss for row in result.log] for result in results] == [
        pytest.approx(one, abs=1e-3) for one in expected
    ]
