"""Tables that fit a page: in smaller print, with headings of several lines, or in parts.

Unless told otherwise a page is the text of LaTeX's `article` at 10 points, the narrowest of the usual classes: what
fits there fits in theirs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from report.tables import Table

PAGE_WIDTH, PAGE_HEIGHT = 345.0, 430.0
"""Of the text, in points; the height is less caption and headings."""
GAP = 6.0
"""Between two columns, in points."""
WIDEST = 150.0
"""A text of more points stands in several lines."""
_HEADING = 45.0
"""Headings break into lines of so many points, or of their column's width."""


@dataclass(frozen=True)
class Print:
    """A size of print: LaTeX's name, its width as a share of the normal one, and points from line to line."""

    name: str
    share: float
    line: float


PRINTS = (
    Print("normalsize", 1.0, 12.0),
    Print("small", 0.93, 11.0),
    Print("footnotesize", 0.86, 9.5),
    Print("scriptsize", 0.81, 8.0),
)
"""Widths are those of Computer Modern, whose small sizes are wider than their points."""


@dataclass(frozen=True)
class Fitted:
    """A table that fits the width of a page.

    Attributes:
        table: what it says.
        headings: the lines of its last row of headings.
        print: its size.
        paragraphs: columns whose texts stand in several lines, by their width in points.
        is_long: whether it goes over several pages.
    """

    table: Table
    headings: tuple[tuple[str, ...], ...]
    print: Print
    paragraphs: dict[int, float]
    is_long: bool


def fitted(table: Table, page: float = PAGE_WIDTH) -> list[Fitted]:
    """Return the table in the largest print in which it fits, or its parts: by the headings above its columns, then by
    columns. Each part begins with what its rows are.

    Args:
        table: what is printed.
        page: width of its text in points.
    """
    if _fits(table, page):
        return [_set(table, page)]
    parts = []
    for part in _by_heading(table):
        parts += [part] if _fits(part, page) else _by_columns(part, page)
    return [_set(part, page) for part in parts]


def _by_heading(table: Table) -> list[Table]:
    """Return a part for each heading that stands above several columns, if there are several."""
    above = table.head[0] if len(table.head) > 1 else ()
    names = [name for name in dict.fromkeys(above) if name]
    if len(names) < 2:
        return [table]
    firsts = [n for n, name in enumerate(above) if not name]
    return [
        _columns(
            table,
            [*firsts, *(n for n, other in enumerate(above) if other == name)],
            f"{table.caption} Columns: {name}.",
        )
        for name in names
    ]


def _by_columns(table: Table, page: float) -> list[Table]:
    """Return as few parts as fit, of about as many columns each."""
    widths = _widths(table)
    firsts = _firsts(table, widths, page / 2)
    others = [n for n in range(len(widths)) if n not in firsts]
    room = page / PRINTS[-2].share - sum(widths[n] + GAP for n in firsts)
    runs: list[list[int]] = [[]]
    for n in others:
        if runs[-1] and sum(widths[m] + GAP for m in [*runs[-1], n]) > room:
            runs.append([])
        runs[-1].append(n)
    even = math.ceil(len(others) / len(runs))
    alike = [others[start : start + even] for start in range(0, len(others), even)]
    if all(sum(widths[n] + GAP for n in run) <= room for run in alike):
        runs = alike
    return [
        _columns(table, [*firsts, *run], f"{table.caption} Part {number} of {len(runs)}.")
        for number, run in enumerate(runs, start=1)
    ]


def _firsts(table: Table, widths: Sequence[float], room: float) -> list[int]:
    """Return the first columns of text, which say what a row is, as far as there is room."""
    found: list[int] = []
    for n, is_numeric in enumerate(table.numeric):
        if n and (is_numeric or sum(widths[m] + GAP for m in [*found, n]) > room):
            break
        found.append(n)
    return found


def _columns(table: Table, chosen: Sequence[int], caption: str) -> Table:
    def of(row: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(row[n] for n in chosen)

    return Table(
        caption, tuple(map(of, table.head)), tuple(table.numeric[n] for n in chosen), tuple(map(of, table.body))
    )


def _fits(table: Table, page: float) -> bool:
    return _width(table) * PRINTS[-1].share <= page


def _width(table: Table) -> float:
    """Return the width in points in normal print."""
    widths = _widths(table)
    return sum(widths) + GAP * (len(widths) - 1)


@lru_cache(maxsize=4)
def _widths(table: Table) -> tuple[float, ...]:
    """Return each column's width in points in normal print, headings above several columns included."""
    widths = [
        max(min(body, WIDEST), *map(points, heading_lines(heading, body)))
        for heading, body in zip(table.head[-1], _bodies(table), strict=True)
    ]
    for row in table.spans:
        first = 0
        for text, n in row:
            short = points(text) - sum(widths[first : first + n]) - GAP * (n - 1)
            widths[first + n - 1] += max(0.0, short)
            first += n
    return tuple(widths)


@lru_cache(maxsize=4)
def _bodies(table: Table) -> tuple[float, ...]:
    """Return the width of each column's widest text in points in normal print."""
    if not table.body:
        return (0.0,) * len(table.numeric)
    return tuple(max(map(points, set(column))) for column in zip(*table.body, strict=True))


def _set(table: Table, page: float) -> Fitted:
    size = next((one for one in PRINTS if _width(table) * one.share <= page), PRINTS[-1])
    bodies = _bodies(table)
    paragraphs = {n: WIDEST * size.share for n, body in enumerate(bodies) if body > WIDEST}
    n_lines = sum(max([1.0, *(math.ceil(1.1 * points(row[n]) / WIDEST) for n in paragraphs)]) for row in table.body)
    heads = [heading_lines(text, body) for text, body in zip(table.head[-1], bodies, strict=True)]
    most = max(map(len, heads))
    last = [("",) * (most - len(lines)) + lines for lines in heads]
    headings = tuple(zip(*last, strict=True))
    return Fitted(table, headings, size, paragraphs, n_lines * size.line > PAGE_HEIGHT)


def heading_lines(heading: str, body: float) -> tuple[str, ...]:
    """Return a heading in lines no wider than its column needs anyway: `body` points, or the longest word."""
    words = heading.split()
    room = max([body, _HEADING, *map(points, words)])
    lines: list[str] = []
    for word in words:
        if lines and points(f"{lines[-1]} {word}") <= room:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return tuple(lines) or ("",)


_WIDTHS: tuple[tuple[str, float], ...] = (
    ("ijl.,:;'|!I`", 3.0),
    (" frt()[]/-", 3.9),
    ("+−=<>×≤→%&@#~$^\\", 8.3),
    ("mwMW", 8.4),
    ('0123456789aceghknopqsuvxyzbd*–_"?', 5.4),
)
_POINTS = {character: width for characters, width in _WIDTHS for character in characters}
_CAPITAL, _OTHER = 7.3, 10.0


def points(text: str) -> float:
    """Return about how wide a text is, in points of 10-point Computer Modern; rather too wide."""
    return sum(_POINTS.get(character, _CAPITAL if "A" <= character <= "Z" else _OTHER) for character in text)
