"""The language-model half: regimes, cells, roles, and what tuning costs other tasks."""

from __future__ import annotations

from collections.abc import Sequence

from report import charts, printed
from report.ask import Answer, Row
from report.ordering import by_likeness
from report.parts import Answers, Block, Legend, Panel, Section, Study, grouped, short_names, slices, titled
from report.tables import Column, Table, interval, matrix, number, table, text, yes_no
from report.theme import GAIN, LOSS, NEUTRAL

REGIME_WORDS = {
    "transfer": "all transfer",
    "MT-CL": "same task, other language",
    "CT-ML": "other task, same language",
    "CT-CL": "other task, other language",
    "MT-ML": "the trained cell itself",
}
_COLOURED_SHARE = 0.95
"""Colours of the heatmap are spent on this share of the cells; the few beyond take the end colour."""


def _regime_name(row: Row) -> str:
    return (
        f"{row['regime']}: {REGIME_WORDS[row['regime']]}" if row["regime"] != "transfer" else REGIME_WORDS["transfer"]
    )


def regimes(answers: Answers, study: Study) -> Section:
    """Mean change by regime, with intervals."""
    answer = answers["regimes"]
    title = "Does tuning help or harm?"
    if not answer.rows:
        return Section("regimes", title, (study.why_no_transfer(),))
    columns = (
        Column("regime", _regime_name, numeric=False),
        number("n_cells", "cells", printed.count),
        number("mean_pp", "mean, pp", printed.signed),
        interval("ci_low", "ci_high", missing="no items"),
        number("median_pp", "median, pp", printed.signed),
        number("positive_pct", "gain", printed.percent),
        number("harm_pct", "harm", printed.percent),
        number("sig_harm_pct", "significant harm", printed.percent, "no items"),
        number("null_harm_pct", "harm from noise", printed.percent, "no errors"),
    )
    blocks = []
    for label, rows in slices(answer.rows, "variant", "prompt"):
        scopes = grouped(rows, "scope")
        pooled = scopes.pop("all", [])
        names = short_names(scopes)
        singles = [table(names[scope], columns, members) for scope, members in scopes.items()]
        drawing = charts.regime_means(rows, REGIME_WORDS, f"Mean change by regime of {study.name}")
        blocks.append(
            Block(
                titled("Regimes", label),
                "Points: mean over all models with its 95 % interval. Ticks: each model alone.",
                panels=(Panel("", drawing),),
                tables=(table("All models", columns, pooled),),
                folded_tables=tuple(singles),
                sql=answer.sql,
            )
        )
    lead = (
        f"A cell is one source, one target and one model; its value is the change against the untuned model. "
        f"Harm is {study.harm}.",
    )
    return Section("regimes", title, lead, tuple(blocks))


def heatmaps(answers: Answers, study: Study) -> Section:
    """Source × target for each model."""
    answer = answers["cells"]
    title = "Every source on every target"
    if not answer.rows:
        return Section("cells", title, (study.why_no_transfer(),))
    limit = colour_limit(answer.rows)
    names = short_names(row["model"] for row in answer.rows)
    blocks = _pooled(answers["pooled_cells"], limit) if len(names) > 1 else []
    for label, rows in slices(answer.rows, "variant"):
        panels, tables = [], []
        for model, model_rows in grouped(rows, "model").items():
            for prompt_label, cells in _one_value_a_cell(model_rows):
                panel_title = titled(names[model], prompt_label)
                drawing = charts.heatmap(cells, limit, f"Change by source and target, {model}")
                panels.append(Panel(panel_title, drawing, keeps_size=True))
                tables.append(_cell_table(panel_title, cells))
        blocks.append(
            Block(
                titled("Change by source (row) and target (column), pp", label),
                panels=tuple(panels),
                legend=_legend(limit),
                folded_tables=tuple(tables),
                choices=tuple(panel.title for panel in panels) if len(panels) > 1 else (),
                sql=answer.sql,
            )
        )
    without = sum(row["delta_pp"] is None for row in answer.rows)
    lead = (f"{printed.plural(without, 'cell')} left blank: the base model has no score there.",) if without else ()
    return Section("cells", title, lead, tuple(blocks))


def _legend(limit: float) -> Legend:
    return Legend(
        (f"{printed.MINUS}{limit:g} pp or less", "0", f"+{limit:g} pp or more"),
        (LOSS, NEUTRAL, GAIN),
        "A frame marks the trained cell. Where values do not fit, − marks a harm.",
    )


def _pooled(answer: Answer, limit: float) -> list[Block]:
    """The mean over models, alike sources and targets side by side."""
    blocks = []
    for label, rows in slices(answer.rows, "variant"):
        panels, tables = [], []
        for prompt_label, prompted in _one_value_a_cell(rows):
            # What most models lose counts as a harm of the mean.
            cells = [row | {"is_harm": 2 * row["n_harmed"] > row["n_models"]} for row in prompted]
            values = {
                ((row["source_task"], row["source_language"]), (row["target_task"], row["target_language"])): row[
                    "delta_pp"
                ]
                for row in cells
            }
            order = by_likeness(*charts.grid_keys(cells), values)
            panel_title = titled("Mean over models", prompt_label)
            drawing = charts.heatmap(cells, limit, "Mean change by source and target, all models", order)
            panels.append(Panel(panel_title, drawing, keeps_size=True))
            tables.append(_cell_table(panel_title, cells))
        blocks.append(
            Block(
                titled("Change by source (row) and target (column), all models, pp", label),
                "Sources with like effects, and targets that respond alike, stand side by side.",
                panels=tuple(panels),
                legend=_legend(limit),
                folded_tables=tuple(tables),
                sql=answer.sql,
            )
        )
    return blocks


def colour_limit(rows: Sequence[Row]) -> float:
    """The change at which colours end: most cells lie within it, rounded up to 1, 2, 5, 10, 20, 50 or 100 pp."""
    sizes = sorted(abs(row["delta_pp"]) for row in rows if row["delta_pp"] is not None)
    reached = sizes[int(_COLOURED_SHARE * (len(sizes) - 1))] if sizes else 1.0
    return next((float(step) for step in (1, 2, 5, 10, 20, 50) if step >= reached), 100.0)


def _one_value_a_cell(rows: Sequence[Row]) -> list[tuple[str, list[Row]]]:
    """A model's cells as they are, or by prompt where a target was asked in several ways."""
    keys = [(row["source_task"], row["source_language"], row["target_task"], row["target_language"]) for row in rows]
    return [("", list(rows))] if len(set(keys)) == len(keys) else slices(rows, "prompt")


def _cell_table(caption: str, cells: Sequence[Row]) -> Table:
    sources = sorted({(cell["source_task"], cell["source_language"]) for cell in cells})
    targets = sorted({(cell["target_task"], cell["target_language"]) for cell in cells})
    values = {
        (
            charts.name((cell["source_task"], cell["source_language"])),
            charts.name((cell["target_task"], cell["target_language"])),
        ): cell["delta_pp"]
        for cell in cells
    }
    return matrix(
        caption,
        "tuned on",
        [charts.name(source) for source in sources],
        [charts.name(target) for target in targets],
        values,
        printed.signed,
    )


_AXES = {
    "language": ("Languages", "matched task, other language (MT-CL)"),
    "task": ("Tasks", "matched language, other task (CT-ML)"),
    "cell": ("Single cells", "all transfer"),
}


def roles(answers: Answers, study: Study) -> Section:
    """Who gives and who receives."""
    answer = answers["roles"]
    title = "Donors and recipients"
    if all(row["donor_pp"] is None and row["recipient_pp"] is None for row in answer.rows):
        return Section("roles", title, (study.why_no_transfer(),))
    columns = (
        text("entity", ""),
        number("donor_rank", "donor rank", printed.count),
        number("donor_pp", "gives, pp", printed.signed),
        interval("donor_ci_low", "donor_ci_high", missing="no items"),
        number("placebo_pp", "placebo gives, pp", printed.signed, "no placebo"),
        number("recipient_rank", "recipient rank", printed.count),
        number("recipient_pp", "receives, pp", printed.signed),
        interval("recipient_ci_low", "recipient_ci_high", missing="no items"),
        yes_no("is_hub", "hub donor", "not judged"),
        yes_no("is_brittle", "brittle", "not judged"),
        number("n_cells", "cells", printed.count),
        number("n_planned", "planned", printed.count),
    )
    blocks = []
    for label, rows in slices(answer.rows, "variant", "prompt"):
        for axis, (axis_title, meaning) in _AXES.items():
            members = [row for row in rows if row["axis"] == axis]
            drawn = [row for row in members if row["donor_pp"] is not None or row["recipient_pp"] is not None]
            panels = (Panel("", charts.ranking(drawn, f"{axis_title} by what they give and receive")),) if drawn else ()
            note = f"Means over {meaning} and all models, in the order of what they give."
            shown = table(f"{axis_title} of {study.name}", columns, members)
            blocks.append(
                Block(titled(axis_title, label), note, panels=panels, folded_tables=(shown,), sql=answer.sql)
                if panels
                else Block(
                    titled(axis_title, label), f"Nothing to rank: the grid has no cells of this kind ({meaning})."
                )
            )
    return Section("roles", title, (), tuple(blocks))


def asymmetry(answers: Answers, study: Study) -> Section:
    """What a source does for its own task against what it does to others."""
    answer = answers["asymmetry"]
    title = "Gain on the task, cost off the task"
    if not answer.rows:
        return Section("asymmetry", title, (study.why_no_transfer(),))
    columns = (
        text("source_task", "tuned on"),
        text("source_language", "language"),
        number("on_task_pp", "own task, pp", printed.signed),
        number("off_task_pp", "other tasks, pp", printed.signed),
        yes_no("is_pareto", "on the front"),
    )
    names = short_names(row["model"] for row in answer.rows)
    tasks = sorted({row["source_task"] for row in answer.rows})
    x_range, y_range = charts.bounds(answer.rows, "on_task_pp"), charts.bounds(answer.rows, "off_task_pp")
    blocks = []
    for label, rows in slices(answer.rows, "variant", "prompt"):
        panels, tables = [], []
        for model, sources in grouped(rows, "model").items():
            tables.append(table(names[model], columns, sources))
            drawn = [row for row in sources if row["on_task_pp"] is not None and row["off_task_pp"] is not None]
            if drawn:
                drawing = charts.on_off(drawn, tasks, x_range, y_range, f"Sources of {model}: own task, other tasks")
                panels.append(Panel(names[model], drawing))
        missing = "" if panels else " Nothing to draw: that takes targets in the source's task and in others."
        blocks.append(
            Block(
                titled("Sources by their effect on their own task and on others", label),
                "Filled: no other source of this model is at least as good in both. Labels: language tuned on."
                + missing,
                panels=tuple(panels),
                folded_tables=tuple(tables),
                sql=answer.sql,
            )
        )
    return Section("asymmetry", title, (), tuple(blocks))
