"""Tables as Markdown, in the dialect of GitHub and pandoc's pipe tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from report.tables import Table, one_line

_SPECIAL = frozenset("\\`*_{}[]<>|~&$#")
"""What means something to Markdown within a line; a backslash before it takes that away."""


def escape(text: str) -> str:
    """`text` as Markdown shows it, whatever it holds."""
    return "".join(f"\\{character}" if character in _SPECIAL else character for character in one_line(text))


def document(tables: Sequence[Table], told: str) -> str:
    """The tables, one after the other, each under its caption, and a line about where the numbers come from."""
    texts = ["\n".join(_table(table)) for table in tables]
    return "\n\n".join([*texts, escape("; ".join(told.splitlines()))]) + "\n"


def _table(table: Table) -> Iterator[str]:
    yield escape(table.caption)
    yield ""
    # One row of headings is all there can be: `parity/de` for de under parity.
    yield _row(["/".join(part for part in parts if part) for parts in zip(*table.head, strict=True)])
    yield "|" + "|".join("---:" if is_numeric else ":---" for is_numeric in table.numeric) + "|"
    for row in table.body:
        yield _row(row)


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(map(escape, cells)) + " |"
