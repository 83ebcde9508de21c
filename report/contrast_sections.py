"""Declared contrasts, a finer outcome, and the items behind the cells."""

from __future__ import annotations

from collections.abc import Sequence

from report import printed
from report.layouts import LISTINGS
from report.parts import Answers, Block, Section, Study, grouped
from report.tables import ABSENT, PrintedColumn, Row, number, slices, table, text, titled
from report.terms import SIGNIFICANT

_LONGEST = 240
"""Letters of an item's text that are shown."""


def contrasts(answers: Answers, study: Study) -> Section:
    """Two arms on the same items, as the study declares them."""
    answer = answers["contrasts"]
    title = "Contrasts"
    if not answers["cells"].rows:
        return Section("contrasts", title, (study.why_no_transfer(),))
    if not answer.rows:
        why = (
            "This study declares no contrasts: two variants, prompts, sources or models, or tuning against its placebo."
        )
        return Section("contrasts", title, (f"{why} `transfer compare` sets any two against each other.",))
    layout = LISTINGS["rpt_contrasts"]
    blocks = []
    for name, rows in grouped(answer.rows, "contrast").items():
        pooled = [row for row in rows if row["target_task"] is None]
        blocks.append(
            Block(
                name,
                f"{rows[0]['arm_a']} against {rows[0]['arm_b']}.",
                tables=(layout.table("All targets", pooled or rows),),
                folded_tables=(layout.table("Each target", [r for r in rows if r["target_task"] is not None]),)
                if pooled
                else (),
                sql=answer.sql,
            )
        )
    lead = (
        "Two arms on the same targets, paired item by item: the first less the second. Where base models answer alike "
        "in both, that is the difference after tuning. Verdicts are of the first arm: gain, it is better; harm, it is "
        f"worse; q is over a contrast's targets (false discovery rate, {SIGNIFICANT:g}).",
    )
    return Section("contrasts", title, lead, tuple(blocks))


def probability(answers: Answers, study: Study) -> Section:
    """What the probability of the right choice says beside accuracy."""
    counts, cells = answers["probability"], answers["at_odds"]
    title = "A finer outcome: the right choice's probability"
    if not counts.rows:
        return Section("probability", title, (study.why_no_transfer(),))
    blocks = []
    for label, rows in slices(counts.rows, "variant"):
        at_odds = [row for row in cells.rows if row["variant"] == rows[0]["variant"]]
        folded = (LISTINGS["fct_transfer_probability"].table("Cells at odds", at_odds),) if at_odds else ()
        blocks.append(
            Block(
                titled("Beside accuracy", label),
                _in_words(rows),
                tables=(LISTINGS["rpt_probability"].table("Cells by regime", rows),),
                folded_tables=folded,
                sql=counts.sql,
            )
        )
    lead = (
        "Exploratory: claims of harm and gain rest on accuracy. A change of an answer's probability shows before the "
        "answer flips, and so more cells stand out. But it measures confidence: a sharper model gains where it was "
        "right and loses where it was wrong, without knowing more.",
    )
    return Section("probability", title, lead, tuple(blocks))


def _in_words(rows: Sequence[Row]) -> str:
    n, by_accuracy, by_probability, less, more = (
        sum(row[key] for row in rows)
        for key in ("n_cells", "n_by_accuracy", "n_by_probability", "n_gain_less_probable", "n_loss_more_probable")
    )
    return (
        f"Of {printed.plural(n, 'cell')}, {by_accuracy:,} stand out by accuracy (q ≤ {SIGNIFICANT:g}) and "
        f"{by_probability:,} by probability. {less:,} gain accuracy while the right choice becomes less probable, "
        f"{more:,} the other way around."
    )


def items(answers: Answers, study: Study) -> Section:
    """Items that most adapters lose or gain."""
    answer = answers["items"]
    title = "Which items break"
    if not answer.rows:
        return Section("items", title, (study.why_no_transfer(),))
    blocks = []
    for label, rows in slices(answer.rows, "variant", "prompt"):
        for what, was, could, did, share, q_value, place in (
            ("lose", "lost", "n_could_lose", "n_losing", "loss_pct", "q_lost", "lost_place"),
            ("gain", "gained", "n_could_gain", "n_gaining", "gain_pct", "q_gained", "gained_place"),
        ):
            found = sorted((row for row in rows if row[place] <= 10 and row[could]), key=lambda row: row[place])
            shown = sum(row[q_value] <= SIGNIFICANT for row in found)
            columns = (
                text("target_task", "task"),
                text("item"),
                PrintedColumn("text", ("context", "answer", "language"), _text, numeric=False),
                number("n_languages", "languages"),
                number(could, f"adapters that could {what} it"),
                number(did, "did"),
                number(share, "of the answers"),
                number(q_value, "q"),
            )
            told = f"{shown:,} of these are shown to be so" if shown else "None is shown to be so"
            blocks.append(
                Block(
                    titled(f"Most often {was}", label),
                    f"The ten items that the largest number of adapters {what}, over all their languages. {told}: "
                    f"q ≤ {SIGNIFICANT:g} that more than half of the adapters do.",
                    tables=(table(f"Items most often {was}", columns, found),),
                    sql=answer.sql,
                )
            )
    lead = (
        "An item here is a question with its translations; an adapter loses it where more than half of the answers "
        "that its base model had right, over seeds and languages, are wrong after tuning. The text is of one language.",
    )
    return Section("items", title, lead, tuple(blocks))


def _text(row: Row) -> str | None:
    """The question in one language, and its right answer."""
    if row["answer"] is None:
        return None
    asked = " ".join((row["context"] or "").split())
    shown = asked if len(asked) <= _LONGEST else f"… {asked[-_LONGEST:]}"
    return f"{shown or ABSENT} → {row['answer']} ({row['language']})"
