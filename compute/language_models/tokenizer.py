"""A small byte-level BPE tokenizer, trained on the text it is for."""

from __future__ import annotations

from collections.abc import Iterable

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

END_OF_TEXT = "<|endoftext|>"
"""Begins every document, and pads."""

_PIECES = r" ?\p{L}+| ?\p{N}| ?[^\s\p{L}\p{N}]+|\s+"
"""Merges stay inside a word, a digit or a sign, each with the space before it: digits are single tokens, so that a
number's value is spelled out the same way whatever numbers the text held."""


def train_tokenizer(documents: Iterable[str], vocabulary_size: int, max_tokens: int) -> PreTrainedTokenizerFast:
    """Return a tokenizer of at most `vocabulary_size` entries that encodes any text; it puts `END_OF_TEXT` first.

    Saved by `save_pretrained`, it loads with `AutoTokenizer.from_pretrained`. The same documents give the same one.

    Args:
        documents: the text to learn merges from.
        vocabulary_size: at least 257 (the bytes and `END_OF_TEXT`).
        max_tokens: the longest input its model takes.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_PIECES), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary_size,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(documents, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{END_OF_TEXT} $A", special_tokens=[(END_OF_TEXT, tokenizer.token_to_id(END_OF_TEXT))]
    )
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer,
        bos_token=END_OF_TEXT,
        eos_token=END_OF_TEXT,
        pad_token=END_OF_TEXT,
        model_max_length=max_tokens,
        clean_up_tokenization_spaces=False,
    )
