"""Writes report.html: one file, no network, no script."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import jinja2
from altair.utils.schemapi import debug_mode
from markupsafe import Markup, escape

from compute.errors import writing
from compute.store.database import Place
from report import (
    contrast_sections,
    embedding_sections,
    method_sections,
    mixture_sections,
    prediction_sections,
    record_sections,
    transfer_sections,
    verdict_sections,
)
from report.ask import Answer, Asker, open_study
from report.parts import ABSENT_HALVES, NOT_ASKED, Answers, Block, Section, Study
from report.summary import summarise
from report.tables import Missing, Table

_HERE = Path(__file__).parent

MOST_ROWS = 1000
"""Rows of a table that are printed."""

QUESTIONS = (
    "study",
    "items",
    "bli_cells",
    "bli_pairs",
    "downstream_points",
    "jobs",
    "failed_jobs",
    "models",
    "tasks",
    "versions",
)
"""Asked by a file under `sql/`."""
_OF_GRID = "not is_mixture"
"""Mixtures have a chapter of their own."""
MARTS = {
    "regimes": ("rpt_regimes", ""),
    "cells": ("fct_transfer", f"control is null and {_OF_GRID}"),
    "effects": ("rpt_source_effects", ""),
    "tasks_of_grid": ("rpt_task_effects", _OF_GRID),
    "baselines": ("rpt_baselines", ""),
    "contrasts": ("rpt_contrasts", ""),
    "mixtures": ("rpt_mixtures", ""),
    "curves": ("fct_curves", "control is null"),
    "stops": ("rpt_stops", ""),
    "probability": ("rpt_probability", ""),
    "at_odds": ("fct_transfer_probability", "control is null and is_at_odds"),
    "roles": ("rpt_roles", "scope = 'all'"),
    "risks": ("rpt_source_risks", ""),
    "advice": ("rpt_advice", "rank <= 3"),
    "coverage": ("rpt_advice_coverage", ""),
    "worth": ("rpt_advice_worth", ""),
    "asymmetry": ("rpt_asymmetry", ""),
    "agreement": ("rpt_agreement", ""),
    "predictions": ("rpt_predictions", ""),
    "prediction_fits": ("rpt_prediction_fits", ""),
    "predictors": ("rpt_predictors", ""),
    "consistency": ("rpt_consistency", "kendall_tau_b is not null"),
    "variance": ("rpt_variance", "share is not null"),
    "bli_methods": ("rpt_bli_methods", ""),
    "bli_method_pairs": ("rpt_bli_method_pairs", "retrieval = 'csls'"),
    "bli_clean": ("rpt_bli_clean", ""),
    "bli_flaws": ("rpt_bli_flaws", ""),
    "downstream": ("fct_downstream", "score is not null"),
    "bli_downstream": ("rpt_bli_downstream", ""),
    "pair_links": (
        "rpt_language_pairs",
        "bli_map is not null and transfer_pp is not null and source_language != target_language",
    ),
    "pair_correlations": ("rpt_pair_correlations", ""),
}
"""Question -> a mart, and which of its rows; shown as its layout says."""
SECTIONS = (
    transfer_sections.regimes,
    transfer_sections.heatmaps,
    contrast_sections.contrasts,
    mixture_sections.mixtures,
    mixture_sections.curves,
    transfer_sections.roles,
    verdict_sections.risk,
    verdict_sections.advice,
    prediction_sections.predictions,
    prediction_sections.predictors,
    transfer_sections.asymmetry,
    verdict_sections.agreement,
    contrast_sections.probability,
    contrast_sections.items,
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


def write_report(warehouse: Place, study: str, output: Path, wait: float = 60.0) -> None:
    """The page about `study`, the same bytes for the same warehouse; a locked one is waited for, `wait` seconds.

    Raises:
        UserError: no warehouse or marts, no such study, or a page that cannot be written.
    """
    _write(output, render(ask_all(warehouse, study, wait)))


def ask_all(warehouse: Place, study: str, wait: float = 60.0) -> Answers:
    """Return the answer to every question of the page, each asked once. Raises UserError as `write_report`."""
    with open_study(warehouse, study, wait) as asker:
        return _answers(asker)


def _answers(asker: Asker) -> Answers:
    answers = {question: asker.ask(question) for question in QUESTIONS}
    answers |= {question: asker.show(mart, where) for question, (mart, where) in MARTS.items()}
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
    environment.tests["absent"] = lambda cell: isinstance(cell, Missing)
    study = Study.of(answers)
    sections = sections_of(answers, study)
    sections = [replace(section, blocks=tuple(map(_cut, section.blocks))) for section in sections]
    return environment.get_template("page.html").render(
        study=study,
        summary=summarise(answers, study),
        sections=sections,
        style=Markup((_HERE / "style.css").read_text(encoding="utf-8") + _filters(sections)),
    )


def sections_of(answers: Answers, study: Study) -> list[Section]:
    """Return the page's chapters, but for those of a half that the study never had."""
    # Altair would check every value of every chart's data against its schema: a quarter of a large page's time.
    with debug_mode(False):
        return [made for section in SECTIONS if _is_of_the_study(made := section(answers, study))]


def _cut(block: Block) -> Block:
    """Tables with the rows that a page can bear; the block's SQL gives all."""
    return replace(
        block, tables=tuple(map(_first_rows, block.tables)), folded_tables=tuple(map(_first_rows, block.folded_tables))
    )


def _first_rows(table: Table) -> Table:
    n = len(table.body)
    if n <= MOST_ROWS:
        return table
    return replace(table, caption=f"{table.caption} (the first {MOST_ROWS:,} of {n:,})", body=table.body[:MOST_ROWS])


def _is_of_the_study(section: Section) -> bool:
    """Not a chapter of a half that the study never had: the summary says so once. Nor one that it does not ask for."""
    return bool(section.blocks) or section.lead not in {(words,) for words in (*ABSENT_HALVES, *NOT_ASKED)}


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
    with writing(output):
        try:
            temporary.write_text(page, encoding="utf-8")
            temporary.replace(output)
        finally:
            temporary.unlink(missing_ok=True)
