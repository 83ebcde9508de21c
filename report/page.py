"""Writes report.html: one file, no network, no script."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import jinja2
from altair.utils.schemapi import debug_mode
from markupsafe import Markup, escape

from compute.errors import UserError
from report import embedding_sections, method_sections, record_sections, transfer_sections, verdict_sections
from report.ask import Answer, Asker, open_study
from report.parts import ABSENT_HALVES, Answers, Section, Study
from report.summary import summarise

_HERE = Path(__file__).parent

QUESTIONS = (
    "study",
    "regimes",
    "cells",
    "pooled_cells",
    "roles",
    "risk",
    "advice",
    "advice_eval",
    "asymmetry",
    "consistency",
    "variance",
    "bli_methods",
    "bli_cells",
    "bli_method_pairs",
    "bli_pairs",
    "bli_flaws",
    "bli_clean",
    "downstream",
    "bli_downstream",
    "downstream_points",
    "pair_links",
    "pair_correlations",
    "jobs",
    "failed_jobs",
    "models",
    "tasks",
    "versions",
)
SECTIONS = (
    transfer_sections.regimes,
    transfer_sections.heatmaps,
    transfer_sections.roles,
    verdict_sections.risk,
    verdict_sections.advice,
    transfer_sections.asymmetry,
    verdict_sections.agreement,
    method_sections.methods,
    embedding_sections.bli,
    method_sections.downstream,
    embedding_sections.link,
    record_sections.checks,
    record_sections.jobs,
    record_sections.cards,
    record_sections.definitions,
    record_sections.provenance,
)
"""The page's order."""


def write_report(warehouse: Path, study: str, output: Path, wait: float = 60.0) -> None:
    """The page about `study`, the same bytes for the same warehouse; a locked one is waited for, `wait` seconds.

    Raises:
        UserError: no warehouse or marts, no such study, or a page that cannot be written.
    """
    with open_study(warehouse, study, wait) as asker:
        answers = _answers(asker)
    _write(output, render(answers))


def _answers(asker: Asker) -> Answers:
    """Each question asked once."""
    answers = {question: asker.ask(question) for question in QUESTIONS}
    audited = asker.has("checks.results")
    answers["checks"] = asker.ask("checks") if audited else Answer("", (), ())
    return answers


def render(answers: Answers) -> str:
    """The page as HTML; everything that comes from the warehouse is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["prose"] = prose
    study = Study.of(answers)
    # Altair would check every value of every chart's data against its schema: a quarter of a large page's time.
    with debug_mode(False):
        sections = [made for section in SECTIONS if _is_of_the_study(made := section(answers, study))]
    return environment.get_template("page.html").render(
        study=study,
        summary=summarise(answers, study),
        sections=sections,
        style=Markup((_HERE / "style.css").read_text(encoding="utf-8") + _filters(sections)),
    )


def _is_of_the_study(section: Section) -> bool:
    """Not a chapter of a half that the study never had: the summary says so once."""
    return bool(section.blocks) or section.lead not in {(words,) for words in ABSENT_HALVES}


def _filters(sections: Sequence[Section]) -> str:
    """The style rules by which a block shows only what is chosen: filters need no script."""
    most = max((len(block.choices) for section in sections for block in section.blocks), default=0)
    return "".join(
        f'.block:has(.choices input[value="{i}"]:checked) [data-choice]:not([data-choice="{i}"]) {{ display: none; }}\n'
        for i in range(most)
    )


def prose(text: str) -> Markup:
    """Escaped text in which `what stands in backquotes` is set as code."""
    pieces = text.split("`")
    return Markup("").join(
        Markup("<code>{}</code>").format(piece) if number % 2 else escape(piece) for number, piece in enumerate(pieces)
    )


def _write(output: Path, page: str) -> None:
    """Whole or not at all."""
    temporary = output.with_name(f".{output.name}.{os.getpid()}")
    try:
        try:
            temporary.write_text(page, encoding="utf-8")
            temporary.replace(output)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(f"{output}: cannot be written: {error.strerror}") from None
