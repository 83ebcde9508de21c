"""The page says what its intervals speak of, and only of those that it has."""

from __future__ import annotations

import pytest

from report.ask import Answer
from report.layouts import LISTINGS
from report.parts import Study
from report.summary import harms_in_words
from report.transfer_sections import bases_in_words, intervals_in_words, none_in_words, runs_in_words
from report.verdict_sections import best_in_words


def answers(error_of: str | None, ci_low: float | None, new_model_low: float | None) -> dict[str, Answer]:
    cells = ({"ci_low": ci_low, "error_of": error_of},)
    return {"cells": Answer("", (), cells), "advice": Answer("", (), ({"new_model_low": new_model_low},))}


@pytest.mark.parametrize(
    ("error_of", "said"),
    [
        ("tuning", "were other items drawn and other runs made."),
        ("this run", "what other runs would give it does not say, as each source was tuned once."),
        (None, "as far as the published errors tell."),
    ],
)
def test_an_interval_of_the_grid_speaks_of_what_its_errors_are_of(error_of: str | None, said: str) -> None:
    both = intervals_in_words(answers(error_of, -1.0, -2.0))
    assert both.startswith("Two kinds of interval are given.") and said in both and "never the narrower" in both
    one = intervals_in_words(answers(error_of, -1.0, None))
    assert said in one and "Two kinds" not in one and "that takes two models" in one


def test_without_errors_there_is_no_interval() -> None:
    assert intervals_in_words(answers(None, None, None)).startswith("No interval is given")


def test_that_runs_are_in_no_interval_is_said_where_each_source_was_tuned_once() -> None:
    once, twice, imported = ({"ci_low": 0.0, "error_of": kind} for kind in ("this run", "tuning", None))
    assert len(runs_in_words([once, once])) == 1
    assert runs_in_words([once, twice]) == runs_in_words([imported]) == runs_in_words([]) == ()


def test_nothing_is_said_of_what_there_is_none_of() -> None:
    base = {"stands_at": "ceiling", "n_constant": 0, "n_tuned": 1}
    (told,) = bases_in_words([base, base | {"stands_at": None}])
    assert told == (
        "Of 2 pairs of model and target, 1 stand at the ceiling, where there is little to gain. They are listed below."
    )
    best = {"target_task": "t", "target_language": "de", "rank": 1, "ci_low": 0.5, "expected_gain_pp": 1.0}
    assert best_in_words([best]) == "Of 1 target, 1 have a best source whose interval is above 0."
    assert "costs least" in best_in_words([best | {"ci_low": -1.0, "expected_gain_pp": 0.0}])


def test_a_count_of_harms_stands_beside_what_noise_would_make_or_that_it_is_not_known() -> None:
    row = {"n_cells": 4, "harm_pct": 50.0, "null_harm_pct": 25.0, "verdict_harm_pct": 0.0}
    begins = "Harms: 50 % of 4 transfer cells reach the threshold (a loss)"
    assert harms_in_words(row, "a loss") == f"{begins}; noise alone would make it 25 %; harm is shown for 0 %."
    without = row | {"null_harm_pct": None, "verdict_harm_pct": None}
    assert harms_in_words(without, "a loss") == f"{begins}; what noise alone would make is not known without items."


@pytest.mark.parametrize(
    ("seeds", "in_table", "in_words"),
    [
        (12, "12", "some 12 seeds and 900 items together"),
        (0, "any: no luck seen", "some 900 items, whatever the seeds"),
        (None, "not known", "How many seeds it would take is not known"),
    ],
)
def test_no_luck_of_runs_is_no_number_of_seeds(seeds: int | None, in_table: str, in_words: str) -> None:
    row = {
        "scope": "all", "regime": "transfer", "median_se_pp": 2.0, "seeds_for_none": seeds, "items_for_none": 900,
    }  # fmt: skip
    study = Study("s", "computed", None, 1.0, "s", {}, 1, 1, 0)
    (told,) = none_in_words([row], study)
    assert in_words in told and " 0 seeds" not in told
    (column,) = (one for one in LISTINGS["rpt_regimes"].more if one.reads == ("seeds_for_none",))
    assert column.cell(row) == in_table
