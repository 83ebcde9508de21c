"""Scoring: equal to a full forward a choice, in item order, whatever the batches; what is too long or too large."""

from __future__ import annotations

from functools import cache, wraps
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from compute.language_models import branching
from compute.language_models.encoding import Encoding, encode_items
from compute.language_models.scoring import score_items
from compute.language_models.settings import Family
from compute.tasks.task import Item, Prompt, Question
from tests.helpers.tiny_model import tiny_items, tiny_model

shared_model = cache(tiny_model)

TOLERANCE = 1e-4
LIMIT = 64
"""Tokens that the tiny model takes."""


def naive(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, item: Item) -> list[float]:
    """A whole forward for each choice, logits at every position; a model of n tokens predicts n + 1 at most."""
    scores = []
    start = len(tokenizer(item.context.rstrip())["input_ids"])
    for choice in item.choices:
        whole = tokenizer(item.context + choice, verbose=False)["input_ids"]
        length = len(whole) - start
        whole = whole[-(LIMIT + 1) :]
        logprobs = model(torch.tensor([whole[:-1]])).logits[0].log_softmax(-1)
        scores.append(sum(logprobs[i - 1, whole[i]].item() for i in range(len(whole) - length, len(whole))))
    return scores


@pytest.mark.parametrize("family", ["llama", "qwen2", "qwen3", "gpt_neox"])
def test_equals_a_full_forward_a_choice(family: Family) -> None:
    model, tokenizer = shared_model(family)
    items = tiny_items("test")[::4]
    for item, score in zip(items, score_items(model, tokenizer, items, batch_tokens=200), strict=True):
        assert score.logprobs == pytest.approx(naive(model, tokenizer, item), abs=TOLERANCE)
        assert score.truncated_tokens == 0


QUESTIONS = st.lists(
    st.tuples(st.text("ab 1é", max_size=12), st.lists(st.text("bc 2ж", max_size=6), min_size=1, max_size=4)),
    min_size=1, max_size=5,
)  # fmt: skip


@settings(max_examples=15, deadline=None)
@given(QUESTIONS, st.integers(1, 200), st.booleans())
def test_any_texts_any_batches_branching_or_not(
    texts: list[tuple[str, list[str]]], batch_tokens: int, branches: bool
) -> None:
    model, tokenizer = shared_model()
    items = [
        Item(str(i), None, context, tuple(f" {choice}x" for choice in choices), 0)
        for i, (context, choices) in enumerate(texts)
    ]
    with pytest.MonkeyPatch.context() as patch:
        if not branches:
            patch.setattr(branching, "BRANCHING", frozenset())
        scores = score_items(model, tokenizer, items, batch_tokens)
    for item, score in zip(items, scores, strict=True):
        assert score.logprobs == pytest.approx(naive(model, tokenizer, item), abs=TOLERANCE)


def calls(model: PreTrainedModel, monkeypatch: pytest.MonkeyPatch, most_rows: int = 10**6) -> list[tuple[int, int]]:
    """The shapes of what the model is given from now on; more than `most_rows` rows are more than its memory holds."""
    forward, shapes = model.forward, list[tuple[int, int]]()

    @wraps(forward)
    def counted(*args: Any, **kwargs: Any) -> Any:
        rows, columns = kwargs["input_ids"].shape
        shapes.append((rows, columns))
        if rows > most_rows:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(*args, **kwargs)

    monkeypatch.setattr(model, "forward", counted)
    return shapes


def test_a_context_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also by several items that share it."""
    model, tokenizer = tiny_model()
    items = [Item("a", None, "x y z =", (" 1 2", " 22 3"), 0), Item("b", None, "x y z =", (" 1 2", " 4 5 6"), 0)]
    (encoded, other) = encode_items(model, tokenizer, items)
    shapes = calls(model, monkeypatch)
    score_items(model, tokenizer, items)
    own = sum(len(choice) - 1 for choice in encoded.choices + other.choices)
    assert shapes == [(1, len(encoded.context) + own)]


def test_a_model_that_takes_no_mask_of_the_logits_to_keep(monkeypatch: pytest.MonkeyPatch) -> None:
    """As those of transformers 5.17, and of a checkpoint's own code that has no such argument at all."""
    model, tokenizer = tiny_model()
    items = tiny_items("test")[::8]
    expected = [naive(model, tokenizer, item) for item in items]
    forward = model.forward

    def strict(input_ids: Any, attention_mask: Any = None, position_ids: Any = None, use_cache: bool = True) -> Any:
        return forward(
            input_ids=input_ids, attention_mask=attention_mask, position_ids=position_ids, use_cache=use_cache
        )

    monkeypatch.setattr(model, "forward", strict)
    for output in (model.get_output_embeddings(), None):
        monkeypatch.setattr(model, "get_output_embeddings", lambda output=output: output)
        for scores, item in zip(expected, score_items(model, tokenizer, items), strict=True):
            assert item.logprobs == pytest.approx(scores, abs=TOLERANCE)


def test_memory_that_is_not_enough_halves_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    model, tokenizer = tiny_model()
    items = tiny_items("test")[:40]
    expected = score_items(model, tokenizer, items)
    shapes = calls(model, monkeypatch, most_rows=5)
    scores = score_items(model, tokenizer, items)
    for score, other in zip(scores, expected, strict=True):
        assert score.logprobs == pytest.approx(other.logprobs, abs=1e-5)
    failed = [rows for rows, _ in shapes if rows > 5]
    halves = [shapes[0][0] >> step for step in range(6)]
    assert failed == [rows for rows in halves if rows > 5] and shapes[len(failed)][0] == halves[len(failed)]
    assert sum(rows for rows, _ in shapes if rows <= 5) == 40


def test_an_item_that_needs_too_much_memory_alone_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    model, tokenizer = tiny_model()
    calls(model, monkeypatch, most_rows=0)
    with pytest.raises(ValueError, match=r"item a: the GPU's memory is not enough for its \d+ tokens"):
        score_items(model, tokenizer, [Item("a", None, "x y =", (" 1",), 0), Item("b", None, "x =", (" 1",), 0)])


@settings(max_examples=20, deadline=None)
@given(st.integers(LIMIT - 12, LIMIT + 10), st.lists(st.integers(1, 8), min_size=1, max_size=4))
def test_too_long_a_context_loses_its_beginning_or_is_refused(digits: int, lengths: list[int]) -> None:
    model, tokenizer = shared_model()
    item = Item("a", None, "".join(str(i % 9) for i in range(digits)), tuple("7" * n for n in lengths), 0)
    cut = max(0, 1 + digits + max(lengths) - (LIMIT + 1))
    (score,) = score_items(model, tokenizer, [item], encoding=Encoding(truncate=True))
    assert score.logprobs == pytest.approx(naive(model, tokenizer, item), abs=TOLERANCE)
    assert score.truncated_tokens == cut
    if cut:
        with pytest.raises(ValueError, match=rf"item a: {1 + digits} tokens of context .* takes {LIMIT}; .*truncate"):
            score_items(model, tokenizer, [item])
    else:
        assert score_items(model, tokenizer, [item]) == [score]


def test_a_choice_too_long_for_the_model_is_refused() -> None:
    model, tokenizer = shared_model()
    item = Item("a", None, "1", ("7" * (LIMIT + 1),), 0)
    with pytest.raises(ValueError, match=f"item a: a choice of {LIMIT + 1} tokens, and the model takes {LIMIT}"):
        score_items(model, tokenizer, [item], encoding=Encoding(truncate=True))


def test_lengths_leave_out_the_parting_space() -> None:
    model, tokenizer = shared_model()
    (score,) = score_items(model, tokenizer, [Item("a", None, "x =", (" ж1", " 22"), 0)])
    assert score.char_counts == [2, 2]
    assert score.byte_counts == [3, 2]
    assert score.token_counts == [len(tokenizer(" ж1")["input_ids"]) - 1, len(tokenizer(" 22")["input_ids"]) - 1]


@pytest.mark.parametrize(("delimiter", "answers"), [("", (" ж1", "22")), ("\n\n", ("ж1", " 22")), ("= ", ("ж1", "22"))])
def test_an_answer_is_what_follows_the_delimiter(delimiter: str, answers: tuple[str, ...]) -> None:
    """As in lm-evaluation-harness: lengths are those of the answers as given, and a chat has no delimiter."""
    model, tokenizer = tiny_model()
    tokenizer.chat_template = "{{ messages[0]['content'] }}"
    prompt = Prompt("p", "{q}", delimiter=delimiter)
    item = prompt.item(Question("a", None, {"q": "x ="}, answers, 0))
    (score,) = score_items(model, tokenizer, [item])
    assert score.char_counts == [len(answer) for answer in answers]
    assert score.byte_counts == [len(answer.encode()) for answer in answers]
    (encoded,) = encode_items(model, tokenizer, [item], Encoding(chat_template=True))
    assert [tokenizer.decode(choice) for choice in encoded.choices] == [*answers]


def test_context_that_ends_in_spaces_gives_them_to_the_choice() -> None:
    model, tokenizer = shared_model()
    apart, together = score_items(
        model, tokenizer, [Item("a", None, "x = ", ("1", "22"), 0), Item("b", None, "x =", (" 1", " 22"), 0)]
    )
    assert apart.logprobs == pytest.approx(together.logprobs, abs=TOLERANCE)


def test_a_choice_without_tokens_is_refused() -> None:
    model, tokenizer = shared_model()
    with pytest.raises(ValueError, match="item a: choice ''"):
        score_items(model, tokenizer, [Item("a", None, "x =", (" 1", ""), 0)])


def test_a_chat_template_that_is_not_there_is_asked_for_in_vain() -> None:
    model, tokenizer = shared_model()
    with pytest.raises(ValueError, match="a chat template is asked for and the tokenizer has none"):
        score_items(model, tokenizer, [Item("a", None, "x =", (" 1",), 0)], encoding=Encoding(chat_template=True))


def test_no_items_no_scores() -> None:
    model, tokenizer = shared_model()
    assert score_items(model, tokenizer, []) == []
