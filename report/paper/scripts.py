"""Text in other than Latin letters: which scripts it has, for LaTeX to choose fonts by."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from functools import cache
from itertools import groupby

RIGHT_TO_LEFT = frozenset(("ARABIC", "HEBREW", "SYRIAC", "THAANA", "NKO", "ADLAM"))
_LATIN = frozenset(("LATIN", "FULLWIDTH", "MODIFIER", "FEMININE", "MASCULINE", "MICRO", "KELVIN", "ANGSTROM"))
_ITS_OWN = frozenset(("Mn", "Mc", "Cf", "Po", "Nd"))
_FONTS = {"CJK": "CJK SC", "HIRAGANA": "CJK JP", "KATAKANA": "CJK JP", "HANGUL": "CJK KR", "CYRILLIC": "", "GREEK": ""}


@cache
def script_of(character: str) -> str | None:
    """Return the script of a letter, as Unicode names it (`DEVANAGARI`); None for Latin and for what is no letter."""
    if character.isascii() or unicodedata.category(character)[0] not in "LM":
        return None
    first = unicodedata.name(character, "").partition(" ")[0].partition("-")[0]
    return None if first in _LATIN or first == "COMBINING" or not first.isalpha() else first


def runs(text: str) -> Iterator[tuple[str | None, str]]:
    """Yield the text in pieces of one script each; its marks, signs and digits, and spaces within, are its own."""
    if not any(map(script_of, text)):
        if text:
            yield None, text
        return
    scripts = [script_of(character) for character in text]
    for n, script in enumerate(scripts):
        if script is None and n and not text[n].isascii() and unicodedata.category(text[n]) in _ITS_OWN:
            scripts[n] = scripts[n - 1]
    for n in range(1, len(scripts) - 1):
        if text[n] == " " and scripts[n - 1] is not None and scripts[n - 1] == scripts[n + 1]:
            scripts[n] = scripts[n - 1]
    for script, pieces in groupby(zip(scripts, text, strict=True), key=lambda pair: pair[0]):
        yield script, "".join(character for _, character in pieces)


def font_of(script: str) -> str:
    """Return a free font that has the script."""
    return f"Noto Sans {_FONTS.get(script, script.title())}".strip()
