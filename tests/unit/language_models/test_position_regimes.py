"""No score depends on its company where a model reads long texts otherwise than short ones."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from transformers import Phi3Config, Phi3ForCausalLM

from compute.language_models.generation import generate_items
from compute.language_models.hidden_states import token_states
from compute.language_models.regimes import reads_alone, regime_of
from compute.language_models.scoring import score_items
from compute.language_models.settings import Lora
from compute.language_models.training import train_stack
from compute.language_models.training_records import TrainedAdapter, TrainingSource
from compute.tasks.task import Item
from tests.helpers.tiny_model import tiny_model

BOUND = 12


def long_rope() -> Phi3ForCausalLM:
    """Phi-3 with other factors for texts of more than `BOUND` tokens."""
    _, tokenizer = tiny_model()
    torch.manual_seed(0)
    config = Phi3Config(
        vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        intermediate_size=48, max_position_embeddings=64, original_max_position_embeddings=BOUND, pad_token_id=0,
        rope_parameters={
            "rope_type": "longrope", "rope_theta": 10000.0, "short_factor": [1.0] * 4, "long_factor": [9.0] * 4,
            "original_max_position_embeddings": BOUND,
        },
    )  # fmt: skip
    model = Phi3ForCausalLM(config).eval().requires_grad_(False)
    for parameter in model.parameters():
        if parameter.dim() > 1:
            parameter.mul_(4)
    return model


MODEL, TOKENIZER = long_rope(), tiny_model()[1]


def item(number: int, digits: int, choices: list[int]) -> Item:
    """Digits are a token each."""
    context = "".join(str((number + place) % 10) for place in range(digits))
    return Item(str(number), None, context, tuple("7" * length + str(i) for i, length in enumerate(choices)), 0)


def test_of_most_models_one_regime_and_of_these_two() -> None:
    llama, _ = tiny_model()
    assert {regime_of(llama)(length) for length in (1, 60)} == {0} and not reads_alone(llama)
    assert [regime_of(MODEL)(length) for length in (BOUND, BOUND + 1)] == [0, 1]


@examples(max_examples=15, deadline=None)
@given(
    st.lists(st.tuples(st.integers(2, 20), st.lists(st.integers(1, 8), min_size=2, max_size=3)), min_size=2, max_size=5)
)
def test_scores_are_those_of_each_choice_by_itself(shapes: list[tuple[int, list[int]]]) -> None:
    items = [item(i, digits, choices) for i, (digits, choices) in enumerate(shapes)]
    together = score_items(MODEL, TOKENIZER, items)
    for asked, score in zip(items, together, strict=True):
        for choice, value in zip(asked.choices, score.logprobs, strict=True):
            context, whole = (TOKENIZER(text)["input_ids"] for text in (asked.context, asked.context + choice))
            with torch.no_grad():
                logprobs = MODEL(torch.tensor([whole[:-1]])).logits[0].log_softmax(-1)
            expected = sum(float(logprobs[place - 1, whole[place]]) for place in range(len(context), len(whole)))
            assert value == pytest.approx(expected, abs=1e-4)


def test_generated_texts_are_those_of_each_by_itself() -> None:
    items = [item(i, digits, [1, 2]) for i, digits in enumerate((3, 9, 20, BOUND - 1, 5))]
    alone = [generate_items(MODEL, TOKENIZER, [one], [], 6)[0] for one in items]
    assert generate_items(MODEL, TOKENIZER, items, [], 6) == alone
    for one, answer in zip(items, alone, strict=True):
        ids = torch.tensor([TOKENIZER(one.context)["input_ids"]])
        whole = MODEL.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=6, do_sample=False)
        assert answer.text == TOKENIZER.decode(whole[0, ids.shape[1] :], skip_special_tokens=True)


def test_losses_are_those_of_each_row_by_itself() -> None:
    """A step of one epoch in batches of one, and the same rows in one batch: equal losses of the first step."""
    items = [item(i, digits, [2, 1]) for i, digits in enumerate((3, 20, 8, 18, 5))]
    short = TrainingSource("short", [item(i, 4 + i, [2, 1]) for i in range(4)], (), 1)
    fixed = Lora(rank=2, epochs=1, batch_size=8, warmup=0.0)
    results = train_stack(MODEL, TOKENIZER, [TrainingSource("mixed", items, (), 1), short], fixed)
    alone = [train_stack(MODEL, TOKENIZER, [TrainingSource("one", [one], (), 1)], fixed)[0] for one in items]
    assert all(isinstance(result, TrainedAdapter) for result in (*results, *alone))
    # Every answer has as many tokens, so the mean over a batch's tokens is that of its rows.
    assert results[0].log[0].loss == pytest.approx(sum(one.log[0].loss for one in alone) / len(alone), abs=1e-4)


def test_hidden_states_are_those_of_each_text_by_itself() -> None:
    """Texts that begin alike and are read in two ways have states of their own."""
    texts = [TOKENIZER(item(0, digits, [1, 2]).context)["input_ids"] for digits in (3, 20, BOUND - 1, BOUND, 5)]
    together = token_states(MODEL, TOKENIZER, [[text] for text in texts])
    for number, text in enumerate(texts):
        alone = token_states(MODEL, TOKENIZER, [[text]]).vectors
        torch.testing.assert_close(together.vectors[together.counts[:, number] > 0], alone, atol=1e-4, rtol=1e-4)
