"""The page over real marts: whole, self-contained, honest about what is missing, and safe with hostile names."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from xml.etree import ElementTree

import duckdb
import pytest

from compute.cli import main
from compute.errors import UserError
from report.afterword import afterword
from report.page import SECTIONS, write_report
from report.printed import signed
from report.record_sections import checks_in_words
from tests.helpers.pages import Page
from tests.helpers.reported import (
    EMBEDDINGS_ONLY,
    EVERYTHING,
    EVIL,
    EVIL_MODEL,
    EVIL_TASK,
    IMPORTED,
    NOTHING_LANDED,
    SEVERAL_WAYS,
    STUDIES,
    TRANSFER_ONLY,
)

SECTION_IDS = (
    "summary",
    "regimes",
    "cells",
    "contrasts",
    "roles",
    "risk",
    "advice",
    "predictions",
    "predictors",
    "asymmetry",
    "agreement",
    "probability",
    "items",
    "methods",
    "bli",
    "downstream",
    "link",
    "checks",
    "jobs",
    "cards",
    "definitions",
    "provenance",
)
TUNING = {
    "regimes", "cells", "roles", "risk", "advice", "asymmetry", "contrasts", "agreement", "probability", "items", "link"
}  # fmt: skip
WORDS = {"methods", "bli", "downstream", "link"}
FORETOLD = {"predictions", "predictors"}
LEFT_OUT = {
    EMBEDDINGS_ONLY: TUNING | FORETOLD, TRANSFER_ONLY: WORDS | FORETOLD, SEVERAL_WAYS: WORDS | FORETOLD,
    IMPORTED: WORDS | FORETOLD, EVIL: FORETOLD, NOTHING_LANDED: FORETOLD,
}  # fmt: skip
"""Sections of a half that a study has not, and of what nobody asked to be predicted."""

# ---- what must hold of every page ----


@pytest.mark.parametrize("study", STUDIES)
def test_nothing_is_fetched_and_nothing_runs(pages: dict[str, Page], study: str) -> None:
    page = pages[study]
    assert not {"script", "iframe", "object", "embed", "img", "base", "form"} & set(page.tags)
    for tag, name, value in page.attributes:
        assert not name.startswith("on")
        if name in ("src", "href", "xlink:href", "srcset", "action"):
            assert value.startswith(("#", "data:")), (tag, name, value)
    style = page.html[page.html.index("<style>") : page.html.index("</style>")]
    assert "url(" not in style and "@import" not in style
    assert "default-src 'none'" in page.html


@pytest.mark.parametrize("study", STUDIES)
def test_every_section_is_there_and_says_something(pages: dict[str, Page], study: str) -> None:
    page = pages[study]
    assert len(SECTIONS) + 1 == len(SECTION_IDS) + 2  # no study here has mixtures or curves
    expected = [section for section in SECTION_IDS if section not in LEFT_OUT.get(study, ())]
    assert [value for tag, name, value in page.attributes if (tag, name) == ("section", "id")] == expected
    links = [value for tag, name, value in page.attributes if (tag, name) == ("a", "href")]
    assert [link for link in links if link != "#summary"] == [f"#{one}" for one in expected[1:]]
    for section in expected:
        assert len(page.text[section].split()) > 5, section
    ids = [value for _, name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("study", STUDIES)
def test_drawings_are_well_formed_and_named(pages: dict[str, Page], study: str) -> None:
    drawings = re.findall(r"<svg .*?</svg>", pages[study].html, flags=re.DOTALL)
    assert bool(drawings) == (study != NOTHING_LANDED)
    for drawing in drawings:
        root = ElementTree.fromstring(drawing)
        assert root.get("role") == "img" and root.get("aria-label")
        assert "NaN" not in drawing and "undefined" not in drawing


@pytest.mark.parametrize("study", STUDIES)
def test_the_sql_shown_runs_as_it_stands(pages: dict[str, Page], reported: Path, study: str) -> None:
    shown = [sql for section in pages[study].sql.values() for sql in section]
    assert shown
    with duckdb.connect(str(reported), read_only=True) as connection:
        for sql in shown:
            assert connection.execute(sql).fetchall(), sql


# ---- what the pages say ----


def test_the_sql_gives_the_numbers_shown(pages: dict[str, Page], reported: Path) -> None:
    page = pages[TRANSFER_ONLY]
    with duckdb.connect(str(reported), read_only=True) as connection:

        def rows(section: str) -> list[dict[str, object]]:
            cursor = connection.execute(page.sql[section][0])
            names = [column[0] for column in cursor.description or ()]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

        regimes = rows("regimes")
        cells = {
            (f"{row['source_task']}/{row['source_language']}", f"{row['target_task']}/{row['target_language']}"): row
            for row in rows("cells")
        }
        roles = {str(row["entity"]): row for row in rows("roles")}
    told: list[dict[str, str]] = []
    for line in page.table_rows["regimes"]:
        if line[0] == "regime":
            names = line
        else:
            told.append(dict(zip(names, line, strict=True)))
    means = [(row["mean (pp)"], row["cells"]) for row in told if "mean (pp)" in row]
    assert means == [(signed(row["mean_pp"]), str(row["n_cells"])) for row in regimes]  # type: ignore[arg-type]
    shares = [(row["at the harm threshold (%)"], row["undecided (%)"]) for row in told if "undecided (%)" in row]
    assert shares == [(f"{row['harm_pct']:.1f}", f"{row['verdict_undecided_pct']:.1f}") for row in regimes]
    top, heading, *lines = page.table_rows["cells"][: 2 + len({source for source, _ in cells})]
    assert top == ["", "parity", "read"]
    names = [f"{task}/{language}" for task in top[1:] for language in ("de", "en")]
    assert heading[1:] == ["de", "en", "de", "en"]
    assert {(line[0], name): value for line in lines for name, value in zip(names, line[1:], strict=True)} == {
        key: signed(row["delta_pp"])  # type: ignore[arg-type]
        for key, row in cells.items()
    }
    donors = {row[0]: row[2] for row in page.table_rows["roles"] if row[0] in roles}
    assert donors["parity/de"] == signed(roles["parity/de"]["donor_effect_pp"])  # type: ignore[arg-type]
    assert len(donors) == len(roles)


def test_hostile_names_are_text(pages: dict[str, Page]) -> None:
    page = pages[EVIL]
    assert not {"script", "img", "b", "i"} & set(page.tags)
    assert EVIL in page.text[""]
    assert EVIL_TASK in page.text["cells"]
    assert EVIL_MODEL in page.text["cards"]
    assert f"NaN {EVIL}" in page.text["jobs"]
    assert EVIL in page.text["checks"] and "<i>" in page.text["checks"]
    assert "''x''" in page.sql["regimes"][0]


def test_the_newest_audit_is_told(pages: dict[str, Page]) -> None:
    told = f"None of 2 checks failed. 1 warning asks a person to look ({EVIL})."
    assert told in pages[EVIL].text["checks"] and told in pages[EVIL].text["summary"]
    assert "gone" not in pages[EVIL].text["checks"]
    assert "1 check ran, and all passed." in pages[TRANSFER_ONLY].text["checks"]
    assert "No audit has run" in pages[EMBEDDINGS_ONLY].text["checks"]


def test_warnings_are_not_counted_as_failed() -> None:
    failed = [{"expectation": name, "severity": "warning", "success": False} for name in "abc"]
    rows = (*failed, {"expectation": "d", "severity": "error", "success": False})
    assert checks_in_words([*rows, rows[0], rows[0]]) == (
        "1 of 6 checks failed (`d`). 5 warnings ask a person to look (`a`, `b`, `c` and 2 more)."
    )


def test_what_is_missing_is_said(pages: dict[str, Page]) -> None:
    assert "no language-model half" in pages[EMBEDDINGS_ONLY].text["summary"]
    assert "no embedding half" in pages[TRANSFER_ONLY].text["summary"]
    assert "The import brought no mapping." in pages[IMPORTED].text["summary"]
    for section in ("regimes", "cells", "roles", "asymmetry", "link"):
        assert "0 of 1 job landed" in pages[NOTHING_LANDED].text[section]
    assert "not yet computed" not in pages[TRANSFER_ONLY].text["regimes"]
    assert "no placebo" in pages[TRANSFER_ONLY].text["roles"]
    assert "no placebo" not in pages[SEVERAL_WAYS].text["summary"]
    assert "2 languages are too few" in pages[EVIL].text["link"]


def test_variants_and_prompts_stand_apart(pages: dict[str, Page]) -> None:
    text = pages[SEVERAL_WAYS].text["regimes"]
    for label in ("variant default, prompt p@1", "variant default, prompt q@1", "variant r32, prompt p@1"):
        assert f"Regimes ({label})" in text
    assert "plain (prompt q@1)" in pages[SEVERAL_WAYS].text["cells"]


def test_same_warehouse_same_bytes(reported: Path, tmp_path: Path) -> None:
    for name in ("a.html", "b.html"):
        write_report(reported, EVIL, tmp_path / name)
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


# ---- mistakes ----


def test_marts_that_are_not_built(reported_unbuilt: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="run `transfer build` first"):
        write_report(reported_unbuilt, EVIL, tmp_path / "report.html")
    assert not list(tmp_path.iterdir())


def test_marts_of_another_version(reported: Path, tmp_path: Path) -> None:
    warehouse = Path(shutil.copy(reported, tmp_path / "warehouse.duckdb"))
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute("alter table marts.rpt_bli_methods drop column n_failures")
    with pytest.raises(UserError, match=r"of another version than the report \(.*n_failures.*run `transfer build`"):
        write_report(warehouse, EVIL, tmp_path / "report.html")


def test_a_study_that_is_not_there(reported: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="unknown study 'word only'; did you mean 'words only'"):
        write_report(reported, "word only", tmp_path / "report.html")


def test_a_warehouse_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such warehouse"):
        write_report(tmp_path / "none.duckdb", EVIL, tmp_path / "report.html")
    duckdb.connect(str(tmp_path / "empty.duckdb")).close()
    with pytest.raises(UserError, match="nothing has been loaded"):
        write_report(tmp_path / "empty.duckdb", EVIL, tmp_path / "report.html")


def test_a_page_that_cannot_be_written(reported: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be written"):
        write_report(reported, TRANSFER_ONLY, tmp_path / "none" / "report.html")


# ---- afterwards ----


@pytest.mark.parametrize("study", STUDIES)
def test_the_afterword_asks_what_can_be_answered(reported: Path, study: str) -> None:
    text = afterword(reported, study)
    questions = re.findall(r"^  -- .*?;$", text, flags=re.DOTALL | re.MULTILINE)
    assert len(questions) == (1 if study == NOTHING_LANDED else 3)
    with duckdb.connect(str(reported), read_only=True) as connection:
        for question in questions:
            first = connection.execute(question).fetchone()
            assert first is not None
            assert all(str(value) in text for value in first if value is not None)


# ---- charts as figures of a paper ----


def test_every_chart_of_a_page_is_a_figure(
    pages: dict[str, Page], reported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--study", EVERYTHING, "--warehouse", str(reported), "--to", str(tmp_path)]
    assert main(["export", "figures", *arguments, "--format", "svg"]) == 0
    assert main(["export", "figures", *arguments]) == 0
    drawn = sorted(path.stem for path in tmp_path.glob("*.pdf"))
    assert drawn == sorted(path.stem for path in tmp_path.glob("*.svg"))
    assert len(drawn) == pages[EVERYTHING].html.count("<svg ")
    assert {"regime-means", "regime-verdicts", "risk-map", "variance-shares"} <= {*drawn}
    for path in tmp_path.glob("*.pdf"):
        pdf = path.read_bytes()
        assert 0 < pdf.count(b"/FontDescriptor\n") == pdf.count(b"/FontFile2 "), path
    captions = (tmp_path / "captions.tex").read_text()
    assert sorted(re.findall(r"\\includegraphics\[.*?\]\{(.*?)\}", captions)) == drawn
    assert "Points: mean over all models with its 95 \\% interval" in captions
    assert f"{len(drawn)} charts of {EVERYTHING} exported" in capsys.readouterr().err
    assert main(["export", "figures", *arguments, "--format", "jpg"]) == 2
    assert "unknown format 'jpg'; did you mean 'png'?" in capsys.readouterr().err
