"""What tokenizers and chat templates do to a text unasked is set right, or refused with a line that says it."""

from __future__ import annotations

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from compute.language_models.encoding import Encoding, encode_items, render_contexts
from compute.language_models.generation import generate_items
from compute.language_models.scoring import score_items
from compute.tasks.task import Item
from tests.helpers.tiny_model import tiny_model

ITEMS = [
    Item(str(i), None, context, (" neun", " zehn und eins"), 0) for i, context in enumerate(("sieben", "acht und"))
]


def question(context: str, *choices: str) -> Item:
    return Item("7", None, context, choices or (" ja", " nein"), 0)


def test_a_token_put_after_every_text_is_no_part_of_it() -> None:
    model, tokenizer = tiny_model()
    scores = score_items(model, tokenizer, ITEMS)
    texts = generate_items(model, tokenizer, ITEMS, [], 5)
    end = (str(tokenizer.eos_token), tokenizer.eos_token_id)
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{end[0]} $A {end[0]}", special_tokens=[end]
    )
    assert tokenizer("sieben").input_ids[-1] == tokenizer.eos_token_id
    assert score_items(model, tokenizer, ITEMS) == scores
    assert generate_items(model, tokenizer, ITEMS, [], 5) == texts


def test_a_token_that_the_model_has_no_vector_for_is_named() -> None:
    model, tokenizer = tiny_model()
    known = model.config.vocab_size
    tokenizer.add_tokens([f"<new{i}>" for i in range(known - len(tokenizer))] + ["Fluss"])
    score_items(model, tokenizer, ITEMS)
    for item in (question("Der Fluss"), question("Der", " Fluss", " See")):
        with pytest.raises(ValueError, match=f"item 7: its token 'Fluss' is number {known} and .* for {known}: "):
            score_items(model, tokenizer, [*ITEMS, item])
    with pytest.raises(ValueError, match="item 7: its token 'Fluss'"):
        generate_items(model, tokenizer, [question("Der Fluss")], [], 5)


def _words(*known: str) -> PreTrainedTokenizerFast:
    """A tokenizer of whole words, that takes any other for unknown."""
    vocabulary = {word: i for i, word in enumerate(("<s>", "<unk>", *known))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="<s>", unk_token="<unk>")


@pytest.mark.parametrize(
    ("context", "choices", "what"),
    [
        ("أي من هذه نهر", (" ja", " nein"), "contexts"),
        ("ja nein ja", (" نهر", " جبل"), "answers"),
    ],
)
def test_a_script_that_the_tokenizer_does_not_know_is_refused(
    context: str, choices: tuple[str, ...], what: str
) -> None:
    model, _ = tiny_model()
    items = [question("ja nein"), question(context, *choices), question(context, *choices)]
    with pytest.raises(ValueError, match=rf"keeps \d+ % of the letters of these {what} \(item 7: .*<unk>"):
        encode_items(model, _words("ja", "nein"), items)
    encode_items(model, _words("ja", "nein", *context.split(), *(choice.strip() for choice in choices)), items)


def test_characters_that_a_tokenizer_drops_count_as_lost() -> None:
    model, _ = tiny_model()
    tokenizer = Tokenizer(models.BPE({"<s>": 0, "j": 1, "a": 2, "n": 3}, []))
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="<s>")
    encode_items(model, fast, [question("ja", "na", "ja")])
    with pytest.raises(ValueError, match="keeps 0 % of the letters of these contexts"):
        encode_items(model, fast, [question("वह", "na", "ja")])


ONLY_USERS = "{% for m in messages if m['role'] == 'user' %}<u>{{ m['content'] }}{% endfor %}<a>"
IN_PARTS = (
    "{% for m in messages %}<{{ m['role'] }}>{% for part in m['content'] %}{% if part['type'] == 'text' %}"
    "{{ part['text'] }}{% endif %}{% endfor %}{% endfor %}<a>"
)


def test_a_message_that_a_chat_template_leaves_out_is_noticed() -> None:
    _, tokenizer = tiny_model()
    chat = (("system", "Answer well."), ("user", "Is it?"))
    asked = Item("7", None, "Is it?", (" ja", " nein"), 0, chat=chat)
    tokenizer.chat_template = ONLY_USERS
    assert render_contexts(tokenizer, [question("Is it?")], Encoding(chat_template=True)) == ["<u>Is it?<a>"]
    with pytest.raises(ValueError, match=r"item 7: .* leaves out the system's message 'Answer well.'"):
        render_contexts(tokenizer, [asked], Encoding(chat_template=True))
    tokenizer.chat_template = IN_PARTS
    assert render_contexts(tokenizer, [asked], Encoding(chat_template=True)) == ["<system>Answer well.<user>Is it?<a>"]
