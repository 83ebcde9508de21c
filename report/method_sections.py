"""Methods against each other as papers print them, and downstream tasks on what they mapped."""

from __future__ import annotations

from collections.abc import Sequence

from report import printed
from report.ask import Row
from report.embedding_sections import pair_name
from report.method_charts import bli_against_downstream
from report.parts import Answers, Block, Panel, Section, Study, grouped, slices, titled
from report.tables import Cell, Column, Heading, Table, matrix, number, table, text

SIGNIFICANT = 0.05


def sized(size: int) -> str:
    """A dictionary size as a column's heading."""
    return "none" if size == 0 else printed.count(size)


def _entry(row: Row) -> str:
    """A method at its dictionary size."""
    return f"{row['method']}, {sized(row['dictionary_size'])}"


def methods(answers: Answers, study: Study) -> Section:
    """Mean MAP by method and dictionary size, MAP by pair, and differences with their p values."""
    means, cells, pairs = answers["bli_methods"], answers["bli_cells"], answers["bli_method_pairs"]
    title = "Which mapping method"
    if not means.rows:
        return Section("methods", title, (study.why_no_embeddings(),))
    blocks = []
    for label, rows in slices(means.rows, "variant", "vectors"):
        tables = [
            _size_table(f"{retrieval}, {_scope_in_words(scope, members)}", members)
            for retrieval, of_retrieval in grouped(rows, "retrieval").items()
            for scope, members in grouped(of_retrieval, "scope").items()
        ]
        blocks.append(
            Block(
                titled("Mean MAP by training pairs", label),
                "In brackets: pairs of languages on which the method failed. `none`: without a dictionary.",
                tables=tuple(tables),
                sql=means.sql,
            )
        )
    for label, rows in slices(cells.rows, "variant", "vectors"):
        names = list(dict.fromkeys(pair_name(row) for row in rows))
        values = {(_entry(row), pair_name(row)): row["map"] for row in rows}
        entries = list(dict.fromkeys(_entry(row) for row in rows))
        shown = matrix("MAP, CSLS", "method, training pairs", entries, names, values, printed.share)
        blocks.append(Block(titled("Every pair of languages", label), folded_tables=(shown,), sql=cells.sql))
    for label, rows in slices(pairs.rows, "variant", "vectors"):
        tables = [
            _difference_table(f"Training pairs: {sized(size)}", members)
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
    counts = (
        Column("pair", pair_name, numeric=False),
        Column("training pairs", lambda row: sized(row["dictionary_size"])),
        number("n_rows", "rows", printed.count),
        number("n_leaked", "trained on", printed.count),
        number("n_duplicate", "repeated", printed.count),
        number("n_identical", "identical words", printed.count),
        number("n_clean", "clean rows", printed.count),
    )
    means = (
        Column("method, training pairs", _entry, numeric=False),
        number("n_pairs", "pairs", printed.count),
        number("map", "all rows", printed.share),
        number("clean_map", "clean rows", printed.share),
    )
    blocks = []
    for label, rows in slices(flaws.rows, "variant", "vectors"):
        blocks.append(
            Block(
                titled(title, label),
                "Test rows that are in the training dictionary too, that repeat an earlier row, or whose two words are "
                "the same string; a row may be several.",
                folded_tables=(table("Rows by pair of languages", counts, rows),),
                sql=flaws.sql,
            )
        )
    for label, rows in slices(scores.rows, "variant", "vectors"):
        blocks.append(
            Block(
                titled("Mean MAP with and without flawed rows", label),
                "Methods that learn from more pairs may have fewer clean rows: only the two columns of a row compare.",
                tables=tuple(table(name, means, members) for name, members in grouped(rows, "retrieval").items()),
                sql=scores.sql,
            )
        )
    return blocks


def _scope_in_words(scope: str, rows: Sequence[Row]) -> str:
    if scope == "all":
        return "all pairs"
    return f"{printed.plural(rows[0]['n_pairs'], 'pair')} on which every method succeeds"


def _size_table(caption: str, rows: Sequence[Row]) -> Table:
    """Methods by dictionary size: those run on the most pairs of languages first, and among them the best; with the
    number of pairs if it is not the same for all, since means over other pairs are no comparison."""
    sizes = sorted({row["dictionary_size"] for row in rows}, key=lambda size: (size == 0, size))
    by_method = grouped(rows, "method")
    best = {name: max((row["mean_map"] or 0.0) for row in members) for name, members in by_method.items()}
    pairs = {name: max(row["n_pairs"] for row in members) for name, members in by_method.items()}
    counted = len(set(pairs.values())) > 1
    lines = []
    for name in sorted(by_method, key=lambda name: (-pairs[name], -best[name], name)):
        by_size = {row["dictionary_size"]: row for row in by_method[name]}
        of_pairs = (Cell(printed.count(pairs[name])),) if counted else ()
        lines.append((Cell(name), *of_pairs, *(_mean(by_size.get(size)) for size in sizes)))
    headings = [Heading("pairs", True)] if counted else []
    headings += [Heading(sized(size), True) for size in sizes]
    return Table(caption, (Heading("method", False), *headings), tuple(lines))


def _mean(row: Row | None) -> Cell:
    if row is None:
        return Cell("–", missing=True)
    failures = f" ({row['n_failures']})" if row["n_failures"] else ""
    if row["mean_map"] is None:
        return Cell(f"–{failures}", missing=True)
    return Cell(printed.share(row["mean_map"]) + failures)


def _difference_table(caption: str, rows: Sequence[Row]) -> Table:
    """Method by method; each comparison stands once in the mart, and here from both sides."""
    names = sorted({row[key] for row in rows for key in ("method", "other_method")})
    found = {(row["method"], row["other_method"]): row for row in rows}

    def cell(one: str, other: str) -> Cell:
        row, sign = (found[one, other], 1) if (one, other) in found else (found.get((other, one)), -1)
        if row is None or row["difference"] is None:
            return Cell("–", missing=True)
        star = "*" if row["p_value"] is not None and row["p_value"] <= SIGNIFICANT else ""
        return Cell(printed.signed(sign * row["difference"], 3) + star)

    lines = tuple((Cell(one), *(cell(one, other) for other in names)) for one in names)
    return Table(caption, (Heading("method", False), *(Heading(name, True) for name in names)), lines)


def downstream(answers: Answers, study: Study) -> Section:
    """Scores of the downstream tasks, and whether translating words well goes with them."""
    scores, links, points = answers["downstream"], answers["bli_downstream"], answers["downstream_points"]
    title = "Downstream tasks"
    if not scores.rows:
        why = study.why_no_embeddings() if not answers["bli_methods"].rows else "This study has no downstream task."
        return Section("downstream", title, (why,))
    blocks = []
    for label, rows in slices(scores.rows, "variant", "vectors"):
        tables = [_score_table(", ".join(measure), members) for measure, members in _by_measure(rows).items()]
        note = "Rows: method and its training pairs; columns: trained in the first language, tested in the second."
        blocks.append(Block(titled("Scores", label), note, tables=tuple(tables), sql=scores.sql))
    columns = (
        text("task", "task"),
        number("spearman", "Spearman", lambda value: printed.signed(value, 2)),
        number("pearson", "Pearson", lambda value: printed.signed(value, 2)),
        number("p_value", "p", printed.share),
        number("n", "points", printed.count),
    )
    drawn = grouped(points.rows, "variant")
    for label, rows in slices(links.rows, "variant"):
        by_task = grouped(drawn.get(rows[0]["variant"], []), "task")
        panels = tuple(
            Panel(task, bli_against_downstream(members, f"MAP and score in {task}"))
            for task, members in by_task.items()
        )
        blocks.append(
            Block(
                titled("Does word translation predict them?", label),
                "Each method on each pair of languages, less the pair's mean over methods. "
                "p: methods permuted as wholes.",
                panels=panels,
                tables=(table("Correlation with MAP", columns, rows),),
                folded_tables=tuple(_point_table(task, members) for task, members in by_task.items()),
                sql=links.sql,
            )
        )
    return Section("downstream", title, (), tuple(blocks))


def _by_measure(rows: Sequence[Row]) -> dict[tuple[str, ...], list[Row]]:
    """What is comparable: a task on one collection, by one classifier, in one metric."""
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        of_task = (row["task"], row["collection"]) if row["collection"] else (row["task"],)
        groups.setdefault((*of_task, row["classifier"] or "–", row["metric"]), []).append(row)
    return groups


def _score_table(caption: str, rows: Sequence[Row]) -> Table:
    entries = list(dict.fromkeys(_entry(row) for row in rows))
    names = list(dict.fromkeys(pair_name(row) for row in rows))
    values = {(_entry(row), pair_name(row)): row["score"] for row in rows}
    return matrix(caption, "method, training pairs", entries, names, values, printed.share)


def _point_table(task: str, rows: Sequence[Row]) -> Table:
    columns = (
        Column("method, training pairs", _entry, numeric=False),
        Column("pair", pair_name, numeric=False),
        number("map_residual", "MAP less mean", lambda value: printed.signed(value, 3)),
        number("score_residual", "score less mean", lambda value: printed.signed(value, 3)),
    )
    return table(f"Points of {task}", columns, rows)
