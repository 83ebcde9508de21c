"""Hidden states of tokens: those of transformers, each distinct beginning once, counted."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from compute.language_models.encoding import Encoding
from compute.language_models.hidden_states import default_layer, token_states, unlabelled_texts
from compute.tasks.task import Item
from tests.helpers.tiny_model import tiny_items, tiny_model

MODEL, TOKENIZER = tiny_model()
WHOLE = unlabelled_texts(MODEL, TOKENIZER, tiny_items()[::7])
SPECIAL = set(TOKENIZER.all_special_ids)
EVERY = [*WHOLE, *(ids[1:] for ids in WHOLE), *([*ids[:4], *SPECIAL, *ids[4:]] for ids in WHOLE[:3])]
"""With the token that begins a text, as of a tokenizer without one, and with special tokens within."""


def alone(ids: list[int], layer: int) -> torch.Tensor:
    """The states of a text by itself, [tokens, width]."""
    with torch.no_grad():
        return MODEL(input_ids=torch.tensor([ids]), output_hidden_states=True).hidden_states[layer][0]


def beginnings(texts: list[list[int]]) -> Counter[tuple[int, ...]]:
    """How often each beginning ends in a token that counts; in the order in which they are first seen."""
    return Counter(
        tuple(ids[: place + 1]) for ids in texts for place, token in enumerate(ids) if place and token not in SPECIAL
    )


@examples(max_examples=20, deadline=None)
@given(
    st.lists(st.lists(st.sampled_from(EVERY), max_size=6), min_size=1, max_size=3),
    st.sampled_from([1, 2]),
    st.sampled_from([None, 1, 70]),
)
def test_states_are_those_of_each_text_alone(groups: list[list[list[int]]], layer: int, batch_tokens: int) -> None:
    found = token_states(MODEL, TOKENIZER, groups, layer, batch_tokens)
    distinct = list(beginnings([ids for texts in groups for ids in texts]))
    assert len(found.vectors) == len(distinct)
    for beginning, vector in zip(distinct, found.vectors, strict=True):
        torch.testing.assert_close(vector, alone(list(beginning), layer)[-1], atol=1e-4, rtol=1e-4)
    own = [beginnings(texts) for texts in groups]
    assert found.counts.tolist() == [[group[beginning] for group in own] for beginning in distinct]


def test_the_layer_is_two_thirds_up_unless_said() -> None:
    assert [default_layer(layers) for layers in (1, 2, 3, 12, 24)] == [1, 1, 2, 8, 16]
    found = [token_states(MODEL, TOKENIZER, [EVERY[:3]], layer).vectors for layer in (None, 1, 2)]
    assert torch.equal(found[0], found[1]) and not torch.equal(found[1], found[2])


def test_texts_are_without_answers() -> None:
    """An item without context is its choices, whichever is right."""
    plain = Item("1", None, "7 + 5 = ", (" 12", " 13"), 0)
    empty = Item("2", None, "", (" 12 + 1", " 13 + 1"), 0)
    first, second, third = unlabelled_texts(MODEL, TOKENIZER, [plain, empty])
    assert [TOKENIZER.decode(ids, skip_special_tokens=True) for ids in (first, second, third)] == [
        "7 + 5 =", "12 + 1", "13 + 1",
    ]  # fmt: skip
    other = [Item(one.item_id, None, one.context, one.choices, 1) for one in (plain, empty)]
    assert unlabelled_texts(MODEL, TOKENIZER, other) == [first, second, third]


def test_a_text_too_long_is_refused_or_cut_at_its_beginning() -> None:
    long = Item("long", None, "1 2 3 4 5 6 7 8 9 " * 12, (" 1",), 0)
    with pytest.raises(ValueError, match=r"item long: \d+ tokens, and the model takes 64; with `truncate: true`"):
        unlabelled_texts(MODEL, TOKENIZER, [long])
    (cut,) = unlabelled_texts(MODEL, TOKENIZER, [long], Encoding(truncate=True))
    assert cut == TOKENIZER(long.context.rstrip())["input_ids"][-64:]


def test_states_that_cannot_be_had_are_told_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="layer 3: expected 1 to 2, as many as the model has"):
        token_states(MODEL, TOKENIZER, [EVERY[:1]], 3)

    def broken(*_: object, **__: object) -> None:
        raise TypeError("unexpected keyword\nand more")

    for forward, told in (
        (lambda *_, **__: SimpleNamespace(hidden_states=None), "LlamaForCausalLM: it does not give its hidden states"),
        (broken, "LlamaForCausalLM: its hidden states cannot be had: unexpected keyword$"),
        (lambda *_, **__: SimpleNamespace(hidden_states=[torch.full((1, 64, 4), torch.nan)] * 3), "no finite numbers"),
    ):
        monkeypatch.setattr(type(MODEL.base_model), "forward", forward)
        with pytest.raises(ValueError, match=told):
            token_states(MODEL, TOKENIZER, [EVERY[:1]])
