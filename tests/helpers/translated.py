"""Two languages of made-up words, one the other turned round: what is learnt in one holds in the other, exactly, once
the vectors are mapped by the rotation, and not at all if they are mapped by another."""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_lowercase

import numpy as np

from compute.embeddings.vectors import Vectors
from tests.helpers.rotated import random_rotation


def word(number: int, language: str) -> str:
    """A word of letters, another for each number: `en` + `aac`."""
    letters = [ascii_lowercase[number // 26**place % 26] for place in (2, 1, 0)]
    return language + "".join(letters)


def text(numbers: Sequence[int], language: str) -> str:
    """Words of a language as a text."""
    return " ".join(word(number, language) for number in numbers)


def languages(n: int = 200, d: int = 20, seed: int = 0, right: bool = True) -> tuple[Vectors, Vectors]:
    """English, mapped into the space of German, where word i means word i; `right` or by a rotation of no sense. The
    first half of the words lies to one side, the second to the other."""
    rng = np.random.default_rng(seed)
    side = np.where(np.arange(n) < n // 2, 1, -1)[:, None] * rng.normal(size=d) * 0.7
    german = (rng.normal(size=(n, d)) + side).astype(np.float32)
    english = german if right else (german @ random_rotation(rng, d)).astype(np.float32)
    return tuple(  # type: ignore[return-value]
        Vectors([word(i, language) for i in range(n)], matrix) for language, matrix in (("en", english), ("de", german))
    )


def topical(
    rng: np.random.Generator, n_texts: int, n_words: int = 200, length: int = 12
) -> tuple[list[list[int]], list[int]]:
    """Texts as word numbers and their topics, 0 or 1: of every four words three are of the topic's half."""
    topics = rng.integers(2, size=n_texts).tolist()
    half = n_words // 2
    return [
        [int(rng.integers(half) + half * (topic if rng.random() < 0.75 else 1 - topic)) for _ in range(length)]
        for topic in topics
    ], topics
