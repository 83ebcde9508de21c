"""The page over real marts: whole, self-contained, honest about what is missing, and safe with hostile names."""

from __future__ import annotations

import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import duckdb
import pytest

from compute.cli import main
from compute.errors import UserError
from report import charts, printed
from report import page as page_module
from report.afterword import afterword
from report.page import SECTIONS, write_report
from report.parts import NOT_ASKED
from report.printed import signed
from report.record_sections import checks_in_words
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
LEFT_OUT = {EMBEDDINGS_ONLY: TUNING, TRANSFER_ONLY: WORDS, SEVERAL_WAYS: WORDS, IMPORTED: WORDS}
"""Sections of a half that a study has not."""

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
def pages(reported: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Page]:
    folder = tmp_path_factory.mktemp("pages")
    found = {}
    for number, study in enumerate(STUDIES):
        write_report(reported, study, folder / f"{number}.html")
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
    assert len(SECTIONS) + 1 == len(SECTION_IDS) + len(NOT_ASKED)  # no study here has mixtures or curves
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


def test_verdicts_are_told(pages: dict[str, Page], reported: Path) -> None:
    page = pages[EVERYTHING]
    with duckdb.connect(str(reported), read_only=True) as connection:
        best = connection.execute(
            "select source_task || '/' || source_language, expected_gain_pp from marts.rpt_advice"
            " where study = ? and target_task = 'read' and target_language = 'fi' and rank = 1",
            [EVERYTHING],
        ).fetchone()
    assert best is not None
    line = next(row for row in page.table_rows["advice"] if row[0] == "read/fi")
    assert line[1:3] == [best[0], signed(best[1])]
    assert "what the first pick falls short" in page.text["summary"]
    assert "more alike than chance" in page.text["agreement"] and "model × source" in page.text["agreement"]
    assert "that takes two models" in pages[TRANSFER_ONLY].text["advice"]
    assert "agreement takes two models" in pages[TRANSFER_ONLY].text["agreement"]


def _one(reported: Path, sql: str, study: str) -> tuple[object, ...]:
    with duckdb.connect(str(reported), read_only=True) as connection:
        row = connection.execute(sql, [study]).fetchone()
    assert row is not None
    return row


def test_what_is_undecided_is_pale_and_what_is_decided_bold(pages: dict[str, Page], reported: Path) -> None:
    (drawing,) = re.findall(
        r'<svg role="img" aria-label="Mean change by source.*?</svg>', pages[EVERYTHING].html, re.DOTALL
    )
    decided, undecided = _one(
        reported,
        "select count_if(verdict != 'undecided'), count_if(verdict = 'undecided') from marts.rpt_source_effects"
        " where study = ?",
        EVERYTHING,
    )
    assert decided and undecided
    assert drawing.count('fill-opacity="0.3"') == undecided
    assert drawing.count('font-weight="bold"') == decided


def test_the_page_leads_with_regimes_and_says_what_is_shown(pages: dict[str, Page], reported: Path) -> None:
    page = pages[EVERYTHING]
    assert re.findall(r"<dt>(..-..) ", page.html) == ["MT-CL", "CT-ML", "CT-CL", "MT-ML"]
    harmed, noise, shown = _one(
        reported,
        "select harm_pct, null_harm_pct, verdict_harm_pct from marts.rpt_regimes"
        " where study = ? and scope = 'all' and regime = 'transfer'",
        EVERYTHING,
    )
    told = f"Harms: {harmed:.0f} % of 90 transfer cells reach the threshold (a loss of at least 1 pp); "
    told += f"noise alone would make it {noise:.0f} %; harm is shown for {shown:.0f} %."
    assert told in page.text["summary"]
    head = page.table_rows["regimes"][0]
    assert head[4:8] == ["gain (%)", "none (%)", "undecided (%)", "harm (%)"]
    assert "no errors" not in page.text["regimes"]


def test_the_best_and_the_worst_carry_interval_and_shrunk_value(pages: dict[str, Page], reported: Path) -> None:
    effect, low, high, shrunk = _one(
        reported,
        "select donor_effect_pp, donor_effect_low, donor_effect_high, donor_effect_shrunk_pp from marts.rpt_roles"
        " where study = ? and scope = 'all' and axis = 'cell' and within is null and donor_rank = 1",
        EVERYTHING,
    )
    donor = f"{signed(effect)} pp on an average target (95 % interval of this grid {printed.interval(low, high)}; "  # type: ignore[arg-type]
    assert f"{donor}shrunk {signed(shrunk)}; no placebo)" in pages[EVERYTHING].text["summary"]  # type: ignore[arg-type]
    worst, low, high = _one(
        reported,
        "select worst_pp, worst_low, worst_high from marts.rpt_source_risks where study = ? order by worst_pp limit 1",
        EVIL,
    )
    assert (
        f"{signed(worst)} pp (95 % interval of this grid {printed.interval(low, high)}; " in pages[EVIL].text["summary"]
    )  # type: ignore[arg-type]


def test_that_none_is_rare_stands_where_verdicts_are_read(pages: dict[str, Page], reported: Path) -> None:
    (error,) = _one(
        reported,
        "select median_se_pp from marts.rpt_regimes where study = ? and scope = 'all' and regime = 'transfer'",
        EVERYTHING,
    )
    told = f"`none` takes a standard error of at most 0.5 pp; half of the transfer cells have {error:.1f} pp or more."
    assert told.replace("`", "") in pages[EVERYTHING].text["regimes"]
    assert "no source was tuned with two" in pages[EVERYTHING].text["regimes"]
    for section in ("summary", "regimes"):
        assert "other runs would give" in pages[EVERYTHING].text[section]


def test_where_bases_stand_is_said_where_cells_are_read(pages: dict[str, Page], reported: Path) -> None:
    chance, n = _one(
        reported, "select count_if(stands_at = 'chance'), count(*) from marts.rpt_baselines where study = ?", EVERYTHING
    )
    assert f"Of {n} pairs of model and target, {chance} stand at chance" in pages[EVERYTHING].text["cells"]
    assert " · chance" in pages[EVERYTHING].html
    constant, tuned = _one(
        reported, "select sum(n_constant), sum(n_tuned) from marts.rpt_baselines where study = ?", EVERYTHING
    )
    assert (constant, tuned) == (0, 108)
    assert "nearly always the same answer" not in pages[EVERYTHING].text["cells"]


def test_contrasts_say_who_is_better_on_all_targets(pages: dict[str, Page], reported: Path) -> None:
    page = pages[EVERYTHING]
    difference, low, high, verdict = _one(
        reported,
        "select difference_pp, ci_low, ci_high, verdict from marts.rpt_contrasts"
        " where study = ? and target_task is null and not is_trained_cell",
        EVERYTHING,
    )
    assert "source parity/de against source read/de." in page.text["contrasts"]
    head, line, *_ = page.table_rows["contrasts"]
    told = dict(zip(head, line, strict=True))
    assert told["target"] == "all targets" and told["verdict"] == verdict
    assert told["difference (pp)"] == signed(difference)  # type: ignore[arg-type]
    assert told["95 % interval of this grid"] == printed.interval(low, high)  # type: ignore[arg-type]
    assert "declares no contrasts" in pages[TRANSFER_ONLY].text["contrasts"]


def test_cells_at_odds_with_the_finer_outcome_are_listed(pages: dict[str, Page], reported: Path) -> None:
    less, more = _one(
        reported,
        "select sum(n_gain_less_probable), sum(n_loss_more_probable) from marts.rpt_probability where study = ?",
        EVERYTHING,
    )
    text = pages[EVERYTHING].text["probability"]
    assert "Exploratory" in text
    assert f"{less} gain accuracy while the right choice becomes less probable, {more} the other way around." in text
    listed = [line for line in pages[EVERYTHING].table_rows["probability"] if line[0].startswith(("a@", "b@", "c@"))]
    assert len(listed) == less + more  # type: ignore[operator]


def test_items_that_most_adapters_lose_stand_with_their_text(pages: dict[str, Page], reported: Path) -> None:
    (shown,) = _one(reported, "select count(*) from marts.rpt_items where study = ? and is_lost_by_most", TRANSFER_ONLY)
    page = pages[TRANSFER_ONLY]
    assert ("None is shown to be so" in page.text["items"]) == (shown == 0)
    losing = next(line for line in page.table_rows["items"] if line[0] == "read")
    assert losing[1].startswith("p") and losing[2].endswith("→ 0 (en)")


def test_a_grid_wider_than_a_page_is_told_by_task(
    reported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(charts, "MOST_COLUMNS", 5)
    monkeypatch.setattr(charts, "MOST_RANKED", 4)
    monkeypatch.setattr(page_module, "MOST_ROWS", 4)
    write_report(reported, EVERYTHING, tmp_path / "wide.html")
    page = Page((tmp_path / "wide.html").read_text(encoding="utf-8"))
    (mean,) = _one(
        reported,
        "select mean_pp from marts.rpt_task_effects where study = ? and model = 'a@1' and source_task = 'parity'"
        " and source_language = 'de' and target_task = 'read'",
        EVERYTHING,
    )
    tasks = [line for line in page.table_rows["cells"] if line[:3] == ["parity/de", "read", "3"]]
    assert tasks[0][3] == signed(mean)  # type: ignore[arg-type]
    # Every language of every task, one line a language, one column a source.
    languages = [line for line in page.table_rows["cells"] if line[0] in ("de", "en", "fi") and len(line) == 7]
    assert len(languages) == 3 * 2 * 3
    assert "the first and last 2 of 6" in page.text["roles"]
    assert "(the first 4 of 6)" in page.text["advice"]


def test_each_regime_has_its_own_bars(pages: dict[str, Page], reported: Path) -> None:
    (drawing,) = re.findall(
        r'<svg role="img" aria-label="Shares of the variance.*?</svg>', pages[EVERYTHING].html, flags=re.DOTALL
    )
    groups = [one for one in ElementTree.fromstring(drawing).iter() if "mark-rect role-mark" in one.get("class", "")]
    with duckdb.connect(str(reported), read_only=True) as connection:
        known = connection.execute(
            "select count(*) from marts.rpt_variance where study = ? and share is not null", [EVERYTHING]
        ).fetchone()
    assert known is not None and sum(len(group) for group in groups) == known[0]


def test_methods_stand_as_papers_print_them(pages: dict[str, Page]) -> None:
    page = pages[EVERYTHING]
    lines = page.table_rows["methods"]
    assert lines[0] == ["", "all pairs"]  # none is common: one method failed on all
    assert lines[1] == ["method", "100", "300", "no dictionary"]
    table = {line[0]: line[1:] for line in lines[2:5]}
    assert list(table) == ["RCSLS", "PROC", "VECMAP"]  # the best first
    assert table["RCSLS"][0] == "–" and table["VECMAP"][2].endswith(" (6)")  # failed on all pairs
    assert "Correlation with MAP" in page.text["downstream"]
    assert "no downstream task" in pages[EMBEDDINGS_ONLY].text["downstream"]


def test_the_mapping_of_a_pair_is_named_as_the_study_asks(pages: dict[str, Page]) -> None:
    assert "MAP of PROC, largest dictionary, CSLS" in pages[EVERYTHING].text["bli"]
    assert "MAP of PROC, 100 training pairs, cosine" in pages[EMBEDDINGS_ONLY].text["bli"]


def test_flaws_of_dictionaries_and_map_without_them(pages: dict[str, Page], reported: Path) -> None:
    page = pages[EVERYTHING]
    assert ["de → en", "100", "5", "2", "1", "0", "3"] in page.table_rows["methods"]
    with duckdb.connect(str(reported), read_only=True) as connection:
        both = connection.execute(
            "select avg(map) filter (not clean), avg(map) filter (clean) from marts.fct_bli "
            "where study = ? and method = 'RCSLS' and retrieval = 'csls'",
            [EVERYTHING],
        ).fetchone()
    assert both is not None
    assert ["RCSLS, 300", "6", *map(printed.share, both)] in page.table_rows["methods"]
    assert "No test pair was trained on" in pages[EMBEDDINGS_ONLY].text["methods"]


def test_scores_on_two_collections_stand_in_two_tables(pages: dict[str, Page], reported: Path) -> None:
    page = pages[EVERYTHING]
    with duckdb.connect(str(reported), read_only=True) as connection:
        for collection in ("news", "talks"):
            rows = connection.execute(
                "select source_language || ' → ' || target_language, score from marts.fct_downstream "
                "where study = ? and collection = ? and metric = 'micro_f1' and method = 'RCSLS' order by 1",
                [EVERYTHING, collection],
            ).fetchall()
            assert f"cldc, {collection}, cnn, micro_f1" in page.text["downstream"]
            assert ["RCSLS", "300", *(printed.share(score) for _, score in rows)] in page.table_rows["downstream"]


def test_a_method_run_on_fewer_pairs_does_not_win_by_it(pages: dict[str, Page]) -> None:
    page = pages[EMBEDDINGS_ONLY]
    _, head, proc, icp = page.table_rows["methods"][:4]
    assert head == ["method", "pairs", "100", "100"]
    assert (proc[:2], icp[:2]) == (["PROC", "12"], ["ICP", "2"])
    assert proc[2] < icp[2]  # the mean over its two pairs, the easy ones
    assert f"mean MAP {proc[2]} over 12 language pairs (PROC" in page.text["summary"]
    assert re.search(r"95 % interval over test words 0\.\d{3} to 0\.\d{3}\)", page.text["summary"])
    assert "On fewer pairs, and so not compared here: ICP." in page.text["summary"]
    assert "over those common to all methods" in page.text["methods"]


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
