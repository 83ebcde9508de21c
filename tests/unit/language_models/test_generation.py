"""Generation: what greedy `generate` gives each context alone, in any batch; where it stops."""

from __future__ import annotations

from functools import cache, wraps
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from compute.language_models.encoding import Encoding
from compute.language_models.generation import GeneratedText, generate_items
from compute.tasks.task import Item
from tests.helpers.tiny_model import tiny_items, tiny_model

shared_model = cache(tiny_model)

LIMIT = 64


def question(i: int, context: str) -> Item:
    return Item(str(i), None, context, ("",), 0)


def alone(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, context: str, most: int) -> str:
    """What transformers generates after a context, all of it."""
    ids = torch.tensor([tokenizer(context)["input_ids"]])
    settings = {"do_sample": False, "max_new_tokens": most, "pad_token_id": 0}
    generated: Any = model.generate(ids, attention_mask=torch.ones_like(ids), **settings)  # type: ignore[operator]
    return str(tokenizer.decode(generated[0, ids.shape[1] :], skip_special_tokens=True))


@pytest.mark.parametrize("penalty", [1.0, 1.4])
@settings(max_examples=8, deadline=None)
@given(st.lists(st.text("ab 1é2ж", min_size=1, max_size=16), min_size=1, max_size=6), st.integers(40, 200))
def test_each_as_if_alone(penalty: float, contexts: list[str], batch_tokens: int) -> None:
    model, tokenizer = shared_model()
    model.generation_config.repetition_penalty = penalty
    items = [question(i, context) for i, context in enumerate(contexts)]
    answers = generate_items(model, tokenizer, items, [], 10, batch_tokens)
    assert answers == [GeneratedText(alone(model, tokenizer, context, 10)) for context in contexts]


def test_stops_before_the_first_stop_text_and_goes_no_further(monkeypatch: pytest.MonkeyPatch) -> None:
    model, tokenizer = tiny_model()
    items = [question(i, item.context) for i, item in enumerate(tiny_items("test")[:12])]
    whole = [alone(model, tokenizer, item.context, 20) for item in items]
    stop = [whole[0][3:5], whole[5][8:10]]
    steps = 0
    forward = model.forward

    @wraps(forward)
    def counted(*args: Any, **kwargs: Any) -> Any:
        nonlocal steps
        steps += len(kwargs["input_ids"])
        return forward(*args, **kwargs)

    monkeypatch.setattr(model, "forward", counted)
    answers = generate_items(model, tokenizer, items, stop, 20)
    cut = [min([text.find(end) for end in stop if end in text] or [len(text)]) for text in whole]
    assert [answer.text for answer in answers] == [text[:at] for text, at in zip(whole, cut, strict=True)]
    assert min(cut) <= 3 and steps < 20 * len(items)


def test_an_end_token_of_the_model_ends_the_text() -> None:
    model, tokenizer = tiny_model()
    item = question(0, tiny_items("test")[0].context)
    ids = tokenizer(item.context)["input_ids"]
    first = int(model(torch.tensor([ids])).logits[0, -1].argmax())
    assert generate_items(model, tokenizer, [item], [], 5)[0].text != ""
    model.generation_config.eos_token_id = [tokenizer.eos_token_id, first]
    (answer,) = generate_items(model, tokenizer, [item], [], 5)
    assert answer.text == tokenizer.decode([first])


def test_memory_that_is_not_enough_halves_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    model, tokenizer = tiny_model()
    items = [question(i, item.context) for i, item in enumerate(tiny_items("test")[:9])]
    expected = generate_items(model, tokenizer, items, [], 6)
    forward, rows = model.forward, list[int]()

    @wraps(forward)
    def small(*args: Any, **kwargs: Any) -> Any:
        rows.append(len(kwargs["input_ids"]))
        # Memory runs out once a batch has grown, not only at its start.
        if rows[-1] * kwargs["attention_mask"].shape[1] > 60:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(*args, **kwargs)

    monkeypatch.setattr(model, "forward", small)
    assert generate_items(model, tokenizer, items, [], 6) == expected
    assert rows[0] == 9 and rows[-1] < 5


def test_a_context_is_cut_so_that_the_answer_fits() -> None:
    model, tokenizer = tiny_model()
    digits = "".join(str(i % 9) for i in range(80))
    with pytest.raises(ValueError, match=rf"item 0: 81 tokens of context and up to 10 generated.*takes {LIMIT}"):
        generate_items(model, tokenizer, [question(0, digits)], [], 10)
    (answer,) = generate_items(model, tokenizer, [question(0, digits)], [], 10, encoding=Encoding(truncate=True))
    assert answer.truncated_tokens == 81 - (LIMIT - 10)
    ids = tokenizer(digits, verbose=False)["input_ids"][-(LIMIT - 10) :]
    out: list[int] = []
    for _ in range(10):
        out.append(int(model(torch.tensor([ids + out])).logits[0, -1].argmax()))
    assert answer.text == tokenizer.decode(out, skip_special_tokens=True)
    with pytest.raises(ValueError, match="max_new_tokens 64 leaves no room"):
        generate_items(model, tokenizer, [question(0, "1")], [], LIMIT)
