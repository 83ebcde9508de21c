"""How a mart is laid out on paper: its entry in `LAYOUTS`, or else every column as it stands."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from report import printed
from report.paper.columns import as_printed, heading, is_number
from report.paper.paper_table import ABSENT, PaperTable

Row = Mapping[str, Any]


class Layout(Protocol):
    """Rows of a mart -> the tables of a paper. `types` are the mart's columns and their SQL types."""

    def tables(self, rows: Sequence[Row], types: Mapping[str, str]) -> list[PaperTable]: ...


@dataclass(frozen=True)
class Column:
    """A column of a listing: its heading and what it prints of a row (None: no value)."""

    heading: str
    show: Callable[[Row], str | None]
    numeric: bool = True


@dataclass(frozen=True)
class Listing:
    """A row of the mart a line. Rows that differ in `apart` stand in tables of their own."""

    title: str
    apart: tuple[str, ...]
    columns: tuple[Column, ...]

    def tables(self, rows: Sequence[Row], types: Mapping[str, str]) -> list[PaperTable]:
        return [
            PaperTable(
                _caption(self.title, label),
                (tuple(column.heading for column in self.columns),),
                tuple(column.numeric for column in self.columns),
                tuple(tuple(column.show(row) for column in self.columns) for row in members),
            )
            for label, members in _slices(rows, self.apart)
        ]


@dataclass(frozen=True)
class Grid:
    """A value by what stands down the side (`down`) and along the top (`across`), outermost first.

    Rows that differ in `apart` stand in tables of their own; those that differ in `rather_apart` do so where a place
    of the grid would otherwise hold two values.
    """

    title: str
    apart: tuple[str, ...]
    down: tuple[str, ...]
    across: tuple[str, ...]
    value: Callable[[Row], str | None]
    rather_apart: tuple[str, ...] = ()
    name: Callable[[str, Any], str] = lambda _column, value: str(value)
    """(column, value) -> the heading it is given."""

    def tables(self, rows: Sequence[Row], types: Mapping[str, str]) -> list[PaperTable]:
        return [
            self._table(_caption(self.title, ", ".join(filter(None, (label, inner)))), cells)
            for label, members in _slices(rows, self.apart)
            for inner, cells in self._one_value_a_place(members)
        ]

    def _one_value_a_place(self, rows: Sequence[Row]) -> list[tuple[str, list[Row]]]:
        places = {_key(row, (*self.down, *self.across)) for row in rows}
        return [("", list(rows))] if len(places) == len(rows) else _slices(rows, self.rather_apart)

    def _table(self, caption: str, rows: Sequence[Row]) -> PaperTable:
        sides = sorted({_key(row, self.down) for row in rows}, key=_in_order)
        tops = sorted({_key(row, self.across) for row in rows}, key=_in_order)
        values = {(_key(row, self.down), _key(row, self.across)): self.value(row) for row in rows}
        corner = [("",) * len(self.down)] * (len(self.across) - 1) + [tuple(heading(column) for column in self.down)]
        return PaperTable(
            caption,
            tuple(
                (*corner[level], *(self.name(column, top[level]) for top in tops))
                for level, column in enumerate(self.across)
            ),
            (False,) * len(self.down) + (True,) * len(tops),
            tuple(
                (
                    *(self.name(column, part) for column, part in zip(self.down, side, strict=True)),
                    *(values.get((side, top)) for top in tops),
                )
                for side in sides
            ),
        )


class EveryColumn:
    """Every column of the mart, but for texts that are the same throughout and columns without any value: the
    caption tells those."""

    def tables(self, rows: Sequence[Row], types: Mapping[str, str]) -> list[PaperTable]:
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
        return [
            PaperTable(
                _caption("All columns", "; ".join(told)),
                (tuple(heading(column) for column in shown),),
                tuple(is_number(types[column]) for column in shown),
                tuple(tuple(as_printed(column, types, row[column]) for column in shown) for row in rows),
            )
        ]


def _key(row: Row, columns: Iterable[str]) -> tuple[Hashable, ...]:
    return tuple(row[column] for column in columns)


def _in_order(key: Sequence[Any]) -> list[tuple[bool, Any]]:
    """Numbers by size, texts by letter, NULL first."""
    return [(value is not None, value) for value in key]


def _slices(rows: Iterable[Row], keys: Sequence[str]) -> list[tuple[str, list[Row]]]:
    """Rows by `keys`, in the order they come, each slice with a label of the keys that tell slices apart."""
    groups: dict[tuple[Hashable, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(_key(row, keys), []).append(row)
    telling = [i for i in range(len(keys)) if len({values[i] for values in groups}) > 1]
    return [
        (", ".join(f"{heading(keys[i])} {_said(values[i])}" for i in telling), members)
        for values, members in groups.items()
    ]


def _said(value: Any) -> str:
    return "none" if value is None else str(value)


def _caption(title: str, label: str) -> str:
    return f"{title}. {label[0].upper()}{label[1:]}." if label else f"{title}."


# ---- how each mart is printed ----


def _number(column: str, words: str, form: Callable[[Any], str]) -> Column:
    return Column(words, lambda row: None if row[column] is None else form(row[column]))


def _interval(low: str, high: str) -> Column:
    def show(row: Row) -> str | None:
        return None if row[low] is None or row[high] is None else printed.interval(row[low], row[high])

    return Column("95 % interval (pp)", show)


def _yes_no(column: str, words: str) -> Column:
    return Column(words, lambda row: None if row[column] is None else "yes" if row[column] else "no", numeric=False)


def _pp(row: Row) -> str | None:
    return None if row["delta_pp"] is None else printed.signed(row["delta_pp"])


def _map(row: Row) -> str | None:
    return None if row["map"] is None else printed.share(row["map"])


def _score(row: Row) -> str | None:
    return None if row["score"] is None else printed.share(row["score"])


def _mean_map(row: Row) -> str | None:
    failures = f" ({printed.count(row['n_failures'])})" if row["n_failures"] else ""
    if row["mean_map"] is None and not failures:
        return None
    return (ABSENT if row["mean_map"] is None else printed.share(row["mean_map"])) + failures


def _bli_heading(column: str, value: Any) -> str:
    if column == "dictionary_size":
        return "no dictionary" if value == 0 else printed.count(value)
    return f"{value} pairs" if column == "scope" else str(value)


def _percent(value: float) -> str:
    return f"{value:.1f}"


LAYOUTS: Mapping[str, Layout] = {
    "fct_transfer": Grid(
        "Change against the base model in percentage points, by what was tuned on (rows) and evaluated (columns)",
        apart=("variant", "control", "model"),
        rather_apart=("prompt",),
        down=("source_task", "source_language"),
        across=("target_task", "target_language"),
        value=_pp,
    ),
    "rpt_regimes": Listing(
        "Change against the base model by regime",
        apart=("variant", "prompt"),
        columns=(
            Column("models", lambda row: row["scope"], numeric=False),
            Column("regime", lambda row: row["regime"], numeric=False),
            _number("n_cells", "cells", printed.count),
            _number("n_planned", "planned", printed.count),
            _number("mean_pp", "mean (pp)", printed.signed),
            _interval("ci_low", "ci_high"),
            _number("median_pp", "median (pp)", printed.signed),
            _number("positive_pct", "above 0 (%)", _percent),
            _number("harm_pct", "harm (%)", _percent),
            _number("null_harm_pct", "harm by noise (%)", _percent),
            _number("verdict_gain_pct", "verdict gain (%)", _percent),
            _number("verdict_harm_pct", "verdict harm (%)", _percent),
            _number("verdict_none_pct", "verdict none (%)", _percent),
            _number("verdict_undecided_pct", "undecided (%)", _percent),
        ),
    ),
    "rpt_roles": Listing(
        "Donors and recipients",
        apart=("variant", "prompt", "scope", "axis", "within"),
        columns=(
            Column("entity", lambda row: row["entity"], numeric=False),
            _number("donor_rank", "donor rank", printed.count),
            _number("donor_effect_pp", "donor effect (pp)", printed.signed),
            _interval("donor_effect_low", "donor_effect_high"),
            _number("donor_pp", "raw mean (pp)", printed.signed),
            _number("gain_over_placebo_pp", "beyond placebo (pp)", printed.signed),
            _interval("gain_over_placebo_low", "gain_over_placebo_high"),
            _yes_no("learned", "learned"),
            _number("recipient_rank", "recipient rank", printed.count),
            _number("recipient_effect_pp", "recipient effect (pp)", printed.signed),
            _interval("recipient_effect_low", "recipient_effect_high"),
            _number("recipient_pp", "raw mean (pp)", printed.signed),
            _yes_no("is_hub", "hub"),
            _yes_no("is_brittle", "brittle"),
            _number("n_cells", "cells", printed.count),
            _number("n_planned", "planned", printed.count),
        ),
    ),
    "rpt_bli_methods": Grid(
        "Mean MAP of bilingual lexicon induction by size of the training dictionary, over all language pairs that a "
        "method mapped and over those on which every method succeeds; in parentheses, pairs on which it failed",
        apart=("variant", "vectors", "retrieval"),
        down=("method",),
        across=("scope", "dictionary_size"),
        value=_mean_map,
        name=_bli_heading,
    ),
    "fct_bli": Grid(
        "MAP of bilingual lexicon induction by method and language pair",
        apart=("variant", "vectors", "retrieval", "clean", "dictionary_size"),
        rather_apart=("seed",),
        down=("method",),
        across=("source_language", "target_language"),
        value=_map,
    ),
    "fct_downstream": Grid(
        "Downstream score by mapping method and language pair",
        apart=("variant", "vectors", "task", "collection", "classifier", "metric", "dictionary_size"),
        down=("method",),
        across=("source_language", "target_language"),
        value=_score,
    ),
}
"""Mart -> how a paper prints it; marts that are not here are printed with `EveryColumn`."""

ORDER: Mapping[str, str] = {
    "fct_transfer": "variant, control nulls first, model, prompt",
    "rpt_regimes": "variant, prompt, scope != 'all', scope, "
    "list_position(['MT-ML', 'MT-CL', 'CT-ML', 'CT-CL', 'transfer'], regime)",
    "rpt_roles": "variant, prompt, scope != 'all', scope, list_position(['language', 'task', 'cell'], axis), "
    "within nulls first, donor_rank nulls last, recipient_rank nulls last, entity",
}
"""Mart -> SQL order of its rows on paper; else by all columns."""
