"""Adapters and checkpoints that were given: each by its name as variant, whatever it was tuned on."""

from __future__ import annotations

from pathlib import Path

import pytest

from compute.store.warehouse import Warehouse
from compute.verbs.advice import advise
from compute.verbs.comparison import contrast_rows
from compute.verbs.harms import harms
from report.page import write_report
from tests.helpers.pages import Page
from tests.marts.scored.rows import query

VARIANTS = {"default": 12.5, "mine": 14.5, "theirs": 7.0, "chat": 14.0, "scaled": 5.0}
"""Right answers of 20, mean over seeds."""


def test_two_sources_on_one_cell_are_two(warehouse: Path) -> None:
    rows = query(warehouse, "select * from marts.fct_transfer where study = 'given'")
    counts = {variant: sum(row["variant"] == variant for row in rows) for variant in VARIANTS}
    # One target of one source has not run.
    assert counts == {"default": 12, "mine": 4, "theirs": 4, "chat": 4, "scaled": 7}
    for row in rows:
        assert row["n_seeds"] == (2 if row["variant"] in ("default", "mine") else 1)
        assert row["delta_pp"] == pytest.approx(5 * (VARIANTS[row["variant"]] - 10))
        assert row["baseline_score"] == 0.5 and row["verdict"] is not None
        is_known = not {row["source_task"], row["source_language"]} & {"mul", "und"}
        assert (row["regime"] is not None) == is_known


def test_what_is_several_or_unknown_plays_no_role(warehouse: Path) -> None:
    """It is neither a donor nor missing from a grid; what was tuned beside it has its roles."""
    roles = query(warehouse, "select * from marts.rpt_roles where study = 'given' and scope = 'all'")
    assert {row["variant"] for row in roles} == {"default", "mine", "theirs"}
    assert not [row for row in roles if "mul" in row["entity"] or "und" in row["entity"]]
    assert all(row["n_cells"] == row["n_planned"] for row in roles)
    donors = {(row["variant"], row["entity"]) for row in roles if row["axis"] == "cell" and row["donor_pp"] is not None}
    own = {("default", cell) for cell in ("add/de", "add/en", "read/de")}
    assert donors == own | {("mine", "add/de"), ("theirs", "add/de")}


def test_each_is_called_as_the_study_s_file_calls_it(warehouse: Path) -> None:
    cell = "source_task || '/' || source_language"
    for mart in ("fct_scores", "fct_transfer", "fct_transfer_probability", "rpt_task_effects"):
        rows = query(
            warehouse,
            f"select distinct variant, {cell} as cell, source from marts.{mart} where study = 'given' and source != ''",
        )
        found = {(row["variant"], row["cell"]): row["source"] for row in rows}
        own = {("default", cell): cell for cell in ("add/de", "add/en", "read/de")}
        assert found == own | {
            ("mine", "add/de"): "mine", ("theirs", "add/de"): "theirs", ("chat", "mul/mul"): "chat",
            ("scaled", "add/und"): "half", ("scaled", "und/und"): "hidden",
        }, mart  # fmt: skip
    assert query(warehouse, "select * from marts.fct_transfer where study = 'given' and is_mixture") == []


def test_advice_and_harms_say_its_name(warehouse: Path, tmp_path: Path) -> None:
    told = advise(Warehouse(warehouse, 1, print), "given", ["add/en"]).text
    assert "add/de (mine)" in told and "add/de (theirs)" in told
    losses = harms(Warehouse(warehouse, 1, print), "given", 0.0, ["hidden", "add/de"]).text
    assert "one@1 hidden (scaled): " in losses and "one@1 mine: " in losses and "half" not in losses


def test_the_page_calls_it_by_its_name(warehouse: Path, tmp_path: Path) -> None:
    write_report(warehouse, "given", tmp_path / "given.html")
    page = Page((tmp_path / "given.html").read_text(encoding="utf-8"))
    assert ">half (add/und)</text>" in page.html and ">mine (add/de)</text>" in page.html
    assert {"half", "hidden", "chat", "add/de"} <= {line[0] for line in page.table_rows["cells"]}


def test_two_given_sources_are_set_against_each_other(warehouse: Path) -> None:
    rows = query(warehouse, "select * from marts.rpt_contrasts where study = 'given' and contrast = 'whose'")
    assert len(rows) == 5
    assert all(row["difference_pp"] == pytest.approx(37.5) for row in rows)
    named = query(warehouse, "select * from marts.rpt_contrasts where study = 'given' and contrast = 'by name'")
    assert [row["difference_pp"] for row in named] == [row["difference_pp"] for row in rows]
    unlike = query(warehouse, "select * from marts.rpt_contrasts where study = 'given' and contrast = 'unlike'")
    assert [row["difference_pp"] for row in unlike] == [pytest.approx(2.5)] * 5


@pytest.mark.parametrize("arms", [("mine", "theirs"), ("source=mine", "theirs"), ("variant=mine", "variant=theirs")])
def test_what_is_asked_of_names_is_answered(arms: tuple[str, str], warehouse: Path) -> None:
    rows, _ = contrast_rows(Warehouse(warehouse, 1, print), "given", *arms)
    assert [row.difference_pp for row in rows] == [pytest.approx(37.5)] * 5
