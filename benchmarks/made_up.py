"""Made-up texts of given lengths in tokens, and a tokenizer for them."""

from __future__ import annotations

import random

from compute.language_models.tokenizer import train_tokenizer


class MadeUpTexts:
    """Random words of one to four syllables.

    Attributes:
        tokenizer: trained on such words.
        draw: the source of chance.
    """

    def __init__(self, vocabulary_size: int, max_tokens: int) -> None:
        """The same arguments give the same texts."""
        self.draw = random.Random(0)
        syllables = [consonant + vowel for consonant in "bcdfghjklmnpqrstvwz" for vowel in "aeiou"]
        words = sorted({"".join(self.draw.choices(syllables, k=self.draw.randint(1, 4))) for _ in range(30000)})
        documents = [" ".join(self.draw.sample(words, 50)) for _ in range(1500)]
        self.tokenizer = train_tokenizer(documents, vocabulary_size, max_tokens)
        lengths = [len(ids) - 1 for ids in self.tokenizer([f" {word}" for word in words])["input_ids"]]
        self._words = list(zip(words, lengths, strict=True))
        self.single = [word for word, length in self._words if length == 1]

    def text(self, tokens: int) -> str:
        """Words of so many tokens in all, a space before each."""
        chosen = []
        while tokens:
            word, length = self.draw.choice(self._words)
            if length > tokens:
                word, length = self.draw.choice(self.single), 1
            chosen.append(word)
            tokens -= length
        return "".join(f" {word}" for word in chosen)
