"""The last words of `transfer run`: where the answers are, and three questions in SQL with what they answer."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

from compute.project import REPORT
from compute.store.database import Place
from report.ask import Answer, Asker, open_study

PREFERRED = (
    "ask_donors",
    "ask_harms",
    "ask_pairs",
    "ask_regimes",
    "ask_methods",
    "ask_hard_pairs",
    "ask_jobs",
)
"""Questions, the most telling first; the first three that the study has an answer to are asked."""
ASKED = 3


def afterword(warehouse: Place, study: str) -> str:
    """The text. Raises UserError as `open_study` does."""
    with open_study(warehouse, study) as asker:
        answers = _telling(asker)
    parts = [
        f"Answers of study {study}:",
        f"  {REPORT}: the page" if REPORT.exists() else f"  {REPORT}: not written; `transfer report`",
        f"  {warehouse}: the warehouse; `transfer sql` opens a shell on it, tables are in schema marts",
        "",
        "Three questions to paste into `transfer sql`:" if len(answers) == ASKED else "Questions for `transfer sql`:",
    ]
    for answer in answers:
        parts += ["", textwrap.indent(answer.sql, "  "), "", textwrap.indent(plain_table(answer), "    ")]
    return "\n".join(parts)


def _telling(asker: Asker) -> list[Answer]:
    answers: list[Answer] = []
    for question in PREFERRED:
        answer = asker.ask(question)
        if answer.rows:
            answers.append(answer)
        if len(answers) == ASKED:
            break
    return answers


def plain_table(answer: Answer) -> str:
    """The rows in aligned columns, under their names."""
    lines = [list(answer.columns), *([_plain(value) for value in row.values()] for row in answer.rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(answer.columns))]
    return "\n".join(_aligned(line, widths) for line in lines)


def _plain(value: object) -> str:
    return "" if value is None else str(value)


def _aligned(line: Iterable[str], widths: Iterable[int]) -> str:
    return "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
