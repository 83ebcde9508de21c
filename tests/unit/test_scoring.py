"""Scoring: equal to a full forward a choice, in item order, whatever the batches."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_model import tiny_items, tiny_model
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from compute.language_models.scoring import score_items
from compute.language_models.settings import Family
from compute.tasks.task import Item

TOLERANCE = 1e-4


def naive(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, item: Item) -> list[float]:
    """A whole forward for each choice, logits at every position."""
    scores = []
    kept = item.context.rstrip()
    for choice in item.choices:
        start = len(tokenizer(kept)["input_ids"])
        whole = tokenizer(item.context + choice)["input_ids"]
        logprobs = model(torch.tensor([whole])).logits[0].log_softmax(-1)
        scores.append(sum(logprobs[i - 1, whole[i]].item() for i in range(start, len(whole))))
    return scores


@pytest.mark.parametrize("family", ["llama", "qwen2", "qwen3", "gpt_neox"])
def test_equals_a_full_forward_a_choice(family: Family) -> None:
    model, tokenizer = tiny_model(family)
    items = tiny_items("test")[::4]
    for item, score in zip(items, score_items(model, tokenizer, items, batch_tokens=200), strict=True):
        assert score.logprobs == pytest.approx(naive(model, tokenizer, item), abs=TOLERANCE)


@settings(max_examples=15, deadline=None)
@given(
    st.lists(
        st.tuples(st.text("ab 1é", max_size=12), st.lists(st.text("bc 2ж", max_size=6), min_size=1, max_size=4)),
        min_size=1, max_size=5,
    ),
    st.integers(1, 200),
)  # fmt: skip
def test_any_texts_any_batches(texts: list[tuple[str, list[str]]], batch_tokens: int) -> None:
    model, tokenizer = tiny_model()
    items = [
        Item(str(i), None, context, tuple(f" {choice}x" for choice in choices), 0)
        for i, (context, choices) in enumerate(texts)
    ]
    for item, score in zip(items, score_items(model, tokenizer, items, batch_tokens), strict=True):
        assert score.logprobs == pytest.approx(naive(model, tokenizer, item), abs=TOLERANCE)


def test_lengths_leave_out_the_parting_space() -> None:
    model, tokenizer = tiny_model()
    (score,) = score_items(model, tokenizer, [Item("a", None, "x =", (" ж1", " 22"), 0)])
    assert score.char_counts == [2, 2]
    assert score.byte_counts == [3, 2]
    assert score.token_counts == [len(tokenizer(" ж1")["input_ids"]) - 1, len(tokenizer(" 22")["input_ids"]) - 1]


def test_context_that_ends_in_spaces_gives_them_to_the_choice() -> None:
    model, tokenizer = tiny_model()
    apart, together = score_items(
        model, tokenizer, [Item("a", None, "x = ", ("1", "22"), 0), Item("b", None, "x =", (" 1", " 22"), 0)]
    )
    assert apart.logprobs == pytest.approx(together.logprobs, abs=TOLERANCE)


def test_too_long_a_context_loses_its_beginning() -> None:
    model, tokenizer = tiny_model()
    (score,) = score_items(model, tokenizer, [Item("a", None, "x " * 200 + "=", (" 1", " 22"), 0)])
    assert all(value < 0 for value in score.logprobs)


def test_a_choice_without_tokens_is_refused() -> None:
    model, tokenizer = tiny_model()
    with pytest.raises(ValueError, match="item a: choice ''"):
        score_items(model, tokenizer, [Item("a", None, "x =", (" 1", ""), 0)])
