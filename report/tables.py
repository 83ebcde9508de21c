"""Tables: what they are, whatever they are printed as (HTML, LaTeX, Markdown), and the columns that they are made of.

A mart's columns, headings and numbers are declared once, in `report.layouts`.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

from report import printed

Row = dict[str, Any]


class Missing(str):
    """A cell without a value: a dash, or words that say why. A page prints it faintly."""


ABSENT = Missing("–")


@dataclass(frozen=True)
class Table:
    """Text, not yet escaped for any format.

    Attributes:
        caption: one sentence or two.
        head: rows of headings, each as long as a row of the body. In all but the last, neighbours that are equal
            are one heading over several columns; an empty text is no heading.
        numeric: which columns hold numbers, and stand to the right.
        body: rows of cells; the first cell of a row is its heading.
    """

    caption: str
    head: tuple[tuple[str, ...], ...]
    numeric: tuple[bool, ...]
    body: tuple[tuple[str, ...], ...]

    @property
    def spans(self) -> list[list[tuple[str, int]]]:
        """Headings above the last row of them, each with how many columns it stands over."""
        return [[(text, len(list(same))) for text, same in groupby(row)] for row in self.head[:-1]]


def one_line(text: str) -> str:
    """Return `text` without line ends, tabs and other control characters, which no table can hold: a space each."""
    return "".join(" " if unicodedata.category(character) in ("Cc", "Zl", "Zp") else character for character in text)


# ---- columns ----


@dataclass(frozen=True)
class PrintedColumn:
    """A column of a listing.

    Attributes:
        heading: with the unit, if it has one.
        reads: the columns of the mart that it is made of.
        show: what it prints of a row; None where there is no value.
        numeric: whether it stands to the right.
        missing: what stands where there is no value.
    """

    heading: str
    reads: tuple[str, ...]
    show: Callable[[Row], str | None]
    numeric: bool = True
    missing: Missing = ABSENT

    def cell(self, row: Row) -> str:
        """Return what stands in a row."""
        shown = self.show(row)
        return self.missing if shown is None else shown


_UNITS = {"_pp": " (pp)", "_pct": " (%)"}
_LEAST_P = 0.001


def heading(column: str) -> str:
    """Return a mart's column in words: `delta_pp` as `delta (pp)`."""
    for suffix, unit in _UNITS.items():
        if column.endswith(suffix):
            return column.removesuffix(suffix).replace("_", " ") + unit
    return column.replace("_", " ")


def as_printed(column: str, value: Any, of_pp: bool = False) -> str | None:
    """Return a value as its unit asks, which the column's name tells.

    Percentage points and percent have one decimal, the former their sign; p values, shares and correlations three.

    Args:
        column: its name.
        value: what to print; None gives None.
        of_pp: whether bounds and errors in that mart are percentage points.
    """
    if value is None:
        return None
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return printed.moment(value)
    if column == "seconds":
        return printed.seconds(value)
    if column.endswith("_bytes"):
        return printed.megabytes(value)
    if isinstance(value, int):
        return str(value) if column == "seed" else printed.count(value)
    if not isinstance(value, float):
        return str(value)
    if column.endswith("_se") and of_pp:
        return f"{value:.2f}"
    if column.endswith("_se_pp"):
        return f"{value:.1f}"
    if column.endswith("_pp") or (of_pp and column.endswith(("_low", "_high"))):
        return printed.signed(value)
    if column.endswith("_pct"):
        return f"{value:.1f}"
    if column.endswith(("p_value", "q_value")) and value < _LEAST_P:
        return f"< {_LEAST_P}"
    return f"{value:.3f}".replace("-", printed.MINUS)


def number(column: str, words: str | None = None, missing: str = ABSENT) -> PrintedColumn:
    """Return a numeric column, printed as its unit asks; `words` are its heading, without the unit."""
    named = heading(column)
    if words is not None:
        named = words + next((unit for suffix, unit in _UNITS.items() if column.endswith(suffix)), "")
    return PrintedColumn(named, (column,), lambda row: as_printed(column, row[column]), missing=Missing(missing))


def percentage(column: str, words: str, missing: str = ABSENT) -> PrintedColumn:
    """Return a share of 1, printed in percent; `words` are its whole heading."""
    show = lambda row: None if row[column] is None else as_printed("_pct", 100 * row[column])  # noqa: E731
    return PrintedColumn(words, (column,), show, missing=Missing(missing))


def text(column: str, words: str | None = None, missing: str = ABSENT) -> PrintedColumn:
    """Return a column of text or of yes and no."""
    named = heading(column) if words is None else words
    show = lambda row: as_printed(column, row[column])  # noqa: E731
    return PrintedColumn(named, (column,), show, numeric=False, missing=Missing(missing))


def worded(column: str, words: str, names: Mapping[Any, str]) -> PrintedColumn:
    """Return a column of text whose values are given other names."""
    return PrintedColumn(words, (column,), lambda row: names.get(row[column], row[column]), numeric=False)


def interval(low: str, high: str, words: str = "95 % interval", missing: str = ABSENT) -> PrintedColumn:
    """Return two bounds in percentage points as one column."""

    def show(row: Row) -> str | None:
        return None if row[low] is None or row[high] is None else printed.interval(row[low], row[high])

    return PrintedColumn(words, (low, high), show, missing=Missing(missing))


def pair(side: str, words: str) -> PrintedColumn:
    """Return the task and language of a `side`, source or target, as one column: task/language."""
    reads = (f"{side}_task", f"{side}_language")
    return PrintedColumn(words, reads, lambda row: "/".join(row[name] for name in reads), numeric=False)


def languages() -> PrintedColumn:
    """Return an ordered pair of languages as one column."""
    reads = ("source_language", "target_language")
    return PrintedColumn("pair", reads, lambda row: " → ".join(row[name] for name in reads), numeric=False)


def table(caption: str, columns: Sequence[PrintedColumn], rows: Iterable[Row]) -> Table:
    """Return the rows, a line each."""
    return Table(
        caption,
        (tuple(column.heading for column in columns),),
        tuple(column.numeric for column in columns),
        tuple(tuple(column.cell(row) for column in columns) for row in rows),
    )


# ---- what must stand apart ----


def slices(rows: Iterable[Row], *keys: str) -> list[tuple[str, list[Row]]]:
    """Return rows by what must never be pooled (variant, prompt, …), in order, each with its label.

    The label names only the keys that tell the slices apart: with one slice it is empty.
    """
    groups: dict[tuple[Hashable, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row[key] for key in keys), []).append(row)
    telling = [i for i in range(len(keys)) if len({values[i] for values in groups}) > 1]
    return [
        (", ".join(f"{heading(keys[i])} {'none' if values[i] is None else values[i]}" for i in telling), members)
        for values, members in groups.items()
    ]


def titled(title: str, *labels: str) -> str:
    """Return a title that says which slice it is about, if there are several."""
    label = ", ".join(filter(None, labels))
    return f"{title} ({label})" if label else title


def correlation(column: str, words: str, missing: str = ABSENT) -> PrintedColumn:
    """Return a column of correlations, which have two decimals."""
    show = lambda row: None if row[column] is None else printed.signed(row[column], 2)  # noqa: E731
    return PrintedColumn(words, (column,), show, missing=Missing(missing))
