"""A table as a paper prints it, before it is LaTeX or Markdown."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

ABSENT = "–"
"""What stands where there is no value: an en dash."""


@dataclass(frozen=True)
class PaperTable:
    """Text, not yet escaped for any format.

    Attributes:
        caption: one sentence or two.
        head: rows of headings, each as long as a row of the body. In all but the last, neighbours that are equal
            are one heading over several columns; an empty text is no heading.
        numeric: which columns hold numbers, and stand to the right.
        body: rows; None where there is no value.
    """

    caption: str
    head: tuple[tuple[str, ...], ...]
    numeric: tuple[bool, ...]
    body: tuple[tuple[str | None, ...], ...]


def one_line(text: str) -> str:
    """`text` without line ends, tabs and other control characters, which no table can hold: a space each."""
    return "".join(" " if unicodedata.category(character) in ("Cc", "Zl", "Zp") else character for character in text)
