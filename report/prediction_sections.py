"""Cells that were not computed as predicted, and what told of transfer before anything was tuned."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import altair as alt

from report import charts, printed
from report.charts import PLOT_WIDTH, axis_range, zero_line
from report.layouts import LISTINGS
from report.parts import NO_PREDICTIONS, NO_PREDICTORS, Answers, Block, Legend, Panel, Section, Study, short_names
from report.tables import Row, slices, table, titled
from report.terms import MEASURES, PREDICTORS
from report.theme import COLOURS, GAIN, INK, LOSS, NEUTRAL, Drawing, data, draw
from report.transfer_sections import colour_limit

_MOST_DRAWN, _MOST_LISTED = 10_000, 6_000
"""Predicted cells that are drawn, all or none, and listed: more would make the page too large. The SQL gives all."""


def predictions(answers: Answers, study: Study) -> Section:
    """What is expected of the cells that were not computed."""
    answer, fits = answers["predictions"], answers["prediction_fits"]
    title = "What was not computed, as predicted"
    if not fits.rows:
        return Section("predictions", title, (NO_PREDICTIONS,))
    names = short_names(row["model"] for row in answer.rows)
    limit = colour_limit([{"delta_pp": row["expected_pp"]} for row in answer.rows])
    blocks = [
        Block(
            titled("What the predictions are worth", label),
            "Each source left out whole, on every model, and predicted from the others.",
            tables=(LISTINGS["rpt_prediction_fits"].table("Left out and predicted", rows),),
            sql=fits.sql,
        )
        for label, rows in slices(fits.rows, "variant", "prompt")
    ]
    draws = len(answer.rows) <= _MOST_DRAWN
    for label, rows in slices(answer.rows, "variant", "prompt"):
        blocks += _cells(rows, names, label, limit, draws, answer.sql)
    stale = any(row["is_stale"] for row in fits.rows)
    lead = (
        "Each number here is expected, none is measured: what a computation would show, from the cells that were "
        "computed (crossed random effects). The intervals are of what would be measured, with its own error and the "
        "luck of its runs. No other chapter reads predictions.",
        *(("The study's cells have changed since: `transfer predict` brings this chapter up to date.",) * stale),
    )
    return Section("predictions", title, lead, tuple(blocks))


def _cells(rows: Sequence[Row], names: dict[str, str], label: str, limit: float, draws: bool, sql: str) -> list[Block]:
    """Predicted cells of one variant and prompt: drawn and listed by model, and those that were measured since."""
    layout = LISTINGS["rpt_predictions"]
    panels, most, every = [], [], []
    for model, of_model in ((model, list(members)) for model, members in groupby(rows, lambda row: row["model"])):
        name = names[model]
        if draws and len(charts.by_target(of_model)) <= charts.MOST_COLUMNS:
            drawn = [row | {"delta_pp": row["expected_pp"], "verdict": _certainty(row)} for row in of_model]
            drawing = charts.heatmap(drawn, limit, f"Expected change by source and target, {model}")
            panels.append(Panel(titled(f"predicted {name}", label), name, drawing, keeps_size=True))
        by_target = groupby(of_model, lambda row: charts.key(row, "target"))
        most.append(
            table(f"Of which source most is expected, {name}", layout.columns, [next(of) for _, of in by_target])
        )
        shown = of_model[: _MOST_LISTED // len({row["model"] for row in rows})]
        which = (
            "Every predicted cell" if len(shown) == len(of_model) else f"The first {len(shown):,} of {len(of_model):,}"
        )
        every.append(table(f"{which}, {name}", layout.columns, shown))
    choices = tuple(dict.fromkeys(names[row["model"]] for row in rows))
    found = [
        Block(
            titled("Expected change by source (row) and target (column), pp", label),
            "" if panels else "Too many cells to be drawn.",
            panels=tuple(panels),
            legend=_legend(limit) if panels else None,
            folded_tables=tuple(every),
            choices=choices if len(choices) > 1 else (),
            sql=sql,
        ),
        Block(
            titled("Of which source most is expected, target by target", label),
            "Of the sources that were not computed on it.",
            tables=tuple(most) if len(most) == 1 else (),
            folded_tables=tuple(most) if len(most) > 1 else (),
            choices=choices if len(choices) > 1 else (),
            sql=sql,
        ),
    ]
    since = [row for row in rows if row["measured_pp"] is not None]
    if since:
        found.append(
            Block(
                titled("Measured since they were predicted", label),
                folded_tables=tuple(
                    layout.table(names[model], list(members))
                    for model, members in groupby(since, lambda row: row["model"])
                ),
                sql=sql,
            )
        )
    return found


def _certainty(row: Row) -> str:
    """Return how a predicted cell is drawn: pale unless its 95 % interval is on one side of 0."""
    if row["low_95"] is None or row["low_95"] <= 0 <= row["high_95"]:
        return "undecided"
    return "gain" if row["low_95"] > 0 else "harm"


def _legend(limit: float) -> Legend:
    return Legend(
        (f"{printed.MINUS}{limit:g} pp or less", "0", f"+{limit:g} pp or more"),
        (LOSS, NEUTRAL, GAIN),
        "Expected, not measured. Full colour and bold: the 95 % interval is on one side of 0. Pale and grey: it "
        "is not. A frame marks a source's own cell. Empty: measured. Where values do not fit, − and + mark it.",
    )


def predictors(answers: Answers, study: Study) -> Section:
    """How well what is known before tuning ranks the sources of a target."""
    answer = answers["predictors"]
    title = "What told of transfer before tuning"
    if not answer.rows:
        return Section("predictors", title, (NO_PREDICTORS,))
    blocks = []
    for label, rows in slices(answer.rows, "variant", "prompt"):
        of_measure = {measure: [row for row in rows if row["measure"] == measure] for measure in MEASURES}
        drawn = [row for row in of_measure["regret_1"] if row["beyond_random"] is not None]
        panels = (Panel(titled("predictors", label), "", _ranked(drawn)),) if drawn else ()
        blocks.append(
            Block(
                titled("Predictors beside habits and chance", label),
                "Drawn: Regret@1 less that of a random source, percentage points; below 0 is better than chance.",
                panels=panels,
                tables=tuple(
                    LISTINGS["rpt_predictors"].table(words, of_measure[measure])
                    for measure, words in MEASURES.items()
                    if of_measure[measure]
                ),
                sql=answer.sql,
            )
        )
    lead = (
        "Each predictor ranks a target's sources and has seen no tuned model; habits are how people pick a source "
        "without looking at anything else. Judged on the study's measured cells, mean over models and targets. "
        "Intervals are of other models and languages. All together: weighted on other models and languages than those "
        "it is judged on.",
    )
    return Section("predictors", title, lead, tuple(blocks))


def _ranked(rows: Sequence[Row]) -> Drawing:
    """Return what predictors spare beyond a random source, with intervals, the best first."""
    points = [
        {
            "predictor": PREDICTORS.get(row["predictor"], row["predictor"]),
            "value": row["beyond_random"],
            "low": row["beyond_random_low"],
            "high": row["beyond_random_high"],
        }
        for row in sorted(rows, key=lambda row: (row["beyond_random"], row["predictor"]))
    ]
    bounds = [point[key] for point in points for key in ("value", "low", "high") if point[key] is not None]
    y = alt.Y(
        "predictor:N",
        title=None,
        sort=[point["predictor"] for point in points],
        axis=alt.Axis(ticks=False, domain=False),
    )
    x = alt.X("value:Q", title="Regret@1 beyond random (pp)", scale=alt.Scale(domain=axis_range(bounds), nice=False))
    base = alt.Chart(data(points))
    chart = alt.layer(
        zero_line("x"),
        base.mark_rule(color=INK, strokeWidth=1.5).encode(alt.X("low:Q"), y, alt.X2("high")),
        base.mark_point(filled=True, size=75, color=COLOURS[0], opacity=1).encode(x, y),
        width=PLOT_WIDTH,
        height=alt.Step(charts.ROW_HEIGHT),
    )
    return draw(chart, "Regret of predictors beyond that of a random source")
