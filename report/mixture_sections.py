"""Mixtures of sources beside their parts, and adapters on the way through their training."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt

from report import printed
from report.charts import SMALL_PLOT, axis_range, zero_line
from report.layouts import LISTINGS
from report.parts import NO_CURVES, NO_MIXTURES, Answers, Block, Panel, Section, Study, short_names
from report.tables import Row, slices, titled
from report.terms import SIGNIFICANT
from report.theme import COLOURS, Drawing, data, draw, looks

_MOST_LINES = len(COLOURS)


def mixtures(answers: Answers, study: Study) -> Section:
    """What tuning on several sources at once gives over tuning on one."""
    answer, layout = answers["mixtures"], LISTINGS["rpt_mixtures"]
    title = "Mixtures of sources"
    if not answer.rows:
        return Section("mixtures", title, (NO_MIXTURES,))
    blocks = []
    for label, rows in slices(answer.rows, "variant", "prompt", "source"):
        every = [row for row in rows if row["scope"] == "all"]
        whole = [row for row in every if row["target_task"] is None]
        each = [row for row in every if row["target_task"] is not None]
        models = [row for row in rows if row["scope"] != "all" and row["target_task"] is None]
        folded = [layout.table("Each target", each)] if whole else []
        folded += [layout.table("Each model", models)] if len({row["scope"] for row in models}) > 1 else []
        blocks.append(
            Block(
                titled(rows[0]["source"], label),
                f"Tuned on {rows[0]['parts']} at once.",
                tables=(layout.table("All targets" if whole else "Each target", whole or each),),
                folded_tables=tuple(folded),
                sql=answer.sql,
            )
        )
    lead = (
        "One adapter tuned on several sources, beside the adapters of its parts alone, item by item. Over the best "
        "part: which part is best is seen in the same answers, and the interval allows for it. Over the sum: what the "
        "parts' changes add up to, each as much as the mixture has of its items; below 0, the parts get in each "
        f"other's way. q is over a mixture's targets (false discovery rate, {SIGNIFICANT:g}). Regimes, roles and "
        "advice are of single sources.",
    )
    return Section("mixtures", title, lead, tuple(blocks))


def curves(answers: Answers, study: Study) -> Section:
    """Gain on the task and harm off it along the training, and where to stop."""
    answer, stops = answers["curves"], answers["stops"]
    title = "On the way: when to stop training"
    if not answer.rows:
        return Section("curves", title, (NO_CURVES,))
    names = short_names(row["model"] for row in answer.rows)
    blocks = []
    for label, rows in slices(answer.rows, "variant", "prompt", "model"):
        first = rows[0]
        of_stops = [row for row in stops.rows if all(row[key] == first[key] for key in ("variant", "prompt", "model"))]
        sources = sorted({row["source"] for row in rows})
        panels = []
        if len(sources) <= _MOST_LINES:
            for column, name in (("gain_pp", "Gain on the task"), ("off_task_pp", "Change off the task")):
                drawn = [row for row in rows if row[column] is not None]
                if drawn:
                    drawing = _lines(drawn, column, sources, f"{name}, {first['model']}")
                    panels.append(Panel(titled(f"{name} {names[first['model']]}", label), name, drawing))
        table = LISTINGS["rpt_stops"].table("Where to stop", of_stops)
        blocks.append(
            Block(
                titled(names[first["model"]], label),
                "Of the fractions that keep 90 % of the gain, the one that does least harm off the task."
                if of_stops
                else "No adapter gains on its task by the end of its training, so there is nothing to keep.",
                panels=tuple(panels),
                tables=(table,) if of_stops else (),
                folded_tables=(LISTINGS["fct_curves"].table("Each fraction", rows),),
                sql=stops.sql,
            )
        )
    lead = (
        "Adapters scored after parts of their training. The gain is the mean change over all targets of the task tuned "
        "on, the trained cell too; the change off the task is that over all others. What a stop spares is paired with "
        "the whole training, run by run and item by item; the stop is chosen by the same numbers, and its intervals "
        "allow for that. All other chapters are of whole trainings.",
        *_told(stops.rows),
    )
    return Section("curves", title, lead, tuple(blocks))


def _told(stops: Sequence[Row]) -> tuple[str, ...]:
    early = [row for row in stops if row["stop_fraction"] < 1]
    if not stops:
        return ()
    spared = sum(row["is_sparing"] for row in early)
    return (
        f"Of {printed.plural(len(stops), 'adapter')} that gain, {len(early):,} would better be stopped before the end; "
        f"that it spares the other tasks is shown of {spared:,}.",
    )


def _lines(rows: Sequence[Row], column: str, sources: Sequence[str], label: str) -> Drawing:
    """Return a line for each source over the fractions of its training."""
    values = axis_range([row[column] for row in rows])
    points = [{"fraction": row["fraction"], "source": row["source"], "value": row[column]} for row in rows]
    present = sorted({row["source"] for row in rows})
    colour, shape = looks("source", sources, present)
    base = alt.Chart(data(points)).encode(
        alt.X("fraction:Q", title="part of the training", scale=alt.Scale(domain=[0, 1], nice=False)),
        alt.Y("value:Q", title="pp", scale=alt.Scale(domain=values, nice=False)),
        colour,
    )
    chart = alt.layer(
        zero_line("y"),
        base.mark_line(strokeWidth=1.5),
        base.mark_point(filled=True, size=50, opacity=1).encode(shape),
        width=SMALL_PLOT[0],
        height=SMALL_PLOT[1],
    )
    return draw(chart, label)
