"""Methods against each other as papers print them, and downstream tasks on what they mapped."""

from __future__ import annotations

from collections.abc import Sequence

from report.embedding_layouts import METHOD, dictionary_size
from report.layouts import GRIDS, LISTINGS
from report.method_charts import bli_against_downstream
from report.parts import Answers, Block, Panel, Section, Study, grouped
from report.tables import Row, languages, number, slices, table, titled
from report.terms import SIGNIFICANT


def methods(answers: Answers, study: Study) -> Section:
    """Mean MAP by method and dictionary size, MAP by pair, and differences with their p values."""
    means, cells, pairs = answers["bli_methods"], answers["bli_cells"], answers["bli_method_pairs"]
    title = "Which mapping method"
    if not means.rows:
        return Section("methods", title, (study.why_no_embeddings(),))
    blocks = []
    for label, rows in slices(means.rows, "variant", "vectors"):
        tables = [
            GRIDS["rpt_bli_methods"].table(retrieval, members)
            for retrieval, members in grouped(rows, "retrieval").items()
        ]
        blocks.append(
            Block(
                titled("Mean MAP by training pairs", label),
                "Over all pairs of languages that a method mapped, and over those common to all methods, on which each "
                "succeeds. In brackets: pairs on which the method failed.",
                tables=tuple(tables),
                sql=means.sql,
            )
        )
    for label, rows in slices(cells.rows, "variant", "vectors"):
        of_size = grouped(rows, "dictionary_size").items()
        shown = tuple(GRIDS["fct_bli"].table(f"MAP, CSLS, {dictionary_size(n)}", members) for n, members in of_size)
        blocks.append(Block(titled("Every pair of languages", label), folded_tables=shown, sql=cells.sql))
    for label, rows in slices(pairs.rows, "variant", "vectors"):
        tables = [
            GRIDS["rpt_bli_method_pairs"].table(f"Training pairs: {dictionary_size(size)}", members)
            for size, members in grouped(rows, "dictionary_size").items()
        ]
        blocks.append(
            Block(
                titled("Methods against each other", label),
                f"Row less column, mean MAP. *: p ≤ {SIGNIFICANT:g} after Bonferroni, concepts shuffled jointly over "
                "pairs of languages.",
                tables=tuple(tables[:1]),
                folded_tables=tuple(tables[1:]),
                sql=pairs.sql,
            )
        )
    blocks += _flaws(answers)
    lead = (
        "MAP is the mean reciprocal rank of the right translation; 1 is perfect. A failure is a cosine MAP below 0.05, "
        "or a run that ended in an error and has none.",
    )
    return Section("methods", title, lead, tuple(blocks))


def _flaws(answers: Answers) -> list[Block]:
    """What is wrong with the test dictionaries, and MAP with and without the rows it is wrong with."""
    flaws, scores = answers["bli_flaws"], answers["bli_clean"]
    title, kinds = "Flaws of the test dictionaries", ("n_leaked", "n_duplicate", "n_identical")
    if not any(row[kind] for row in flaws.rows for kind in kinds):
        return [Block(title, "No test pair was trained on, stands twice, or is one word twice.", sql=flaws.sql)]
    blocks = []
    for label, rows in slices(flaws.rows, "variant", "vectors"):
        blocks.append(
            Block(
                titled(title, label),
                "Test rows that are in the training dictionary too, that repeat an earlier row, or whose two words are "
                "the same string; a row may be several.",
                folded_tables=(LISTINGS["rpt_bli_flaws"].table("Rows by pair of languages", rows),),
                sql=flaws.sql,
            )
        )
    for label, rows in slices(scores.rows, "variant", "vectors"):
        blocks.append(
            Block(
                titled("Mean MAP with and without flawed rows", label),
                "Methods that learn from more pairs may have fewer clean rows: only the two columns of a row compare.",
                tables=tuple(
                    LISTINGS["rpt_bli_clean"].table(name, members)
                    for name, members in grouped(rows, "retrieval").items()
                ),
                sql=scores.sql,
            )
        )
    return blocks


def downstream(answers: Answers, study: Study) -> Section:
    """Scores of the downstream tasks, and whether translating words well goes with them."""
    scores, links, points = answers["downstream"], answers["bli_downstream"], answers["downstream_points"]
    title = "Downstream tasks"
    if not scores.rows:
        why = study.why_no_embeddings() if not answers["bli_methods"].rows else "This study has no downstream task."
        return Section("downstream", title, (why,))
    blocks = []
    for label, rows in slices(scores.rows, "variant", "vectors"):
        tables = [GRIDS["fct_downstream"].table(measure, members) for measure, members in _by_measure(rows).items()]
        note = "Rows: method and its training pairs; columns: trained in the first language, tested in the second."
        blocks.append(Block(titled("Scores", label), note, tables=tuple(tables), sql=scores.sql))
    drawn = grouped(points.rows, "variant")
    for label, rows in slices(links.rows, "variant"):
        by_task = grouped(drawn.get(rows[0]["variant"], []), "task")
        panels = tuple(
            Panel(
                titled(f"word translation and {task}", label),
                task,
                bli_against_downstream(members, f"MAP and score in {task}"),
            )
            for task, members in by_task.items()
        )
        blocks.append(
            Block(
                titled("Does word translation predict them?", label),
                "Each method on each pair of languages, less the pair's mean over methods. "
                "p: methods permuted as wholes.",
                panels=panels,
                tables=(LISTINGS["rpt_bli_downstream"].table("Correlation with MAP", rows),),
                folded_tables=tuple(
                    table(
                        f"Points of {task}",
                        (METHOD, languages(), number("map_residual"), number("score_residual")),
                        members,
                    )
                    for task, members in by_task.items()
                ),
                sql=links.sql,
            )
        )
    return Section("downstream", title, (), tuple(blocks))


def _by_measure(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """What is comparable: a task on one collection, by one classifier, in one metric."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        measure = (row["task"], row["collection"], row["classifier"] or "–", row["metric"])
        groups.setdefault(", ".join(filter(None, measure)), []).append(row)
    return groups
