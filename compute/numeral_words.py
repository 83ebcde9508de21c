"""How the numbers are written in the languages of the numerals world.

The spelling is num2words' own; nothing is respelled by hand. Only form is made even: lower case, one kind
of space.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache

from compute.names import UnknownName

NUMERAL_LANGUAGES: tuple[str, ...] = (
    "en", "de", "nl", "sv", "da", "es", "it", "pt", "fr", "ro", "ru", "uk", "pl", "cs", "tr", "fi", "hu",
)  # fmt: skip


@lru_cache(maxsize=200_000)
def number_word(n: int, language: str) -> str:
    """The cardinal of `n` in `language`: lower case, NFC, words separated by single spaces.

    Args:
        n: a number of at least 0.
        language: one of `NUMERAL_LANGUAGES` (ISO 639-1).

    Raises:
        UnknownName: a language that is not of the numerals world.
        ValueError: a negative number, or one that num2words cannot write in that language.
    """
    if language not in NUMERAL_LANGUAGES:
        raise UnknownName("language of the numerals world", language, NUMERAL_LANGUAGES)
    if n < 0:
        raise ValueError(f"number {n}: the numerals world has no negative numbers (language {language})")
    # Here, since settings need the languages alone, also on a machine that has no more than what trains.
    from num2words import num2words

    try:
        spelled = num2words(n, lang=language)
    except (OverflowError, NotImplementedError, KeyError, IndexError) as error:
        raise ValueError(f"number {n} cannot be written in language {language}: {error}") from error
    return " ".join(unicodedata.normalize("NFC", spelled).lower().split())
