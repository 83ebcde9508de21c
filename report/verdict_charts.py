"""Charts of risks and of variance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import altair as alt
from markupsafe import Markup

from report.ask import Row
from report.charts import LABELLED_POINTS, LINK_PLOT, axis_range, zero_line
from report.theme import COLOURS, INK, data, draw, looks


def risk_map(rows: Sequence[Row], tasks: Sequence[str], label: str) -> Markup:
    """Each source: mean change over its transfer targets (x), share of them harmed (y)."""
    labelled = len(rows) <= LABELLED_POINTS
    points = [
        row | {"harmed": 100 * row["harm_share"], "text": row["source_language"] if labelled else ""} for row in rows
    ]
    present = [task for task in tasks if any(row["source_task"] == task for row in rows)]
    x_range = axis_range([row["mean_gain_pp"] for row in rows])
    most = max(5.0, *(point["harmed"] for point in points))
    harms = alt.Scale(domain=[-0.05 * most, 1.05 * most], nice=False)
    base = alt.Chart(data(points)).encode(
        alt.X("mean_gain_pp:Q", title="mean change (pp)", scale=alt.Scale(domain=x_range, nice=False)),
        alt.Y("harmed:Q", title="transfer cells harmed (%)", scale=harms),
    )
    chart = alt.layer(
        zero_line("x"),
        base.mark_point(filled=True, size=70, opacity=1).encode(
            *looks("source_task", tasks, present),
        ),
        base.mark_text(dx=8, align="left", baseline="middle", fontSize=10).encode(text="text:N"),
        width=LINK_PLOT[0],
        height=LINK_PLOT[1],
    )
    return draw(chart, label)


def variance_shares(rows: Sequence[Row], words: Mapping[str, str], label: str) -> Markup:
    """A bar for each component, in a panel for each regime."""
    bars = [row | {"component": words[row["component"]], "percent": 100 * row["share"]} for row in rows]
    regimes = list(dict.fromkeys(row["regime"] for row in rows))
    # The layers carry no data of their own: a facet splits only what it hands down.
    base = alt.Chart(width=120, height=alt.Step(22)).encode(
        alt.X("percent:Q", title="% of variance", scale=alt.Scale(domain=[0, 100]), axis=alt.Axis(tickCount=3)),
        alt.Y("component:N", title=None, sort=list(words.values()), axis=alt.Axis(ticks=False, domain=False)),
    )
    layered = alt.layer(
        base.mark_bar(color=COLOURS[0]),
        base.mark_text(align="left", dx=4, fontSize=10, color=INK).encode(text=alt.Text("percent:Q", format=".0f")),
        data=data(bars),
    )
    chart = layered.facet(
        column=alt.Column("regime:N", title=None, sort=regimes, header=alt.Header(labelFontSize=12)), spacing=14
    )
    return draw(chart, label)
