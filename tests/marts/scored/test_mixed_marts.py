"""Mixtures and adapters on the way, in the marts as dbt builds them, in the verbs and on the page."""

from __future__ import annotations

from pathlib import Path

import pytest

from compute.errors import UserError
from compute.store.warehouse import Warehouse
from compute.verbs.advice import advise
from compute.verbs.comparison import compare
from compute.verbs.harms import harms
from report.page import write_report
from report.paper.marts import paper_tables
from tests.marts.scored.rows import query

SOURCES = {"add/de", "add/en", "add/fi", "mix", "wide"}


def rows(warehouse: Path, mart: str, where: str = "true") -> list[dict[str, object]]:
    return query(warehouse, f"select * from marts.{mart} where study = 'mixed' and {where}")


def test_marts_hold_the_whole_training_of_every_source(warehouse: Path) -> None:
    cells = rows(warehouse, "fct_transfer")
    assert len(cells) == len(SOURCES) * 8 and {cell["source"] for cell in cells} == SOURCES
    assert {cell["n_seeds"] for cell in cells} == {2}
    scores = rows(warehouse, "fct_scores", "source is not null and metric = 'acc'")
    assert len(scores) == len(cells) * 2
    of_mix = {(c["target_task"], c["target_language"]): c["regime"] for c in cells if c["source"] == "mix"}
    assert of_mix["add", "de"] == of_mix["add", "en"] == "MT-ML" and of_mix["add", "fi"] == "MT-CL"
    assert of_mix["sort", "de"] == "CT-ML" and of_mix["sort", "fi"] == "CT-CL"
    (pooled,) = rows(warehouse, "rpt_regimes", "scope = 'all' and regime = 'transfer'")
    assert pooled["n_cells"] == 3 * 7
    donors = {row["entity"] for row in rows(warehouse, "rpt_roles", "axis = 'cell' and donor_pp is not null")}
    assert donors == {"add/de", "add/en", "add/fi"}
    assert {row["source"] for row in rows(warehouse, "rpt_task_effects")} == SOURCES


def test_a_contrast_names_a_mixture(warehouse: Path) -> None:
    found = rows(warehouse, "rpt_contrasts", "target_task is null and not is_trained_cell")
    assert [(row["arm_a"], row["arm_b"], row["n_targets"]) for row in found] == [("source mix", "source add/de", 6)]
    told = compare(Warehouse(warehouse, 1, print), "mixed", "mix", "wide")
    assert "source mix less source wide" in told


def test_a_stop_is_advised_and_harms_name_the_mixture(warehouse: Path) -> None:
    stops = rows(warehouse, "rpt_stops")
    assert {row["source"] for row in stops} == SOURCES
    assert sum(row["stop_fraction"] == 0.5 for row in stops) >= 3
    text = advise(Warehouse(warehouse, 1, print), "mixed", ["add/fr"]).text
    assert "where to stop training: 90 % of the gain on its own task kept" in text
    (line,) = (line for line in text.splitlines() if line.startswith("  add/de, one@1: "))
    assert "stop at 50 %: keeps " in line and "pp off its task (" in line
    with_harms = harms(Warehouse(warehouse, 1, print), "mixed", 5.0).text
    assert "one@1 mix: loses on " in with_harms and "one@1 wide: loses on " in with_harms
    with pytest.raises(UserError, match="unknown source 'wied'; did you mean 'wide'"):
        harms(Warehouse(warehouse, 1, print), "mixed", 5.0, ["wied"])
    own = harms(Warehouse(warehouse, 1, print), "mixed", 0.0, ["wide"]).text
    assert "add/fi (own cell)" not in own  # it gains there


def test_the_page_has_a_chapter_of_each(warehouse: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    write_report(warehouse, "mixed", page)
    text = page.read_text(encoding="utf-8")
    for words in ("Mixtures of sources", "Tuned on add/de + add/en at once", "when to stop training", "Where to stop",
                  "Gain on the task", "Change off the task"):  # fmt: skip
        assert words in text, words
    write_report(warehouse, "grid", page)
    text = page.read_text(encoding="utf-8")
    assert "Mixtures of sources" not in text and "when to stop training" not in text


def test_the_papers_grid_has_a_line_for_each_mixture(warehouse: Path) -> None:
    with Warehouse(warehouse, 1, print).connect(read_only=True) as connection:
        tables, _ = paper_tables(connection, "fct_transfer", "mixed")
        assert [{line[0] for line in table.body} for table in tables] == [SOURCES], [t.caption for t in tables]
        for mart in ("rpt_mixtures", "fct_curves", "rpt_stops"):
            assert paper_tables(connection, mart, "mixed")[0]
