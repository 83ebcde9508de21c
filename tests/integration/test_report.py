"""The page over real marts: whole, self-contained, honest about what is missing, and safe with hostile names."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import duckdb
import pytest

from compute.errors import UserError
from compute.warehouse import CHECK_RESULTS
from report.afterword import afterword
from report.numbers import signed
from report.page import SECTIONS, write_report
from tests.warehouse_fixture import Cell, RawRows

ROOT = Path(__file__).parents[2]
EVIL = "<script>alert('x')</script>"
EVIL_MODEL = "<img src=http://evil.example/x onerror=alert(1)>@1"
EVIL_TASK = "</svg><b>task"
TRANSFER_ONLY, EMBEDDINGS_ONLY, NOTHING_LANDED, SEVERAL_WAYS = "transfer only", "words only", "nothing", "several ways"
STUDIES = (EVIL, TRANSFER_ONLY, EMBEDDINGS_ONLY, NOTHING_LANDED, SEVERAL_WAYS)
MODELS_IN_FILE = {"models": [{"name": "m"}], "sources": {"tasks": ["t"]}}
SECTION_IDS = (
    "summary",
    "regimes",
    "cells",
    "roles",
    "asymmetry",
    "bli",
    "link",
    "checks",
    "jobs",
    "cards",
    "definitions",
    "provenance",
)
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
CHROMIUM_FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--enable-logging=stderr",
]  # fmt: skip


# ---- the warehouse ----


def _transfer(raw: RawRows, study: str, model: str, tasks: tuple[str, str], placebo: bool = True, **keys: str) -> None:
    """Two sources, four targets; the source's own task gains, the other loses, a placebo changes nothing."""
    targets: list[Cell] = [(task, language) for task in tasks for language in ("de", "en")]
    for position, target in enumerate(targets):
        right = [i < 10 + position for i in range(20)]
        common = {"model": model, "target": target, "parallel_ids": [f"p{i}" for i in range(20)]}
        raw.scores(study, correct=right, **common, **keys)  # type: ignore[arg-type]
        for source in targets[:2]:
            gain = 8 if source == target else 3 if source[0] == target[0] else -4
            tuned = [i < 10 + position + gain for i in range(20)]
            raw.scores(study, source=source, seed=1, correct=tuned, **common, **keys)  # type: ignore[arg-type]
            if placebo:
                raw.scores(study, source=source, seed=1, control="placebo", correct=right, **common, **keys)  # type: ignore[arg-type]


def _embeddings(raw: RawRows, study: str, languages: tuple[str, ...]) -> None:
    pairs = [(source, target) for source in languages for target in languages if source != target]
    for number, (source, target) in enumerate(pairs):
        keys = {
            "method": "PROC", "variant": "default", "vectors": "tiny@1", "source_language": source,
            "target_language": target, "dictionary_size": 100, "seed": 0,
        }  # fmt: skip
        key = raw.job(study, "bli", **keys)
        for retrieval in ("cosine", "csls"):
            for row, rank in enumerate([1, 2 + number, 7]):
                raw.add(
                    "bli_ranks", job_key=key, **keys, retrieval=retrieval, pair_number=row, concept_id=f"c{row}",
                    query=f"q{row}", gold=f"g{row}", rank=rank, is_leaked=False, is_duplicate=False,
                    is_identical=False,
                )  # fmt: skip


def _raw() -> RawRows:
    raw = RawRows()
    raw.study(EVIL, description=EVIL, embeddings={"languages": []}, **MODELS_IN_FILE)
    raw.study(TRANSFER_ONLY, **MODELS_IN_FILE)
    raw.study(EMBEDDINGS_ONLY, embeddings={"languages": []})
    raw.study(NOTHING_LANDED, embeddings={"languages": []}, **MODELS_IN_FILE)
    raw.study(SEVERAL_WAYS, **MODELS_IN_FILE)
    for task in ("parity", EVIL_TASK):
        raw.task(task)
    for model in (EVIL_MODEL, "plain@1"):
        raw.model(model, "<family>")
        _transfer(raw, EVIL, model, ("parity", EVIL_TASK))
    _transfer(raw, TRANSFER_ONLY, "plain@1", ("parity", "read"), placebo=False)
    for variant, prompt in (("default", "p@1"), ("default", "q@1"), ("r32", "p@1")):
        _transfer(raw, SEVERAL_WAYS, "plain@1", ("parity", "read"), variant=variant, prompt=prompt)
    _embeddings(raw, EVIL, ("de", "en"))
    _embeddings(raw, EMBEDDINGS_ONLY, ("de", "en", "fi", "nl"))
    raw.job(NOTHING_LANDED, "baseline", ran=False, model="plain@1")
    key = raw.job(EVIL, "transfer", ran=False, broken=True)
    raw.add("jobs", job_key=key, plugin="transfer", state="failed", attempts=2, error=f"NaN {EVIL}",
            versions={"torch": "2.13"})  # fmt: skip
    return raw


@pytest.fixture(scope="module")
def unbuilt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _raw().write(tmp_path_factory.mktemp("raw") / "warehouse.duckdb")


@pytest.fixture(scope="module")
def warehouse(unbuilt: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built")
    path = Path(shutil.copy(unbuilt, folder / "warehouse.duckdb"))
    command = [str(Path(sys.executable).with_name("dbt")), "run", "--quiet"]
    done = subprocess.run(
        [*command, "--target-path", str(folder / "target"), "--log-path", str(folder / "logs")],
        cwd=ROOT, env=os.environ | {"WAREHOUSE": str(path)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    with duckdb.connect(str(path)) as connection:
        connection.execute("create schema if not exists checks")
        connection.execute(CHECK_RESULTS)
        rows = [
            (EVIL, "old", "scores", "grid", "error", False, "gone", "{}", "2026-01-01"),
            (EVIL, "new", "scores", "grid", "error", True, "fine", "{}", "2026-01-02"),
            (EVIL, "new", "scores", EVIL, "warning", False, EVIL, '{"description": "<i>"}', "2026-01-02"),
            (TRANSFER_ONLY, "new", "scores", "grid", "error", True, "fine", "{}", "2026-01-02"),
        ]
        connection.executemany("insert into checks.results values (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
    return path


# ---- reading a page ----


class Page(HTMLParser):
    """What a browser would make of the page."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.html = html
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.sql: dict[str, list[str]] = {}
        self.table_rows: dict[str, list[list[str]]] = {}
        self.text: dict[str, str] = {"": ""}
        self._section, self._in_sql, self._pre, self._cell = "", False, False, False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in given.items()]
        if tag == "section":
            self._section = given["id"]
            self.text[self._section] = ""
        elif tag == "details":
            self._in_sql = given.get("class") == "sql"
        elif tag == "pre":
            self._pre = True
            if self._in_sql:
                self.sql.setdefault(self._section, []).append("")
        elif tag == "tr":
            self.table_rows.setdefault(self._section, []).append([])
        elif tag in ("td", "th"):
            self._cell = True
            self.table_rows[self._section][-1].append("")

    def handle_endtag(self, tag: str) -> None:
        self._pre = self._pre and tag != "pre"
        self._cell = self._cell and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        self.text[self._section] += data
        if self._pre and self._in_sql:
            self.sql[self._section][-1] += data
        if self._cell:
            self.table_rows[self._section][-1][-1] += data


@pytest.fixture(scope="module")
def pages(warehouse: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Page]:
    folder = tmp_path_factory.mktemp("pages")
    found = {}
    for number, study in enumerate(STUDIES):
        write_report(warehouse, study, folder / f"{number}.html")
        found[study] = Page((folder / f"{number}.html").read_text(encoding="utf-8"))
    return found


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
    assert len(SECTIONS) + 1 == len(SECTION_IDS)
    assert [value for tag, name, value in page.attributes if (tag, name) == ("section", "id")] == list(SECTION_IDS)
    links = [value for tag, name, value in page.attributes if (tag, name) == ("a", "href")]
    assert [link for link in links if link != "#summary"] == [f"#{one}" for one in SECTION_IDS[1:]]
    for section in SECTION_IDS:
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
def test_the_sql_shown_runs_as_it_stands(pages: dict[str, Page], warehouse: Path, study: str) -> None:
    shown = [sql for section in pages[study].sql.values() for sql in section]
    assert shown
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        for sql in shown:
            assert connection.execute(sql).fetchall(), sql


# ---- what the pages say ----


def test_the_sql_gives_the_numbers_shown(pages: dict[str, Page], warehouse: Path) -> None:
    page = pages[TRANSFER_ONLY]
    with duckdb.connect(str(warehouse), read_only=True) as connection:

        def rows(section: str) -> list[dict[str, object]]:
            cursor = connection.execute(page.sql[section][0])
            names = [column[0] for column in cursor.description or ()]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

        regimes = [(row["mean_pp"], row["n_cells"]) for row in rows("regimes")]
        cells = {
            (f"{row['source_task']}/{row['source_language']}", f"{row['target_task']}/{row['target_language']}"): row
            for row in rows("cells")
        }
        roles = {str(row["entity"]): row for row in rows("roles")}
    printed = [row for row in page.table_rows["regimes"] if row[0] != "regime"]
    assert [(row[2], row[1]) for row in printed] == [(signed(mean), str(n)) for mean, n in regimes]  # type: ignore[arg-type]
    heading, *lines = page.table_rows["cells"]
    assert {(line[0], name): value for line in lines for name, value in zip(heading[1:], line[1:], strict=True)} == {
        key: signed(row["delta_pp"])  # type: ignore[arg-type]
        for key, row in cells.items()
    }
    donors = {row[0]: row[2] for row in page.table_rows["roles"] if row[0] in roles}
    assert donors["parity/de"] == signed(roles["parity/de"]["donor_pp"])  # type: ignore[arg-type]
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
    assert "1 of 2 checks failed: 0 errors, 1 warning." in pages[EVIL].text["checks"]
    assert "gone" not in pages[EVIL].text["checks"]
    assert "All 1 checks passed." in pages[TRANSFER_ONLY].text["checks"]
    assert "No audit has run" in pages[EMBEDDINGS_ONLY].text["checks"]


def test_what_is_missing_is_said(pages: dict[str, Page]) -> None:
    for section in ("regimes", "cells", "roles", "asymmetry", "link"):
        assert "no language-model half" in pages[EMBEDDINGS_ONLY].text[section]
        assert "0 of 1 job landed" in pages[NOTHING_LANDED].text[section]
    assert "no embedding half" in pages[TRANSFER_ONLY].text["bli"]
    assert "no embedding half" in pages[TRANSFER_ONLY].text["link"]
    assert "not yet computed" not in pages[TRANSFER_ONLY].text["regimes"]
    assert "no placebo" in pages[TRANSFER_ONLY].text["roles"]
    assert "no placebo" not in pages[SEVERAL_WAYS].text["summary"]
    assert "2 languages are too few" in pages[EVIL].text["link"]


def test_variants_and_prompts_stand_apart(pages: dict[str, Page]) -> None:
    text = pages[SEVERAL_WAYS].text["regimes"]
    for label in ("variant default, prompt p@1", "variant default, prompt q@1", "variant r32, prompt p@1"):
        assert f"Regimes ({label})" in text
    assert "plain (prompt q@1)" in pages[SEVERAL_WAYS].text["cells"]


def test_same_warehouse_same_bytes(warehouse: Path, tmp_path: Path) -> None:
    for name in ("a.html", "b.html"):
        write_report(warehouse, EVIL, tmp_path / name)
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


# ---- mistakes ----


def test_marts_that_are_not_built(unbuilt: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="run `make build` first"):
        write_report(unbuilt, EVIL, tmp_path / "report.html")
    assert not list(tmp_path.iterdir())


def test_a_study_that_is_not_there(warehouse: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="unknown study 'word only'; did you mean 'words only'"):
        write_report(warehouse, "word only", tmp_path / "report.html")


def test_a_warehouse_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such warehouse"):
        write_report(tmp_path / "none.duckdb", EVIL, tmp_path / "report.html")
    duckdb.connect(str(tmp_path / "empty.duckdb")).close()
    with pytest.raises(UserError, match="nothing has been loaded"):
        write_report(tmp_path / "empty.duckdb", EVIL, tmp_path / "report.html")


def test_a_page_that_cannot_be_written(warehouse: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be written"):
        write_report(warehouse, TRANSFER_ONLY, tmp_path / "none" / "report.html")


# ---- afterwards ----


@pytest.mark.parametrize("study", STUDIES)
def test_the_afterword_asks_what_can_be_answered(warehouse: Path, study: str) -> None:
    text = afterword(warehouse, study)
    questions = re.findall(r"^  -- .*?;$", text, flags=re.DOTALL | re.MULTILINE)
    assert len(questions) == (1 if study == NOTHING_LANDED else 3)
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        for question in questions:
            first = connection.execute(question).fetchone()
            assert first is not None
            assert all(str(value) in text for value in first if value is not None)


# ---- a real browser ----


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
@pytest.mark.parametrize("width", [1280, 500])
def test_a_browser_shows_it_without_complaint(warehouse: Path, tmp_path: Path, width: int) -> None:
    page, picture = tmp_path / "report.html", tmp_path / "page.png"
    write_report(warehouse, EVIL, page)
    command = [
        str(CHROMIUM), *CHROMIUM_FLAGS, f"--user-data-dir={tmp_path / 'profile'}", f"--screenshot={picture}",
        f"--window-size={width},4000", page.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert picture.exists(), done.stderr
    assert picture.stat().st_size > 20_000
    assert [line for line in done.stderr.splitlines() if "CONSOLE" in line] == []
