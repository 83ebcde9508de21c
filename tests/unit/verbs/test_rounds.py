"""What an adaptive study asks for: it grows by what is decided, and decisions are found again."""

from __future__ import annotations

from pathlib import Path

import pytest

from compute.engine.plan import study_jobs
from compute.prediction.goals import Goal
from compute.store.warehouse import Warehouse
from compute.study.file import read_study
from compute.study.schema import Study
from compute.verbs.adaptive import Rounds

TINY = Path(__file__).parents[2] / "studies" / "tiny.yml"


def adaptive(tmp_path: Path, budget: float = 0.5, goal: Goal = "best source") -> Rounds:
    """The study `tiny`, its two sources chosen in rounds."""
    file = tmp_path / "tiny.yml"
    file.write_text(TINY.read_text() + f"adaptive: {{budget: {budget}, goal: {goal}}}\n")
    study: Study = read_study(file)
    warehouse = Warehouse(tmp_path / "w.duckdb")
    warehouse.prepare()
    assert study.adaptive is not None
    return Rounds(study, study.adaptive, study_jobs(study), warehouse)


def tuned(rounds: Rounds) -> set[tuple[str, str]]:
    jobs = rounds.declared().values()
    return {(job.values["source_task"], job.values["source_language"]) for job in jobs if job.plugin == "transfer"}


def test_it_asks_for_what_tunes_nothing_and_then_for_what_was_chosen(tmp_path: Path) -> None:
    rounds = adaptive(tmp_path)
    assert tuned(rounds) == set() and {"pretrain", "baseline"} <= {job.plugin for job in rounds.declared().values()}
    told = rounds.decide()
    assert told is not None and told.startswith("round 1: small parity/")
    (chosen,) = tuned(rounds)
    again = adaptive(tmp_path)
    assert tuned(again) == {chosen} and again.rows == rounds.rows
    # All of a chosen source: its placebo, and every target.
    whole = [
        job.key
        for job in rounds.jobs.values()
        if job.plugin == "transfer" and job.values["source_language"] == chosen[1]
    ]
    assert set(whole) <= rounds.declared().keys()
    assert rounds.declared().items() <= study_jobs(rounds.study).items()


def test_the_end_is_landed_without_asking_the_marts_and_counts_for_no_choice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    adaptive(tmp_path).decide()
    monkeypatch.setattr("compute.verbs.adaptive.run_dbt", lambda *_, **__: pytest.fail("nothing is left to choose"))
    assert adaptive(tmp_path).decide() is None
    chosen, end = Warehouse(tmp_path / "w.duckdb").study_rows("decisions", "tiny")
    assert (chosen["round"], end["round"], end["model"], end["why"]) == (1, 2, None, "the budget is spent")
    assert chosen["cost"] == pytest.approx(0.5) and end["spent"] == pytest.approx(0.5)
    assert len(adaptive(tmp_path).done) == 1


def test_decisions_for_another_goal_count_for_nothing(tmp_path: Path) -> None:
    adaptive(tmp_path).decide()
    assert adaptive(tmp_path, goal="harms").done == []
    assert len(adaptive(tmp_path, budget=1.0).done) == 1


def test_marts_that_cannot_be_built_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    adaptive(tmp_path, budget=1.0).decide()
    monkeypatch.setattr("compute.verbs.adaptive.run_dbt", lambda *_, **__: 1)
    with pytest.raises(Exception, match="the marts that sources are chosen by cannot be built"):
        adaptive(tmp_path, budget=1.0).decide()
