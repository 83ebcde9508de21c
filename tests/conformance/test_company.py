"""Of every family: no score, text or training depends on what else is asked at the same time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from transformers import (
    DeepseekV3Config,
    FalconMambaConfig,
    Llama4TextConfig,
    Mamba2Config,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    Qwen3MoeConfig,
    RwkvConfig,
)
from transformers.models.auto.modeling_auto import AutoModelForCausalLM

from compute.language_models.generation import generate_items
from compute.language_models.hidden_states import token_states, unlabelled_texts
from compute.language_models.loading import load_model
from compute.language_models.probes import Trial, try_adapters
from compute.language_models.scoring import score_items
from compute.language_models.settings import Lora
from compute.language_models.training import train_stack
from compute.language_models.training_records import TrainedAdapter, TrainingSource
from compute.tasks.task import Item
from tests.helpers.families import FAMILIES, SHAPE, byte_level, save_tiny

EXPERTS: Mapping[str, Any] = {"moe_intermediate_size": 16, "num_experts_per_tok": 2}
OTHERS: Mapping[str, tuple[type[PreTrainedConfig], dict[str, Any]]] = {
    "mamba2": (Mamba2Config, {"state_size": 8, "num_heads": 8, "head_dim": 8, "n_groups": 1, "chunk_size": 8}),
    "falcon_mamba": (FalconMambaConfig, {"state_size": 4}),
    "rwkv": (RwkvConfig, {"attention_hidden_size": 32, "context_length": 512}),
    "qwen3_moe": (Qwen3MoeConfig, {**SHAPE, **EXPERTS, "num_experts": 4, "head_dim": 8}),
    "deepseek_v3": (
        DeepseekV3Config,
        {**SHAPE, **EXPERTS, "num_key_value_heads": 4, "n_routed_experts": 4, "n_group": 1, "topk_group": 1,
         "first_k_dense_replace": 1, "q_lora_rank": 8, "kv_lora_rank": 8, "qk_nope_head_dim": 8, "qk_rope_head_dim": 8,
         "v_head_dim": 8},
    ),
    "llama4_text": (
        Llama4TextConfig,
        {**SHAPE, "intermediate_size_mlp": 48, "num_local_experts": 4, "head_dim": 8, "attention_chunk_size": 16,
         "interleave_moe_layer_step": 1},
    ),
}  # fmt: skip
"""Models with a state, mixtures of experts, and chunked attention, beside the families that are held elsewhere too."""

ITEMS = tuple(
    Item(f"{number}", None, context, choices, number % len(choices))
    for number, (context, choices) in enumerate(
        [
            ("Question: Which of these is a river?\nA. Paris\nB. Nile\nAnswer:", (" A", " B")),
            ("Welcher dieser Namen ist ein Fluss?", (" Der Nil, nicht der Ätna", " Rom", " Ätna")),
            ("السؤال: أي من هذه نهر؟", (" النيل", " روما وباريس")),
            ("The capital of France is Paris, and that of Italy is Rome. " * 2 + "Which is it?", (" Paris", " 9")),
            ("", (" The Nile.", " Der Nil")),
            ("A", (" B C D", " 1 2 3 4 5 6 7 8")),
        ]
    )
)
ASKED = ITEMS[:4]
LORA = Lora(rank=2, epochs=2, batch_size=2, learning_rate=1e-3)


@dataclass(frozen=True)
class Loaded:
    """A family's tiny model, and what it answers to one item at a time."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    scores: list[list[float]]
    texts: list[str]
    trial: Trial


@cache
def loaded(name: str, folder: Any) -> Loaded:
    if name in FAMILIES:
        model, tokenizer = load_model(save_tiny(name, folder))
    else:
        config, shape = OTHERS[name]
        tokenizer = byte_level(True)
        tokenizer.pad_token_id = tokenizer.eos_token_id
        torch.manual_seed(0)
        whole = {"hidden_size": 32, "num_hidden_layers": 2, "vocab_size": len(tokenizer), "pad_token_id": 0, **shape}
        model = AutoModelForCausalLM.from_config(config(**whole)).eval().requires_grad_(False)
        for parameter in model.parameters():
            parameter.mul_(4 if parameter.dim() > 1 else 1)
    return Loaded(
        model,
        tokenizer,
        [score_items(model, tokenizer, [item])[0].logprobs for item in ITEMS],
        [generate_items(model, tokenizer, [item], ["\n"], 5)[0].text for item in ASKED],
        try_adapters(model, tokenizer, ASKED, LORA),
    )


@pytest.fixture(params=[*FAMILIES, *OTHERS], scope="module")
def family(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    return loaded(request.param, tmp_path_factory.mktemp("family"))


company = examples(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
orders = st.lists(st.sampled_from(range(len(ITEMS))), min_size=2, max_size=9)


@company
@given(asked=orders, batch_tokens=st.sampled_from([None, 1, 60, 300]))
def test_scores_are_those_of_each_item_alone(family: Loaded, asked: list[int], batch_tokens: int | None) -> None:
    items = [ITEMS[number] for number in asked]
    together = score_items(family.model, family.tokenizer, items, batch_tokens)
    for number, score in zip(asked, together, strict=True):
        assert score.logprobs == pytest.approx(family.scores[number], abs=2e-4)


@examples(company, max_examples=2)
@given(asked=st.lists(st.sampled_from(range(len(ASKED))), min_size=2, max_size=5))
def test_texts_are_those_of_each_item_alone(family: Loaded, asked: list[int]) -> None:
    items = [ASKED[number] for number in asked]
    together = generate_items(family.model, family.tokenizer, items, ["\n"], 5)
    assert [one.text for one in together] == [family.texts[number] for number in asked]


def test_hidden_states_are_those_of_each_text_alone(family: Loaded) -> None:
    texts = unlabelled_texts(family.model, family.tokenizer, ITEMS)
    together = token_states(family.model, family.tokenizer, [[text] for text in texts])
    for number, text in enumerate(texts):
        alone = token_states(family.model, family.tokenizer, [[text]]).vectors
        if len(text) > 1:
            torch.testing.assert_close(together.vectors[together.counts[:, number] > 0], alone, atol=1e-3, rtol=1e-3)


def test_adapters_are_trained_as_each_alone(family: Loaded) -> None:
    sources = [TrainingSource("some", ITEMS[:5], (), 1), TrainingSource("others", ITEMS[3:], ITEMS[:1], 2)]
    together = train_stack(family.model, family.tokenizer, sources, LORA, trial=family.trial)
    for source, result in zip(sources, together, strict=True):
        (alone,) = train_stack(family.model, family.tokenizer, [source], LORA, trial=family.trial)
        assert isinstance(result, TrainedAdapter) and isinstance(alone, TrainedAdapter)
        assert [row.loss for row in result.log] == pytest.approx([row.loss for row in alone.log], abs=2e-3)
