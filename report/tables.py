"""Tables of the page: which columns of an answer are shown, and how."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from report import printed
from report.ask import Row

ABSENT = "–"


@dataclass(frozen=True)
class Cell:
    """One cell; `missing` ones are printed faintly."""

    text: str
    missing: bool = False


@dataclass(frozen=True)
class Column:
    """A column: its heading and what it makes of a row (None where there is no value)."""

    heading: str
    show: Callable[[Row], str | None]
    numeric: bool = True
    missing: str = ABSENT


@dataclass(frozen=True)
class Heading:
    """The head of a column; numbers stand to the right."""

    text: str
    numeric: bool


@dataclass(frozen=True)
class Table:
    """A table ready to be printed; the first cell of a row is the row's heading."""

    caption: str
    headings: tuple[Heading, ...]
    rows: tuple[tuple[Cell, ...], ...]


def number(key: str, heading: str, form: Callable[[Any], str], missing: str = ABSENT) -> Column:
    """A numeric column in the given form."""
    return Column(heading, lambda row: None if row[key] is None else form(row[key]), missing=missing)


def text(key: str, heading: str, missing: str = ABSENT) -> Column:
    """A column of text, printed as it is."""
    return Column(heading, lambda row: None if row[key] is None else str(row[key]), numeric=False, missing=missing)


def yes_no(key: str, heading: str, missing: str = ABSENT) -> Column:
    """A column of booleans."""
    return Column(
        heading, lambda row: None if row[key] is None else ("yes" if row[key] else "no"), numeric=False, missing=missing
    )


def interval(low: str, high: str, heading: str = "95 % interval", missing: str = ABSENT) -> Column:
    """Two bounds in one column."""

    def show(row: Row) -> str | None:
        return None if row[low] is None or row[high] is None else printed.interval(row[low], row[high])

    return Column(heading, show, missing=missing)


def table(caption: str, columns: Sequence[Column], rows: Iterable[Row]) -> Table:
    """The rows, each column's way."""
    headings = tuple(Heading(column.heading, column.numeric) for column in columns)
    return Table(caption, headings, tuple(tuple(_cell(column, row) for column in columns) for row in rows))


def _cell(column: Column, row: Row) -> Cell:
    shown = column.show(row)
    return Cell(column.missing, missing=True) if shown is None else Cell(shown)


def matrix(
    caption: str,
    corner: str,
    row_names: Sequence[str],
    column_names: Sequence[str],
    values: Mapping[tuple[str, str], float | None],
    form: Callable[[float], str],
) -> Table:
    """A grid of values by row and column name."""

    def cell(row_name: str, column_name: str) -> Cell:
        value = values.get((row_name, column_name))
        return Cell(ABSENT, missing=True) if value is None else Cell(form(value))

    headings = (Heading(corner, False), *(Heading(name, True) for name in column_names))
    rows = tuple((Cell(row), *(cell(row, column) for column in column_names)) for row in row_names)
    return Table(caption, headings, rows)
