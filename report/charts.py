"""The charts, each a function of rows. What a chart says is in its arguments; how it looks is in `theme`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

from report import printed
from report.tables import Row
from report.theme import (
    COLOURS,
    FAINT_INK,
    GAIN,
    INK,
    LOSS,
    NEUTRAL,
    PAPER,
    SEQUENCE,
    Chart,
    Drawing,
    data,
    draw,
    looks,
)

ROOMY_COLUMNS, CLOSE_COLUMNS = 20, 34
"""Up to so many columns a grid's cells are wide enough for their values, in large or in small print."""
ROOMY_CELL, CLOSE_CELL, NARROW_CELL = (34, 22, 11), (25, 18, 9), (12, 12, 10)
"""Width and height of a cell, size of the print."""
DARK = 0.7
"""Beyond this share of the scale a cell is dark enough for light print."""
PALE = 0.3
"""Opacity of what is undecided."""
MOST_COLUMNS = 150
"""A grid of more columns is drawn by task."""
MOST_RANKED, MOST_PAIRED = 60, 80
"""So many entities of a ranking, and languages of a matrix, are drawn."""
LABELLED_POINTS = 40
"""Up to so many points of a scatter plot carry their name."""
PLOT_WIDTH, ROW_HEIGHT, TICKS = 340, 24, 8
SMALL_PLOT = (250, 220)
LINK_PLOT = (400, 300)

Key = tuple[str, str]
"""(task, language)"""


def name(key: Key) -> str:
    """task/language"""
    return "/".join(key)


def axis_range(values: Sequence[float], with_zero: bool = True) -> list[float]:
    """Ends of an axis that holds all the values, with a little air."""
    all_values = [*values, 0.0] if with_zero else [*values]
    low, high = min(all_values), max(all_values)
    air = 0.08 * ((high - low) or 1.0)
    return [low - air, high + air]


# --- grids ----------------------------------------------------------------------------------------------------


def _spaced(keys: Sequence[Key]) -> list[str]:
    """Names in order, with an empty place between tasks."""
    names: list[str] = []
    for position, key in enumerate(keys):
        if position and key[0] != keys[position - 1][0]:
            names.append(" " * position)
        names.append(name(key))
    return names


def _cell(columns: int) -> tuple[int, int, int]:
    if columns <= ROOMY_COLUMNS:
        return ROOMY_CELL
    return CLOSE_CELL if columns <= CLOSE_COLUMNS else NARROW_CELL


def _grid(
    rows: list[dict[str, Any]],
    x: Sequence[str],
    y: Sequence[str],
    x_title: str,
    y_title: str,
    scale: alt.Scale,
    label_angle: int,
) -> Chart:
    """Coloured cells at (x, y); `shown` is printed, `dark` says on what, `marked` cells get a frame, `faint` ones are
    pale, `bold` ones printed so."""
    width, height, print_size = _cell(len(x))

    def axis(names: Sequence[str], title: str, **settings: Any) -> alt.Axis:
        shown = [one for one in names if one.strip()]
        return alt.Axis(
            title=title,
            values=shown,
            domain=False,
            ticks=False,
            labelOverlap=False,
            labelFontSize=max(print_size, NARROW_CELL[2]),
            **settings,
        )

    base = alt.Chart(data(rows), width=width * len(x), height=height * len(y)).encode(
        x=alt.X(
            "x:N",
            scale=alt.Scale(domain=list(x), paddingInner=0.06, paddingOuter=0.03),
            axis=axis(x, x_title, orient="top", labelAngle=label_angle),
        ),
        y=alt.Y("y:N", scale=alt.Scale(domain=list(y), paddingInner=0.08, paddingOuter=0.04), axis=axis(y, y_title)),
    )
    cells = base.mark_rect(strokeWidth=2).encode(
        color=alt.Color("value:Q", scale=scale, legend=None),
        fillOpacity=alt.condition("datum.faint", alt.value(PALE), alt.value(1)),
        stroke=alt.condition("datum.marked", alt.value(INK), alt.value(None)),
    )
    texts = base.transform_filter("datum.shown != ''").encode(text="shown:N")
    size = min(print_size, NARROW_CELL[2])
    ink = alt.condition("datum.dark", alt.value(PAPER), alt.value(INK))
    return alt.layer(
        cells,
        texts.transform_filter("datum.bold").mark_text(fontSize=size, fontWeight="bold").encode(color=ink),
        texts.transform_filter("!datum.bold && !datum.faint").mark_text(fontSize=size).encode(color=ink),
        texts.transform_filter("datum.faint").mark_text(fontSize=size, color=FAINT_INK),
    )


def key(row: Row, side: str) -> Key:
    """Task and language of a row's `side`, source or target."""
    return row[f"{side}_task"], row[f"{side}_language"]


def by_target(rows: Sequence[Row]) -> dict[Key, list[Row]]:
    """Rows by their target."""
    found: dict[Key, list[Row]] = {}
    for row in rows:
        found.setdefault(key(row, "target"), []).append(row)
    return found


def grid_keys(cells: Sequence[Row]) -> tuple[list[Key], list[Key]]:
    """Sources and targets of cells, by name."""
    return (
        sorted({key(cell, "source") for cell in cells}),
        sorted({key(cell, "target") for cell in cells}),
    )


def heatmap(
    cells: Sequence[Row],
    limit: float,
    label: str,
    order: tuple[Sequence[Key], Sequence[Key]] | None = None,
    notes: Mapping[Key, str] | None = None,
) -> Drawing:
    """Source × target: what tuning on the row's cell changes on the column's, coloured up to ±`limit` pp.

    The trained cell (MT-ML) has a frame; what is undecided is pale, what is decided bold. Where values do not fit, a
    verdict of harm is a minus sign and one of gain a plus. Sources and targets stand in the given order; by name and
    with a space between tasks if there is none. `notes` stand beside the names of targets; a source with a
    name of its own is called by it.
    """
    sources, targets = order or grid_keys(cells)
    lines, columns = ([name(key) for key in keys] if order else _spaced(keys) for keys in (sources, targets))
    called = {
        name(key(cell, "source")): f"{cell['source']} ({name(key(cell, 'source'))})"
        for cell in cells
        if cell.get("source", name(key(cell, "source"))) != name(key(cell, "source"))
    }
    lines = [called.get(line, line) for line in lines]
    noted = {name(target): f"{name(target)} · {note}" for target, note in (notes or {}).items()}
    roomy = len(columns) <= CLOSE_COLUMNS
    rows = [
        {
            "x": noted.get(name(key(cell, "target")), name(key(cell, "target"))),
            "y": called.get(name(key(cell, "source")), name(key(cell, "source"))),
            "value": cell["delta_pp"],
            "shown": printed.signed(cell["delta_pp"]) if roomy else _SIGNS.get(cell["verdict"], ""),
            "dark": cell["delta_pp"] < -DARK * limit,
            "marked": cell["regime"] == "MT-ML",
            "faint": cell["verdict"] == "undecided",
            "bold": cell["verdict"] in ("gain", "harm", "none"),
        }
        for cell in cells
        if cell["delta_pp"] is not None
    ]
    scale = alt.Scale(domain=[-limit, 0, limit], range=[LOSS, NEUTRAL, GAIN], clamp=True, interpolate="rgb")
    named = [noted.get(column, column) for column in columns]
    return draw(_grid(rows, named, lines, "evaluated on", "tuned on", scale, -90), label)


_SIGNS = {"harm": printed.MINUS, "gain": "+", "none": "0"}
"""Verdicts where values do not fit."""


def pair_matrix(pairs: Sequence[Row], label: str) -> Drawing:
    """Source language × target language: MAP, from 0 to the largest."""
    sources = sorted({pair["source_language"] for pair in pairs})
    targets = sorted({pair["target_language"] for pair in pairs})
    largest = max(pair["bli_map"] for pair in pairs) or 1.0
    roomy = len(targets) <= ROOMY_COLUMNS
    rows = [
        {
            "x": pair["target_language"],
            "y": pair["source_language"],
            "value": pair["bli_map"],
            "shown": f"{pair['bli_map']:.2f}" if roomy else "",
            "dark": pair["bli_map"] > DARK * largest,
            "marked": False,
            "faint": False,
            "bold": False,
        }
        for pair in pairs
    ]
    scale = alt.Scale(domain=[0, largest], range=list(SEQUENCE), interpolate="rgb")
    return draw(_grid(rows, targets, sources, "translated into", "from", scale, 0 if roomy else -90), label)


# --- means with intervals ---------------------------------------------------------------------------------------


def zero_line(axis: str) -> alt.Chart:
    """A line through 0 of the x or the y axis."""
    encoding = alt.X("zero:Q") if axis == "x" else alt.Y("zero:Q")
    return alt.Chart(data([{"zero": 0}])).mark_rule(color=FAINT_INK, strokeDash=[2, 2]).encode(encoding)


def _mean_axis(field: str, values: Sequence[float]) -> alt.X:
    return alt.X(
        f"{field}:Q",
        title="mean change, percentage points",
        scale=alt.Scale(domain=axis_range(values), nice=False),
        axis=alt.Axis(tickCount=TICKS),
    )


def regime_means(rows: Sequence[Row], words: Mapping[str, str], label: str) -> Drawing:
    """A point with its interval for each regime over all models, a tick for each single model."""
    order = [words[regime] for regime in words]
    points = [row | {"regime": words[row["regime"]]} for row in rows]
    pooled = data([point for point in points if point["scope"] == "all"])
    single = data([point for point in points if point["scope"] != "all"])
    bounds = [row[key] for row in rows for key in ("mean_pp", "ci_low", "ci_high") if row[key] is not None]
    x = _mean_axis("mean_pp", bounds)
    y = alt.Y("regime:N", title=None, sort=order, axis=alt.Axis(ticks=False, domain=False, labelLimit=260))
    chart = alt.layer(
        zero_line("x"),
        alt.Chart(single).mark_tick(color=FAINT_INK, thickness=1.5, size=12).encode(x, y),
        alt.Chart(pooled).mark_rule(color=INK, strokeWidth=2).encode(alt.X("ci_low:Q"), y, alt.X2("ci_high")),
        alt.Chart(pooled).mark_point(filled=True, size=90, color=COLOURS[0], opacity=1).encode(x, y),
        width=PLOT_WIDTH,
        height=alt.Step(30),
    )
    return draw(chart, label)


DONOR, RECIPIENT, PLACEBO = "gives (as source)", "receives (as target)", "gives beyond its placebo"
_ROLES = (
    (DONOR, "donor_effect_pp", "donor_effect_low", "donor_effect_high"),
    (RECIPIENT, "recipient_effect_pp", "recipient_effect_low", "recipient_effect_high"),
    (PLACEBO, "gain_over_placebo_pp", "gain_over_placebo_low", "gain_over_placebo_high"),
)


def ranking(rows: Sequence[Row], label: str) -> Drawing:
    """Entities in the order of what they give; beside it what they receive, and give beyond their placebo."""
    points = [
        {
            "entity": row["entity"],
            "role": role,
            "value": row[key],
            "low": row[low],
            "high": row[high],
        }
        for row in rows
        for role, key, low, high in _ROLES
        if row[key] is not None
    ]
    present = [role for role, *_ in _ROLES if any(point["role"] == role for point in points)]
    bounds = [point[key] for point in points for key in ("value", "low", "high") if point[key] is not None]
    x = _mean_axis("value", bounds)
    y = alt.Y(
        "entity:N",
        title=None,
        sort=[row["entity"] for row in rows],
        axis=alt.Axis(ticks=False, domain=False, grid=True),
        scale=alt.Scale(padding=0),
    )
    roles = [role for role, *_ in _ROLES]
    colour = alt.Color(
        "role:N", scale=alt.Scale(domain=present, range=[_ROLE_COLOURS[roles.index(r)] for r in present])
    )
    shape = alt.Shape("role:N", scale=alt.Scale(domain=present, range=[_ROLE_SHAPES[roles.index(r)] for r in present]))
    # One above the other: on one line an interval would hide where another ends.
    lanes = alt.Scale(type="point", padding=0, domain=[DONOR, PLACEBO, RECIPIENT], range=_LANES)
    lane = alt.YOffset("role:N", scale=lanes)
    base = alt.Chart(data(points))
    chart = alt.layer(
        zero_line("x"),
        base.mark_rule(strokeWidth=1.5).encode(alt.X("low:Q"), y, alt.X2("high"), lane, colour),
        base.mark_point(filled=True, size=75, opacity=1).encode(x, y, lane, colour, shape),
        width=PLOT_WIDTH,
        height=alt.Step(ROW_HEIGHT, **{"for": "position"}),
    )
    return draw(chart, label)


_ROLE_COLOURS = (COLOURS[0], COLOURS[1], FAINT_INK)
_ROLE_SHAPES = ("circle", "diamond", "cross")
_LANES = (ROW_HEIGHT / 2 - 5, ROW_HEIGHT / 2 + 5)


# --- scatter plots ----------------------------------------------------------------------------------------------


def on_off(
    rows: Sequence[Row], tasks: Sequence[str], x_range: list[float], y_range: list[float], label: str
) -> Drawing:
    """Each source of one model: mean effect on its own task (x) and on others (y); filled: on the Pareto front."""
    labelled = len(rows) <= LABELLED_POINTS
    points = [row | {"text": row["source_language"] if labelled or row["is_pareto"] else ""} for row in rows]
    present = [task for task in tasks if any(row["source_task"] == task for row in rows)]
    x = alt.X("on_task_pp:Q", title="own task, other languages (pp)", scale=alt.Scale(domain=x_range, nice=False))
    y = alt.Y("off_task_pp:Q", title="other tasks (pp)", scale=alt.Scale(domain=y_range, nice=False))
    colour, shape = looks("source_task", tasks, present)
    base = alt.Chart(data(points)).encode(x, y)
    chart = alt.layer(
        zero_line("x"),
        zero_line("y"),
        base.mark_point(size=70, strokeWidth=1.6, opacity=1).encode(
            colour, shape, fill=alt.condition("datum.is_pareto", colour, alt.value(PAPER))
        ),
        base.mark_text(dx=8, align="left", baseline="middle", fontSize=10).encode(text="text:N"),
        width=SMALL_PLOT[0],
        height=SMALL_PLOT[1],
    )
    return draw(chart, label)


def bli_transfer(rows: Sequence[Row], label: str) -> Drawing:
    """Each ordered pair of languages: MAP of its embeddings (x), transfer between the two (y)."""
    labelled = len(rows) <= LABELLED_POINTS
    points = [row | {"text": f"{row['source_language']}→{row['target_language']}" if labelled else ""} for row in rows]
    x_range = axis_range([row["bli_map"] for row in rows], with_zero=False)
    y_range = axis_range([row["transfer_pp"] for row in rows])
    base = alt.Chart(data(points)).encode(
        alt.X("bli_map:Q", title="MAP of the pair's mapping", scale=alt.Scale(domain=x_range, nice=False)),
        alt.Y("transfer_pp:Q", title="transfer, same task (pp)", scale=alt.Scale(domain=y_range, nice=False)),
    )
    chart = alt.layer(
        zero_line("y"),
        base.mark_point(filled=True, size=55, color=COLOURS[0], opacity=1),
        base.mark_text(dx=7, align="left", baseline="middle", fontSize=10).encode(text="text:N"),
        width=LINK_PLOT[0],
        height=LINK_PLOT[1],
    )
    return draw(chart, label)


def bounds(rows: Sequence[Row], key: str) -> list[float]:
    """One axis range for several panels."""
    return axis_range([row[key] for row in rows if row[key] is not None])
