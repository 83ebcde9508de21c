"""Charts of risks and of variance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import altair as alt

from report import printed
from report.charts import LABELLED_POINTS, LINK_PLOT, PLOT_WIDTH, axis_range, zero_line
from report.tables import Row
from report.terms import VERDICTS
from report.theme import COLOURS, FAINT_INK, GAIN, INK, LOSS, PAPER, Drawing, data, draw, looks

_VERDICT_COLOURS = {"gain": GAIN, "none": COLOURS[2], "undecided": "#e4e2dd", "harm": LOSS}
_LEAST_LABELLED = 6
"""Parts of fewer percent carry no number."""


def verdict_shares(rows: Sequence[Row], words: Mapping[str, str], label: str) -> Drawing:
    """Return a bar for each regime, in parts as long as the shares of the four verdicts; what is undecided is grey."""
    parts = []
    for row in rows:
        end = 0.0
        for verdict in VERDICTS:
            start, end = end, end + row[f"verdict_{verdict}_pct"]
            shown = printed.percent(end - start) if end - start >= _LEAST_LABELLED else ""
            dark = verdict in ("none", "harm")
            parts.append(
                {
                    "regime": words[row["regime"]],
                    "verdict": verdict,
                    "start": start,
                    "end": end,
                    "middle": (start + end) / 2,
                }
                | {"shown": shown, "dark": dark}
            )
    y = alt.Y(
        "regime:N", title=None, sort=list(words.values()), axis=alt.Axis(ticks=False, domain=False, labelLimit=260)
    )
    colours = alt.Scale(domain=list(VERDICTS), range=[_VERDICT_COLOURS[verdict] for verdict in VERDICTS])
    base = alt.Chart(data(parts)).encode(y)
    chart = alt.layer(
        base.mark_bar(height=16).encode(
            alt.X("start:Q", title="% of cells", scale=alt.Scale(domain=[0, 100]), axis=alt.Axis(tickCount=5)),
            alt.X2("end"),
            color=alt.Color("verdict:N", scale=colours),
        ),
        base.mark_text(fontSize=11).encode(
            alt.X("middle:Q"), text="shown:N", color=alt.condition("datum.dark", alt.value(PAPER), alt.value(INK))
        ),
        width=PLOT_WIDTH,
        height=alt.Step(30),
    )
    return draw(chart, label)


def risk_map(rows: Sequence[Row], tasks: Sequence[str], label: str) -> Drawing:
    """Each source: mean change over its transfer targets (x), share of its cells at the harm threshold (y), and below
    that the share that is shown to be harmed, at the other end of a line."""
    labelled = len(rows) <= LABELLED_POINTS
    points = [row | {"text": row["source_language"] if labelled else ""} for row in rows]
    present = [task for task in tasks if any(row["source_task"] == task for row in rows)]
    x_range = axis_range([row["mean_pp"] for row in rows])
    shown = [point[key] for point in points for key in ("harm_pct", "null_harm_pct") if point[key] is not None]
    most = max(5.0, *shown)
    harms = alt.Scale(domain=[-0.05 * most, 1.05 * most], nice=False)
    base = alt.Chart(data(points)).encode(
        alt.X("mean_pp:Q", title="mean change (pp)", scale=alt.Scale(domain=x_range, nice=False))
    )
    y = alt.Y("harm_pct:Q", title="cells at the harm threshold (%)", scale=harms)
    chart = alt.layer(
        zero_line("x"),
        base.transform_filter("datum.verdict_harm_pct !== null")
        .mark_rule(color=FAINT_INK)
        .encode(y, alt.Y2("verdict_harm_pct")),
        base.transform_filter("datum.null_harm_pct !== null")
        .mark_tick(color=INK, orient="horizontal", size=14, thickness=2)
        .encode(alt.Y("null_harm_pct:Q", scale=harms)),
        base.mark_point(filled=True, size=70, opacity=1).encode(y, *looks("source_task", tasks, present)),
        base.mark_text(dx=8, align="left", baseline="middle", fontSize=10).encode(y, text="text:N"),
        width=LINK_PLOT[0],
        height=LINK_PLOT[1],
    )
    return draw(chart, label)


def variance_shares(rows: Sequence[Row], words: Mapping[str, str], label: str) -> Drawing:
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
