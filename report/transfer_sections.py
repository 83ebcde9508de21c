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
ERRORS_OF = {
    "tuning": "of tuning: other runs too",
    "this run": "of this run: what another run would give is not known",
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
    name = Column("regime", _regime_name, numeric=False)
    means = (
        name,
        number("n_cells", "cells", printed.count),
        number("n_planned", "planned", printed.count),
        number("mean_pp", "mean, pp", printed.signed),
        interval("ci_low", "ci_high", missing="no items"),
        number("median_pp", "median, pp", printed.signed),
        number("positive_pct", "above 0", printed.percent),
    )
    # Two tables, so that neither is wider than the page.
    verdicts = (
        number("harm_pct", "harm", printed.percent),
        number("null_harm_pct", "harm from noise", printed.percent, "no errors"),
        number("verdict_gain_pct", "verdict gain", printed.percent, "no errors"),
        number("verdict_harm_pct", "verdict harm", printed.percent, "no errors"),
        number("verdict_none_pct", "verdict none", printed.percent, "no errors"),
        number("verdict_undecided_pct", "undecided", printed.percent, "no errors"),
    )
    blocks = []
    for label, rows in slices(answer.rows, "variant", "prompt"):
        scopes = grouped(rows, "scope")
        pooled = scopes.pop("all", [])
        names = short_names(scopes)
        singles = [table(names[scope], (*means, *verdicts), members) for scope, members in scopes.items()]
        drawing = charts.regime_means(rows, REGIME_WORDS, f"Mean change by regime of {study.name}")
        blocks.append(
            Block(
                titled("Regimes", label),
                "Points: mean over all models with its 95 % interval. Ticks: each model alone.",
                panels=(Panel("", drawing),),
                tables=(table("All models", means, pooled), table("Share of cells", (name, *verdicts), pooled)),
                folded_tables=tuple(singles),
                sql=answer.sql,
            )
        )
    lead = (
        f"A cell is one source, one target and one model; its value is the change against the untuned model. "
        f"Harm is {study.harm}; beside it, what noise alone would show.",
        "A verdict needs more: that the interval is beyond 0 (gain), beyond the threshold (harm) or within it (none). "
        "Undecided is not “no harm”.",
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
    return Section("cells", title, (*lead, *_errors_in_words(answer.rows)), tuple(blocks))


def _errors_in_words(cells: Sequence[Row]) -> tuple[str, ...]:
    """What the intervals and verdicts of single cells speak of."""
    kinds = {cell["error_of"] for cell in cells} - {None}
    words = [words for kind, words in ERRORS_OF.items() if kind in kinds]
    return (f"Intervals and verdicts of cells, in `marts.fct_transfer`, are {'; '.join(words)}.",) if words else ()


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
        _of_a_role("donor_effect_pp", "donor_pp", "gives, pp", "not compared"),
        interval("donor_effect_low", "donor_effect_high"),
        number("donor_pp", "raw mean", printed.signed),
        _of_a_role("gain_over_placebo_pp", "donor_pp", "beyond its placebo, pp", "no placebo"),
        interval("gain_over_placebo_low", "gain_over_placebo_high"),
        yes_no("learned", "learned"),
        number("recipient_rank", "recipient rank", printed.count),
        _of_a_role("recipient_effect_pp", "recipient_pp", "receives, pp", "not compared"),
        interval("recipient_effect_low", "recipient_effect_high"),
        number("recipient_pp", "raw mean", printed.signed),
        yes_no("is_hub", "hub donor", "not judged"),
        yes_no("is_brittle", "brittle", "not judged"),
        number("n_cells", "cells", printed.count),
        number("n_planned", "planned", printed.count),
    )
    blocks = []
    for label, rows in slices(answer.rows, "variant", "prompt"):
        for axis, (axis_title, meaning) in _AXES.items():
            panels, tables = [], []
            for within, members in grouped((row for row in rows if row["axis"] == axis), "within").items():
                what = f"{axis_title} in {within}" if within else axis_title
                tables.append(table(f"{what} of {study.name}", columns, members))
                drawn = [row for row in members if _has_effect(row)]
                if drawn:
                    panels.append(Panel(within or "", charts.ranking(drawn, f"{what} by what they give and receive")))
            blocks.append(_roles_block(titled(axis_title, label), meaning, panels, tables, answer.sql))
    lead = (
        "Who gives and receives is compared by effects: what is left once every source has met the same targets, the "
        "own cell too. Raw means leave each source's own cell out, and so speak for whoever receives badly.",
    )
    return Section("roles", title, lead, tuple(blocks))


def _of_a_role(key: str, raw: str, heading: str, missing: str) -> Column:
    """A value of a donor or recipient; `missing` says why one that has the raw mean has it not."""

    def show(row: Row) -> str | None:
        if row[key] is not None:
            return printed.signed(row[key])
        return None if row[raw] is None else missing

    return Column(heading, show)


def _has_effect(row: Row) -> bool:
    return row["donor_effect_pp"] is not None or row["recipient_effect_pp"] is not None


def _roles_block(title: str, meaning: str, panels: list[Panel], tables: list[Table], sql: str) -> Block:
    if not tables:
        return Block(title, f"Nothing to rank: the grid has no cells of this kind ({meaning}).")
    if panels:
        note = f"Effects over {meaning} and all models, in the order of what is given; 95 % intervals are of this grid."
        if len(tables) > 1:
            note += " Not averaged, because not the same compete in each: each is a ranking of its own."
    else:
        note = f"Not compared: no effects over {meaning}; the grid does not connect its sources. Raw means are below."
    return Block(title, note, panels=tuple(panels), folded_tables=tuple(tables), sql=sql)


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
        number("n_cells", "cells", printed.count),
        number("n_planned", "planned", printed.count),
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
