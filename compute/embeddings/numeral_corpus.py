"""Text of the numerals world in one language, and the gold dictionaries of number words.

Every number is one token, however many words it is written with ("twenty-one", "veintiuno", "cuarenta y
ocho"), so that a vector belongs to a number. The sentences put a number beside those it stands in a
relation with; which numbers are drawn depends on the language, so that two languages tell of the same world
in different texts, as comparable corpora do. What else differs between the vectors of two languages is how
their words are built (FastText's n-grams).
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from functools import cache

from compute.embeddings.dictionary import GoldPair
from compute.numeral_words import number_word

TRAINING_SHARE = 0.6
"""Share of the numbers that seed dictionaries may draw from; the test dictionaries draw from the others."""

COUNTING_STEPS = (1, 1, 1, 2, 3, 5, 10, 10, 20, 25, 50, 100, 100)
"""Steps counted by; the small and the round ones are commoner, as in life."""


def numeral_sentences(language: str, sentences: int, highest: int, seed: int) -> list[list[str]]:
    """`sentences` sentences of `language` about the numbers 0 to `highest`, as lists of tokens.

    Each number of the range is met: sentence i <= highest is about number i, later ones about drawn numbers.

    Raises:
        compute.names.UnknownName: a language that is not of the numerals world.
        ValueError: `highest` below 99.
    """
    if highest < 99:
        raise ValueError(f"highest number {highest}: the numerals world needs at least 0 to 99")
    draw = random.Random(_digest("sentences", language, highest, seed))
    text = []
    for i in range(sentences):
        about = i if i <= highest else draw.randint(0, highest)
        relation = draw.choice(_RELATIONS)
        text.append([number_word(n, language) for n in relation(about, highest, draw)])
    return text


def seed_dictionary(source: str, target: str, size: int, highest: int, seed: int) -> list[GoldPair]:
    """`size` rows to learn a map from. The numbers depend on `highest` and `seed` only, not on the
    languages, and a smaller dictionary is the beginning of a larger one. None of them is ever in a
    `test_dictionary`.

    Raises:
        compute.names.UnknownName: a language that is not of the numerals world.
        ValueError: more rows than there are training numbers.
    """
    return _rows(source, target, size, _training_numbers(highest, seed), "seed")


def test_dictionary(source: str, target: str, size: int, highest: int, seed: int) -> list[GoldPair]:
    """`size` rows to test a map on; the same promises and errors as `seed_dictionary`."""
    return _rows(source, target, size, _test_numbers(highest, seed), "test")


test_dictionary.__test__ = False  # type: ignore[attr-defined]  # its name would make pytest collect it


def dictionary_limit(role: str, highest: int) -> int:
    """Return the most rows that a `seed` or a `test` dictionary over the numbers 0 to `highest` can have."""
    training = int(TRAINING_SHARE * (highest + 1))
    return training if role == "seed" else highest + 1 - training


def _rows(source: str, target: str, size: int, pool: tuple[int, ...], role: str) -> list[GoldPair]:
    if not 1 <= size <= len(pool):
        raise ValueError(f"{role} dictionary {source}-{target} of {size} rows: 1 to {len(pool)} are possible")
    columns = _digits(pool), _words(pool, source), _words(pool, target)
    return list(map(GoldPair, *(column[:size] for column in columns)))


@cache
def _digits(pool: tuple[int, ...]) -> tuple[str, ...]:
    return tuple(map(str, pool))


@cache
def _words(pool: tuple[int, ...], language: str) -> tuple[str, ...]:
    """Return the numbers' words: each language is in many dictionaries."""
    return tuple(number_word(n, language) for n in pool)


def _training_numbers(highest: int, seed: int) -> tuple[int, ...]:
    order = _shuffled_numbers(highest, seed)
    return order[: int(TRAINING_SHARE * len(order))]


def _test_numbers(highest: int, seed: int) -> tuple[int, ...]:
    order = _shuffled_numbers(highest, seed)
    return order[int(TRAINING_SHARE * len(order)) :]


@cache
def _shuffled_numbers(highest: int, seed: int) -> tuple[int, ...]:
    numbers = list(range(highest + 1))
    random.Random(_digest("dictionary", highest, seed)).shuffle(numbers)
    return tuple(numbers)


def _digest(*parts: object) -> int:
    """Return a seed that is the same on every machine and in every process, unlike `hash()`."""
    return int.from_bytes(hashlib.sha256("/".join(map(str, parts)).encode()).digest()[:8], "big")


# The relations: each gives the numbers of one sentence about `n`, all within 0 to `highest`.


def _counting(n: int, highest: int, draw: random.Random) -> list[int]:
    step = draw.choice(COUNTING_STEPS)
    numbers = [n + step * i for i in range(-3, 4)]
    return [m for m in numbers if 0 <= m <= highest]


def _sum(n: int, highest: int, draw: random.Random) -> list[int]:
    part = draw.randint(0, n)
    return [part, n - part, n]


def _neighbours(n: int, highest: int, draw: random.Random) -> list[int]:
    return [m for m in (n - 2, n - 1, n, n + 1, n + 2) if 0 <= m <= highest]


def _double(n: int, highest: int, draw: random.Random) -> list[int]:
    half, rest = divmod(n, 2)
    return [half, half + rest, n] + ([2 * n] if 2 * n <= highest else [])


def _same_last_digits(n: int, highest: int, draw: random.Random) -> list[int]:
    modulus = draw.choice((10, 100))
    others = range(n % modulus, highest + 1, modulus)
    return [n, *draw.sample(others, min(4, len(others)))]


def _same_leading_digits(n: int, highest: int, draw: random.Random) -> list[int]:
    unit = draw.choice((10, 100))
    first = n // unit * unit
    others = range(first, min(first + unit, highest + 1))
    return [n, *draw.sample(others, min(4, len(others)))]


_RELATIONS: tuple[Callable[[int, int, random.Random], list[int]], ...] = (
    _counting, _sum, _neighbours, _double, _same_last_digits, _same_leading_digits,
)  # fmt: skip
