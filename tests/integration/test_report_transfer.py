"""What the page says of transfer, beside the marts."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import duckdb
import pytest

from report import charts, prediction_sections, printed
from report import page as page_module
from report.page import write_report
from report.printed import signed
from tests.helpers.pages import Page
from tests.helpers.reported import (
    EVERYTHING,
    EVIL,
    TRANSFER_ONLY,
    one_row,
)


def test_verdicts_are_told(pages: dict[str, Page], reported: Path) -> None:
    page = pages[EVERYTHING]
    source, gain = one_row(
        reported,
        "select source_task || '/' || source_language, expected_gain_pp from marts.rpt_advice"
        " where study = ? and target_task = 'read' and target_language = 'fi' and rank = 1",
        EVERYTHING,
    )
    line = next(row for row in page.table_rows["advice"] if row[0] == "read/fi")
    assert line[1:3] == [source, signed(gain)]
    assert "what the first pick falls short" in page.text["summary"]
    assert "more alike than chance" in page.text["agreement"] and "model × source" in page.text["agreement"]
    assert "that takes two models" in pages[TRANSFER_ONLY].text["advice"]
    assert "agreement takes two models" in pages[TRANSFER_ONLY].text["agreement"]


def test_what_is_undecided_is_pale_and_what_is_decided_bold(pages: dict[str, Page], reported: Path) -> None:
    (drawing,) = re.findall(
        r'<svg role="img" aria-label="Mean change by source.*?</svg>', pages[EVERYTHING].html, re.DOTALL
    )
    decided, undecided = one_row(
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
    harmed, noise, shown = one_row(
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
    effect, low, high, shrunk = one_row(
        reported,
        "select donor_effect_pp, donor_effect_low, donor_effect_high, donor_effect_shrunk_pp from marts.rpt_roles"
        " where study = ? and scope = 'all' and axis = 'cell' and within is null and donor_rank = 1",
        EVERYTHING,
    )
    donor = f"{signed(effect)} pp on an average target (95 % interval of this grid {printed.interval(low, high)}; "  # type: ignore[arg-type]
    assert f"{donor}shrunk {signed(shrunk)}; no placebo)" in pages[EVERYTHING].text["summary"]  # type: ignore[arg-type]
    worst, low, high = one_row(
        reported,
        "select worst_pp, worst_low, worst_high from marts.rpt_source_risks where study = ? order by worst_pp limit 1",
        EVIL,
    )
    assert (
        f"{signed(worst)} pp (95 % interval of this grid {printed.interval(low, high)}; " in pages[EVIL].text["summary"]
    )  # type: ignore[arg-type]


def test_that_none_is_rare_stands_where_verdicts_are_read(pages: dict[str, Page], reported: Path) -> None:
    (error,) = one_row(
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
    chance, n = one_row(
        reported, "select count_if(stands_at = 'chance'), count(*) from marts.rpt_baselines where study = ?", EVERYTHING
    )
    assert f"Of {n} pairs of model and target, {chance} stand at chance" in pages[EVERYTHING].text["cells"]
    assert " · chance" in pages[EVERYTHING].html
    constant, tuned = one_row(
        reported, "select sum(n_constant), sum(n_tuned) from marts.rpt_baselines where study = ?", EVERYTHING
    )
    assert (constant, tuned) == (0, 108)
    assert "nearly always the same answer" not in pages[EVERYTHING].text["cells"]


def test_contrasts_say_who_is_better_on_all_targets(pages: dict[str, Page], reported: Path) -> None:
    page = pages[EVERYTHING]
    difference, low, high, verdict = one_row(
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
    less, more = one_row(
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
    (shown,) = one_row(
        reported, "select count(*) from marts.rpt_items where study = ? and is_lost_by_most", TRANSFER_ONLY
    )
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
    (mean,) = one_row(
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
    (known,) = one_row(
        reported, "select count(*) from marts.rpt_variance where study = ? and share is not null", EVERYTHING
    )
    assert sum(len(group) for group in groups) == known


def test_what_is_expected_stands_apart_from_what_was_measured(pages: dict[str, Page], reported: Path) -> None:
    page = pages[EVERYTHING]
    head = ["target", "tuned on", "regime", "expected (pp)", "50 % interval", "95 % interval"]
    since = ["measured since (pp)", "within the 95 % interval"]
    tables: dict[int, list[list[str]]] = {}
    for line in page.table_rows["predictions"]:
        tables.setdefault(len(line), []).append(line)
    assert tables[len(head)][0] == head and tables[len(head) + 2][0] == [*head, *since]
    every = tables[len(head)]
    cell = ["read/de", "parity/nl", "CT-CL", "+1.2", "[−1.5, +4.0]", "[−4.2, +6.8]"]
    assert cell in every and ["read/de", "parity/nl", "CT-CL", "+3.5", *["only one was measured"] * 2] in every
    (measured,) = one_row(
        reported,
        "select delta_pp from marts.fct_transfer where study = ? and model = 'a@1' and source_task = 'parity'"
        " and source_language = 'de' and target_task = 'read' and target_language = 'en'",
        EVERYTHING,
    )
    (_, line) = tables[len(head) + 2]
    assert line[:2] == ["read/en", "parity/de"] and line[3] == "−70.0"
    assert line[6:] == [signed(measured), "no"]
    fits = next(line for line in page.table_rows["predictions"] if line[0] == "transfer")
    assert fits == ["transfer", "90", "3", "90", "0.250", "50.0", "96.0", "1", "0.0"]
    assert "have changed since" in page.text["predictions"]
    drawn = re.findall(r'<svg role="img" aria-label="Expected change.*?</svg>', page.html, re.DOTALL)
    # Of model a, one cell is beyond 0 by its interval; of the new one, nothing tells.
    assert [one.count('font-weight="bold"') for one in drawn] == [1, 0]
    assert [one.count('fill-opacity="0.3"') for one in drawn] == [1, 1]


def test_predictors_stand_beside_habits_with_the_mart_s_numbers(pages: dict[str, Page], reported: Path) -> None:
    lines = pages[EVERYTHING].table_rows["predictors"]
    names = {"same_task": "habit: the target's task", "random": "at random", "<i>ours": "<i>ours"}
    with duckdb.connect(str(reported), read_only=True) as connection:
        rows = connection.execute(
            "select predictor, measure, value, beyond_random from marts.rpt_predictors where study = ?"
            " order by measure != 'regret_1', measure != 'ndcg_3', if(measure = 'regret_1', value, -value), predictor",
            [EVERYTHING],
        ).fetchall()
    assert len({measure for _, measure, _, _ in rows}) == 3
    shown = [(line[0], line[1], line[3]) for line in lines if line[0] != "sources ranked by"]
    assert shown == [
        (
            names[predictor],
            f"{value:.3f}" if measure == "ndcg_3" else signed(value, 2 if measure == "regret_1" else 3),
            "–" if beyond is None else signed(beyond, 2 if measure == "regret_1" else 3),
        )
        for predictor, measure, value, beyond in rows
    ]
    assert "Regret of predictors" in pages[EVERYTHING].html


def test_many_predicted_cells_are_listed_in_part_and_not_drawn(
    reported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prediction_sections, "_MOST_DRAWN", 2)
    monkeypatch.setattr(prediction_sections, "_MOST_LISTED", 2)
    write_report(reported, EVERYTHING, tmp_path / "many.html")
    page = Page((tmp_path / "many.html").read_text(encoding="utf-8"))
    assert "Expected change by source and target" not in page.html
    assert "Too many cells to be drawn." in page.text["predictions"]
    assert "The first 1 of 2, a" in page.text["predictions"] and "Every predicted cell, new" in page.text["predictions"]
