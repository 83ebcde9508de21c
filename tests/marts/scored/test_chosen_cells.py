"""Cells of sources that were chosen by results: e-values and e-BH against the same in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate

from tests.helpers.derived import as_rows, derived
from tests.helpers.warehouse_fixture import RawRows

RNG = np.random.default_rng(20_191)
EFFECTS = {"de": 0.35, "nl": 0.0, "es": 0.0, "fi": 0.2}


def answers(right: float) -> list[bool]:
    return (RNG.random(200) < right).tolist()


def rows(chosen: tuple[str, ...]) -> RawRows:
    raw = RawRows()
    raw.study("s")
    raw.task("t")
    raw.task("u")
    for target in ("en", "ru", "uk"):
        raw.scores("s", model="m@1", target=("t", target), correct=answers(0.5))
        for source, effect in EFFECTS.items():
            raw.scores(
                "s", model="m@1", source=("u", source), seed=0, target=("t", target), correct=answers(0.5 + effect)
            )
    for place, source in enumerate(chosen, 1):
        raw.add("decisions", study="s", round=1, place=place, model="m@1", source_task="u", source_language=source)
    raw.add("decisions", study="s", round=2, place=1)
    return raw


def test_what_is_shown_is_what_e_bh_rejects() -> None:
    found = as_rows(derived(rows(("de", "nl", "fi")), "rpt_chosen_cells"), "select * from rpt_chosen_cells")
    assert {row["source_language"] for row in found} == {"de", "nl", "fi"} and len(found) == 9
    p, e = (np.array([row[name] for row in found]) for name in ("p_value", "e_value"))
    for one, value in zip(p, e, strict=True):
        if one > 1e-6:
            assert value == pytest.approx(integrate.quad(lambda k, p=one: k * p ** (k - 1), 0, 1)[0], rel=1e-6)
    ordered = np.sort(e)[::-1]
    passing = [k for k in range(1, len(e) + 1) if ordered[k - 1] >= len(e) / (k * 0.05)]
    shown = e >= ordered[max(passing) - 1] if passing else np.zeros(len(e), dtype=bool)
    assert [row["is_shown"] for row in found] == shown.tolist()
    assert all(row["is_shown"] for row in found if row["source_language"] == "de")
    assert not any(row["is_shown"] for row in found if row["source_language"] == "nl")


def test_a_study_that_chose_nothing_has_no_rows() -> None:
    assert as_rows(derived(rows(()), "rpt_chosen_cells"), "select * from rpt_chosen_cells") == []
