"""The language-model half: regimes, cells, roles, and what tuning does on its task and off it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from report import charts, printed
from report.ask import Answer
from report.layouts import GRIDS, LISTINGS
from report.ordering import by_likeness
from report.parts import Answers, Block, Legend, Panel, Section, Study, grouped, short_names
from report.tables import Row, slices, titled
from report.terms import GRID, NEW_MODEL, REGIME_WORDS
from report.theme import GAIN, LOSS, NEUTRAL
from report.verdict_charts import verdict_shares

ERRORS_OF = {
    "tuning": "of tuning: other runs too",
    "this run": "of this run: what another run would give is not known",
}
_MOST_LISTED = 60_000
"""Cells of a wide grid that are listed; more are left to SQL."""
_COLOURED_SHARE = 0.95
"""Colours of the heatmap are spent on this share of the cells; the few beyond take the end colour."""
_DRAWN = {
    "tuning": "were other items drawn and other runs made",
    "this run": "were other items drawn; what other runs would give it does not say, as each source was tuned once",
    None: "as far as the published errors tell",
}
"""By `error_of` of cells: what an interval of the grid speaks of."""


def regimes(answers: Answers, study: Study) -> Section:
    """Mean change and verdicts by regime."""
    answer = answers["regimes"]
    title = "Does tuning help or harm?"
    if not answer.rows:
        return Section("regimes", title, (study.why_no_transfer(),))
    layout = LISTINGS["rpt_regimes"]
    blocks = []
    for label, rows in slices(answer.rows, "variant", "prompt"):
        scopes = grouped(rows, "scope")
        pooled = scopes.pop("all", [])
        names = short_names(scopes)
        means = charts.regime_means(rows, REGIME_WORDS, f"Mean change by regime, {study.name}")
        panels = [Panel(titled("regime means", label), "Mean change", means)]
        if all(row["verdict_undecided_pct"] is not None for row in pooled):
            shares = verdict_shares(pooled, REGIME_WORDS, "Shares of verdicts by regime")
            panels.append(Panel(titled("regime verdicts", label), "Verdicts", shares))
        blocks.append(
            Block(
                titled("Regimes", label),
                "Points: mean over all models with its 95 % interval, of this grid. Ticks: each model alone. "
                "Bars: shares of cells whose verdict is gain, none, undecided (grey) or harm.",
                panels=tuple(panels),
                tables=layout.halves("All models", "Further", pooled),
                folded_tables=tuple(layout.table(names[scope], members) for scope, members in scopes.items()),
                sql=answer.sql,
            )
        )
    lead = (
        "A cell is one source, one target and one model; its value is the change against the untuned model, in "
        "percentage points (pp). Read regimes apart: the average of all transfer depends on how many targets of each "
        "kind a study lists.",
        f"A change reaches the harm threshold where it is {study.harm}; how many cells would do so by noise alone "
        "stands beside it. A verdict takes more: gain, its interval is above 0; harm, it is beyond the threshold; "
        "none, it is within the threshold on both sides; the first and second at a false discovery rate of 5 %. All "
        "else is undecided, which is neither harmful nor shown to be harmless.",
        *none_in_words(answer.rows, study),
        intervals_in_words(answers),
    )
    return Section("regimes", title, lead, tuple(blocks))


def intervals_in_words(answers: Answers) -> str:
    """Return which kinds of interval the page has, and what each speaks of."""
    cells = [row for row in answers["cells"].rows if row["ci_low"] is not None]
    kinds = {row["error_of"] for row in cells}
    kind = next((one for one in _DRAWN if one in kinds), None)
    if not cells:
        return "No interval is given: the scores have neither items nor errors."
    of_grid = f"The {GRID} is of these models, sources and targets, {_DRAWN[kind]}."
    if all(row["new_model_low"] is None for row in answers["advice"].rows):
        return f"{of_grid} It does not speak of a model that the study does not have: that takes two models."
    return (
        f"Two kinds of interval are given. {of_grid} The {NEW_MODEL} says where the same change would be in one more "
        "model of this population. Only the second speaks of a model that the study does not have, and it is never the "
        "narrower."
    )


def runs_in_words(cells: Sequence[Row]) -> tuple[str, ...]:
    """Return that the luck of runs is in no interval, where each source was tuned once."""
    if {row["error_of"] for row in cells if row["ci_low"] is not None} != {"this run"}:
        return ()
    return ("Each source was tuned with one seed: intervals and verdicts do not say what other runs would give.",)


def none_in_words(regimes: Sequence[Row], study: Study) -> tuple[str, ...]:
    """Return what the verdict `none` would take, beside what the study has; nothing where errors are not known."""
    row = next((row for row in regimes if (row["scope"], row["regime"]) == ("all", "transfer")), None)
    if row is None or row["median_se_pp"] is None:
        return ()
    told = (
        f"That nothing changes is hard to show. `none` takes a standard error of at most "
        f"{study.harm_threshold_pp / 2:g} pp; half of the transfer cells have {row['median_se_pp']:.1f} pp or more."
    )
    if row["items_for_none"] is None:
        return (told,)
    if row["seeds_for_none"] is None:
        return (f"{told} How many seeds it would take is not known: no source was tuned with two.",)
    if row["seeds_for_none"] == 0:
        return (
            f"{told} For the median cell it would take some {printed.count(row['items_for_none'])} items, whatever the "
            "seeds: beyond the noise of items, no difference between runs is seen.",
        )
    return (
        f"{told} For the median cell it would take some {printed.count(row['seeds_for_none'])} seeds and "
        f"{printed.count(row['items_for_none'])} items together: the luck of runs alone makes it rare at few seeds.",
    )


def heatmaps(answers: Answers, study: Study) -> Section:
    """Source × target for each model."""
    answer = answers["cells"]
    title = "Every source on every target"
    if not answer.rows:
        return Section("cells", title, (study.why_no_transfer(),))
    limit = colour_limit(answer.rows)
    if len(charts.by_target(answer.rows)) > charts.MOST_COLUMNS:
        return Section("cells", title, _of_cells(answers), (*_by_task(answers, limit), *_bases(answers["baselines"])))
    names = short_names(row["model"] for row in answer.rows)
    layout = GRIDS["fct_transfer"]
    blocks = _pooled(answers, limit) if len(names) > 1 else []
    for label, rows in slices(answer.rows, "variant"):
        panels, tables = [], []
        for model, model_rows in grouped(rows, "model").items():
            bases = [row for row in answers["baselines"].rows if row["model"] == model and _same(row, rows, "variant")]
            for prompt_label, cells in layout.one_value_a_place(model_rows):
                panel_title = titled(names[model], prompt_label)
                drawing = charts.heatmap(cells, limit, f"Change by source and target, {model}", notes=_notes(bases))
                panels.append(Panel(titled(f"cells {panel_title}", label), panel_title, drawing, keeps_size=True))
                tables.append(layout.table(panel_title, cells))
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
    return Section("cells", title, _of_cells(answers), (*blocks, *_bases(answers["baselines"])))


def _of_cells(answers: Answers) -> tuple[str, ...]:
    """What to know of the cells before they are read."""
    cells = answers["cells"].rows
    without = sum(row["delta_pp"] is None for row in cells)
    lead = (f"{printed.plural(without, 'cell')} left blank: the base model has no score there.",) if without else ()
    return (*lead, *_errors_in_words(cells), *bases_in_words(answers["baselines"].rows))


def _by_task(answers: Answers, limit: float) -> list[Block]:
    """A grid too wide for a page: by task, and below a table a task with all of its languages."""
    cells, answer = answers["cells"], answers["tasks_of_grid"]
    layout, grid = LISTINGS["rpt_task_effects"], GRIDS["fct_transfer"]
    by_language = replace(grid, down=("target_language",), across=("source_task", "source_language"))
    over = {"target_language": "all", "verdict": None, "regime": None}
    blocks = []
    for label, rows in slices(answer.rows, "variant", "prompt", "model"):
        drawn = [row | over | {"delta_pp": row["mean_pp"]} for row in rows]
        drawing = charts.heatmap(drawn, limit, "Mean change by source and task")
        blocks.append(
            Block(
                titled("Mean change by source (row) and task (column), over its languages, pp", label),
                "Too many targets to draw each; every language is listed below.",
                panels=(Panel(titled("cells by task", label), "", drawing, keeps_size=True),),
                legend=replace(_legend(limit), note=""),
                tables=(layout.table("Tasks", rows),),
                sql=answer.sql,
            )
        )
    listed = cells.rows if len(cells.rows) <= _MOST_LISTED else ()
    for label, rows in slices(listed, "variant", "model", "prompt"):
        tasks = grouped(rows, "target_task")
        blocks.append(
            Block(
                titled("Every language", label),
                "A table a task: choose one, or search the page for a language's code, which opens what is folded.",
                folded_tables=tuple(by_language.table(task, members) for task, members in tasks.items()),
                choices=tuple(tasks),
                sql=cells.sql,
            )
        )
    return blocks


def _same(row: Row, rows: Sequence[Row], key: str) -> bool:
    return bool(row[key] == rows[0][key])


def _errors_in_words(cells: Sequence[Row]) -> tuple[str, ...]:
    """What the intervals and verdicts of single cells speak of."""
    kinds = {cell["error_of"] for cell in cells} - {None}
    words = [words for kind, words in ERRORS_OF.items() if kind in kinds]
    return (f"Intervals and verdicts of cells, in `marts.fct_transfer`, are {'; '.join(words)}.",) if words else ()


def bases_in_words(bases: Sequence[Row]) -> tuple[str, ...]:
    """Return how many base models stand at chance or at the ceiling, and how many scorings give one answer."""
    places = {place: sum(row["stands_at"] == place for row in bases) for place in ("chance", "ceiling")}
    constant, tuned = (sum(row[key] for row in bases) for key in ("n_constant", "n_tuned"))
    told = []
    if any(places.values()):
        stand = "; ".join(f"{n:,} {_PLACES[place]}" for place, n in places.items() if n)
        told.append(f"Of {printed.plural(len(bases), 'pair')} of model and target, {stand}. They are listed below.")
    if constant:
        told.append(
            f"{constant:,} of {tuned:,} tuned scorings give nearly always the same answer: their score is that "
            "answer's share of the gold answers, not what the model knows."
        )
    return tuple(told)


_PLACES = {
    "chance": "stand at chance before tuning, where there is little to lose and a loss is a change among guesses",
    "ceiling": "stand at the ceiling, where there is little to gain",
}


def _notes(bases: Sequence[Row]) -> dict[charts.Key, str]:
    """Return of each target where the base models stand; how many, if not all."""
    found = {}
    for key, rows in charts.by_target(bases).items():
        told = []
        for place in ("chance", "ceiling"):
            n = sum(row["stands_at"] == place for row in rows)
            told += [place if n == len(rows) else f"{place} {n}/{len(rows)}"] if n else []
        if told:
            found[key] = ", ".join(told)
    return found


def _bases(answer: Answer) -> list[Block]:
    told = [row for row in answer.rows if row["stands_at"] or row["n_constant"]]
    if not told:
        return []
    table = LISTINGS["rpt_baselines"].table("At chance, at the ceiling, or with constant answers", told)
    note = "Within two standard errors of a guesser's score, or below; within two of a perfect one; or with tuned "
    note += "scorings that give 95 % of the items one answer, which is right on 75 % at most."
    return [Block("Targets to read with care", note, folded_tables=(table,), sql=answer.sql)]


def _legend(limit: float) -> Legend:
    return Legend(
        (f"{printed.MINUS}{limit:g} pp or less", "0", f"+{limit:g} pp or more"),
        (LOSS, NEUTRAL, GAIN),
        "Full colour and bold: the verdict is gain, harm or none. Pale and grey: undecided. A frame marks the trained "
        "cell. Where values do not fit, − and + mark verdicts.",
    )


def _pooled(answers: Answers, limit: float) -> list[Block]:
    """The mean over models, alike sources and targets side by side."""
    answer, layout = answers["effects"], GRIDS["rpt_source_effects"]
    blocks = []
    for label, rows in slices(answer.rows, "variant", "prompt"):
        cells = [{**row, "delta_pp": row["mean_pp"]} for row in rows]
        values = {(charts.key(row, "source"), charts.key(row, "target")): row["mean_pp"] for row in rows}
        order = by_likeness(*charts.grid_keys(cells), values)
        bases = [row for row in answers["baselines"].rows if _same(row, rows, "variant")]
        drawing = charts.heatmap(
            cells, limit, "Mean change by source and target, all models", order=order, notes=_notes(bases)
        )
        blocks.append(
            Block(
                titled("Change by source (row) and target (column), mean over models, pp", label),
                "Sources with like effects, and targets that respond alike, stand side by side. Verdicts are of the "
                "mean over these models.",
                panels=(Panel(titled("cells mean over models", label), "", drawing, keeps_size=True),),
                legend=_legend(limit),
                folded_tables=(layout.table("Mean over models", rows),),
                sql=answer.sql,
            )
        )
    return blocks


def colour_limit(rows: Sequence[Row]) -> float:
    """The change at which colours end: most cells lie within it, rounded up to 1, 2, 5, 10, 20, 50 or 100 pp."""
    sizes = sorted(abs(row["delta_pp"]) for row in rows if row["delta_pp"] is not None)
    reached = sizes[int(_COLOURED_SHARE * (len(sizes) - 1))] if sizes else 1.0
    return next((float(step) for step in (1, 2, 5, 10, 20, 50) if step >= reached), 100.0)


_AXES: Mapping[str, tuple[str, str]] = {
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
    blocks = []
    for label, rows in slices(answer.rows, "variant", "prompt"):
        for axis, (axis_title, meaning) in _AXES.items():
            members = [row for row in rows if row["axis"] == axis]
            blocks.append(_roles_block(axis_title, label, meaning, members, answer.sql))
    lead = (
        "Who gives and receives is compared by effects: what is left once every source has met the same targets, the "
        "own cell too. Raw means leave each source's own cell out, and so speak for whoever receives badly.",
    )
    return Section("roles", title, lead, tuple(blocks))


def _roles_block(axis_title: str, label: str, meaning: str, rows: Sequence[Row], sql: str) -> Block:
    title = titled(axis_title, label)
    if not rows:
        return Block(title, f"Nothing to rank: the grid has no cells of this kind ({meaning}).")
    panels, tables = [], []
    for within, members in grouped(rows, "within").items():
        what = f"{axis_title} in {within}" if within else axis_title
        tables.append(LISTINGS["rpt_roles"].table(what, members))
        drawn = [r for r in members if r["donor_effect_pp"] is not None or r["recipient_effect_pp"] is not None]
        if len(drawn) > charts.MOST_RANKED:
            drawn = [*drawn[: charts.MOST_RANKED // 2], *drawn[-charts.MOST_RANKED // 2 :]]
            what = f"{what}, the first and last {charts.MOST_RANKED // 2} of {len(members):,}"
        if drawn:
            panel_title = within or (what if len(drawn) < len(members) else "")
            drawing = charts.ranking(drawn, f"{what} by what they give and receive")
            panels.append(
                Panel(titled(f"donors and recipients {axis_title}", within or "", label), panel_title, drawing)
            )
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
    names = short_names(row["model"] for row in answer.rows)
    tasks = sorted({row["source_task"] for row in answer.rows})
    x_range, y_range = charts.bounds(answer.rows, "on_task_pp"), charts.bounds(answer.rows, "off_task_pp")
    blocks = []
    for label, rows in slices(answer.rows, "variant", "prompt"):
        panels, tables = [], []
        for model, sources in grouped(rows, "model").items():
            tables.append(LISTINGS["rpt_asymmetry"].table(names[model], sources))
            drawn = [row for row in sources if row["on_task_pp"] is not None and row["off_task_pp"] is not None]
            if drawn:
                drawing = charts.on_off(drawn, tasks, x_range, y_range, f"Sources of {model}: own task, other tasks")
                panels.append(Panel(titled(f"own task and others {names[model]}", label), names[model], drawing))
        missing = "" if panels else " Nothing to draw: that takes targets in the source's task and in others."
        blocks.append(
            Block(
                titled("Sources by their effect on their own task and on others", label),
                "Filled: no other source of this model is at least as good in both, as measured; points have errors "
                f"that are not drawn. Labels: language tuned on.{missing}",
                panels=tuple(panels),
                folded_tables=tuple(tables),
                sql=answer.sql,
            )
        )
    return Section("asymmetry", title, (), tuple(blocks))
