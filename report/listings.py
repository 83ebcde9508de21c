"""How rows of a mart become tables: a line each (`Listing`), or a value by two sides (`Grid`)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from report.tables import ABSENT, PrintedColumn, Row, Table, as_printed, heading, slices, table


class Layout(Protocol):
    """A mart's tables. `order` is SQL; `reads` are the columns that are asked of the mart, none: all."""

    @property
    def order(self) -> str: ...

    @property
    def reads(self) -> tuple[str, ...]: ...

    def tables(self, rows: Sequence[Row], types: Mapping[str, str]) -> list[Table]:
        """Return the tables of a paper. `types` are the mart's columns and their SQL types."""
        ...


@dataclass(frozen=True)
class Listing:
    """A row of the mart a line.

    Attributes:
        title: of the tables.
        apart: rows that differ in these stand in tables of their own.
        columns: what each line shows.
        more: what else it shows, on a page in a second table, so that neither is wider than the page.
        order: SQL by which rows stand.
        also: columns that drawings and sentences need.
    """

    title: str
    apart: tuple[str, ...]
    columns: tuple[PrintedColumn, ...]
    more: tuple[PrintedColumn, ...] = ()
    order: str = "all"
    also: tuple[str, ...] = ()

    @property
    def reads(self) -> tuple[str, ...]:
        names = [name for column in (*self.columns, *self.more) for name in column.reads]
        return tuple(dict.fromkeys((*self.apart, *names, *self.also)))

    def tables(self, rows: Sequence[Row], types: Mapping[str, str]) -> list[Table]:
        return [self.table(_caption(self.title, label), members) for label, members in slices(rows, *self.apart)]

    def table(self, caption: str, rows: Iterable[Row]) -> Table:
        """Return all columns of the rows as one table."""
        return table(caption, (*self.columns, *self.more), rows)

    def halves(self, caption: str, caption_of_more: str, rows: Sequence[Row]) -> tuple[Table, Table]:
        """Return two tables side by side; both begin with the first column."""
        return table(caption, self.columns, rows), table(caption_of_more, (self.columns[0], *self.more), rows)


@dataclass(frozen=True)
class Grid:
    """A value by what stands down the side (`down`) and along the top (`across`), outermost first.

    Attributes:
        title, apart, order, also: as of a listing.
        value: what stands at a place.
        rather_apart: rows that differ in these stand in tables of their own where a place of the grid would otherwise
            hold two values.
        name: (column, value) -> the heading it is given.
        rank: a line's rows -> what lines are sorted by; None: their headings.
        beside: a heading, and of a line's rows what stands there; left out where it is the same for all lines.
    """

    title: str
    apart: tuple[str, ...]
    down: tuple[str, ...]
    across: tuple[str, ...]
    value: PrintedColumn
    rather_apart: tuple[str, ...] = ()
    name: Callable[[str, Any], str] = lambda _column, value: ABSENT if value is None else str(value)
    rank: Callable[[Sequence[Row]], Any] | None = None
    beside: tuple[str, Callable[[Sequence[Row]], str]] | None = None
    order: str = "all"
    also: tuple[str, ...] = ()

    @property
    def reads(self) -> tuple[str, ...]:
        names = (*self.apart, *self.rather_apart, *self.down, *self.across, *self.value.reads, *self.also)
        return tuple(dict.fromkeys(names))

    def tables(self, rows: Sequence[Row], types: Mapping[str, str]) -> list[Table]:
        return [
            self.table(_caption(self.title, ", ".join(filter(None, (label, inner)))), cells)
            for label, members in slices(rows, *self.apart)
            for inner, cells in self.one_value_a_place(members)
        ]

    def one_value_a_place(self, rows: Sequence[Row]) -> list[tuple[str, list[Row]]]:
        """Return the rows as they are, or apart by `rather_apart` where a place would hold two values."""
        places = {_key(row, (*self.down, *self.across)) for row in rows}
        return [("", list(rows))] if len(places) == len(rows) else slices(rows, *self.rather_apart)

    def table(self, caption: str, rows: Sequence[Row]) -> Table:
        """Return one table; a place has one row at most."""
        lines: dict[tuple[Any, ...], list[Row]] = {}
        for row in rows:
            lines.setdefault(_key(row, self.down), []).append(row)
        rank = self.rank or (lambda members: _in_order(_key(members[0], self.down)))
        sides = sorted(lines, key=lambda side: rank(lines[side]))
        tops = sorted({_key(row, self.across) for row in rows}, key=_in_order)
        values = {(_key(row, self.down), _key(row, self.across)): self.value.cell(row) for row in rows}
        besides = {side: self.beside[1](lines[side]) for side in sides} if self.beside else {}
        beside = (self.beside[0],) if self.beside and len(set(besides.values())) > 1 else ()
        corner = [("",) * len((*self.down, *beside))] * (len(self.across) - 1)
        corner += [(*map(heading, self.down), *beside)]
        return Table(
            caption,
            tuple(
                (*corner[level], *(self.name(column, top[level]) for top in tops))
                for level, column in enumerate(self.across)
            ),
            (False,) * len(self.down) + (True,) * len((*beside, *tops)),
            tuple(
                (
                    *(self.name(column, part) for column, part in zip(self.down, side, strict=True)),
                    *((besides[side],) if beside else ()),
                    *(values.get((side, top), ABSENT) for top in tops),
                )
                for side in sides
            ),
        )


class EveryColumn:
    """Every column of the mart, but for texts that are the same throughout and columns without any value: the
    caption tells those."""

    order = "all"
    reads: tuple[str, ...] = ()

    def tables(self, rows: Sequence[Row], types: Mapping[str, str]) -> list[Table]:
        if not rows:
            return []
        empty = [column for column in types if all(row[column] is None for row in rows)]
        same = [
            column
            for column in types
            if types[column] == "VARCHAR" and len(rows) > 1 and len({row[column] for row in rows}) == 1
        ]
        shown = [column for column in types if column not in empty and column not in same]
        told = [f"{heading(column)}: {rows[0][column]}" for column in same if column not in empty]
        told += [f"no values: {', '.join(map(heading, empty))}"] if empty else []
        return [table(_caption("All columns", "; ".join(told)), [_as_it_is(name, types) for name in shown], rows)]


def _as_it_is(column: str, types: Mapping[str, str]) -> PrintedColumn:
    of_pp = any(name.endswith("_pp") for name in types)
    is_number = types[column] in ("BIGINT", "DOUBLE", "INTEGER", "HUGEINT", "FLOAT") or types[column].startswith("DEC")
    return PrintedColumn(heading(column), (column,), lambda row: as_printed(column, row[column], of_pp), is_number)


def _key(row: Row, columns: Iterable[str]) -> tuple[Any, ...]:
    return tuple(row[column] for column in columns)


def _in_order(key: Sequence[Any]) -> list[tuple[bool, Any]]:
    """Numbers by size (0, which is none, last), texts by letter, NULL first."""
    return [(value is not None, (value == 0, value) if isinstance(value, int) else value) for value in key]


def _caption(title: str, label: str) -> str:
    return f"{title}. {label[0].upper()}{label[1:]}." if label else f"{title}."
