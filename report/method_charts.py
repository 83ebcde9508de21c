"""Charts of mapping methods."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt

from report.charts import SMALL_PLOT, axis_range, zero_line
from report.tables import Row
from report.theme import Drawing, data, draw, looks


def bli_against_downstream(rows: Sequence[Row], label: str) -> Drawing:
    """Each method on each pair: MAP (x) and downstream score (y), both less the pair's mean over methods."""
    methods = sorted({row["method"] for row in rows})
    x_range = axis_range([row["map_residual"] for row in rows])
    y_range = axis_range([row["score_residual"] for row in rows])
    points = alt.Chart(data(list(rows))).encode(
        alt.X("map_residual:Q", title="MAP, less the pair's mean", scale=alt.Scale(domain=x_range, nice=False)),
        alt.Y("score_residual:Q", title="score, less the pair's mean", scale=alt.Scale(domain=y_range, nice=False)),
        *looks("method", methods, methods),
    )
    chart = alt.layer(
        zero_line("x"),
        zero_line("y"),
        points.mark_point(filled=True, size=55, opacity=1),
        width=SMALL_PLOT[0],
        height=SMALL_PLOT[1],
    )
    return draw(chart, label)
