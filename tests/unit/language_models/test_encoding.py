"""Encoding: how long a text each family takes, and what a chat template makes of a context."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from transformers import (
    BloomConfig,
    FalconConfig,
    Gemma3Config,
    GPT2Config,
    LlamaConfig,
    PreTrainedConfig,
)

from compute.language_models.encoding import Encoding, context_limit, encode_items, render_contexts
from compute.tasks.task import Item
from tests.helpers.tiny_model import tiny_model

CHAT = Encoding(chat_template=True)


@pytest.mark.parametrize(
    ("config", "of_tokenizer", "expected"),
    [
        (LlamaConfig(max_position_embeddings=300), 10**30, 300),
        (LlamaConfig(max_position_embeddings=300), 200, 300),
        (GPT2Config(n_positions=100), 10**30, 100),
        (Gemma3Config(text_config={"max_position_embeddings": 700}), 10**30, 700),
        (FalconConfig(max_position_embeddings=90), 10**30, 90),
        (FalconConfig(alibi=True, max_position_embeddings=90), 10**30, None),
        (BloomConfig(seq_length=50), 10**30, None),
        (BloomConfig(), 4096, 4096),
    ],
)
def test_limits(config: PreTrainedConfig, of_tokenizer: int, expected: int | None) -> None:
    model: Any = SimpleNamespace(config=config)
    tokenizer: Any = SimpleNamespace(model_max_length=of_tokenizer)
    assert context_limit(model, tokenizer) == expected


def test_a_chat_is_begun_once_and_its_answers_lose_their_delimiter() -> None:
    model, tokenizer = tiny_model()
    template = "{{ bos_token }}user: {{ messages[0]['content'] }}{% if add_generation_prompt %} answer:{% endif %}"
    tokenizer.chat_template = template
    item = Item("a", None, "x =", (" 1", " 22"), 0)
    assert render_contexts(tokenizer, [item], CHAT) == [f"{tokenizer.bos_token}user: x = answer:"]
    (encoded,) = encode_items(model, tokenizer, [item], CHAT)
    assert encoded.context == tokenizer("user: x = answer:")["input_ids"]
    assert encoded.context.count(tokenizer.bos_token_id) == 1
    assert [tokenizer.decode(choice) for choice in encoded.choices] == ["1", "22"]


def test_a_chat_does_not_depend_on_the_day() -> None:
    _, tokenizer = tiny_model()
    tokenizer.chat_template = "Today Date: {{ strftime_now('%d %b %Y') }} {{ messages[0]['content'] }}"
    assert render_contexts(tokenizer, [Item("a", None, "x", ("y",), 0)], CHAT) == ["Today Date: 26 Jul 2024 x"]


def test_a_template_that_refuses_names_the_item() -> None:
    model, tokenizer = tiny_model()
    tokenizer.chat_template = "{{ raise_exception('only poems') }}"
    with pytest.raises(ValueError, match="item a: the tokenizer's chat template refuses it: only poems"):
        encode_items(model, tokenizer, [Item("a", None, "x", ("y",), 0)], CHAT)
