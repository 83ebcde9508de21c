"""Batches run when their inputs have landed, the longest way first; what reads a failed job does not run."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest

from compute.engine.execute import Summary, execute
from compute.engine.plan import Plan
from compute.engine.runner import Batch, Event, Workplace, run_batch
from compute.errors import JobError
from compute.plugin import Job, Outcome
from compute.store.landing import Landing
from compute.store.segments import OpenSegment
from compute.study.file import read_study
from tests.helpers.any_config import AnyConfig

STUDY = read_study(Path(__file__).parents[2] / "studies" / "tiny.yml")


class OneByOne:
    """An executor that runs batches in order and fails the jobs it is told to."""

    def __init__(self, failing: frozenset[str] = frozenset(), unheard: frozenset[str] = frozenset()) -> None:
        self.failing, self.unheard = failing, unheard
        self.queue: deque[Batch] = deque()
        self.ran: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        return None

    def submit(self, batch: Batch) -> None:
        self.queue.append(batch)

    def events(self) -> Iterator[Event]:
        while self.queue:
            batch = self.queue.popleft()
            self.ran.append(batch.name)
            for job in batch.jobs:
                if job.label in self.unheard:
                    continue
                kind = "failed" if job.label in self.failing else "landed"
                yield Event(kind, batch.name, job.label, job_key=job.key)
            yield Event("finished", batch.name)


def job(label: str, *inputs: Job, cost: float = 1.0, batch: str = "") -> Job:
    return Job("p", "1", AnyConfig(label=label), {one.label: one.key for one in inputs}, label, batch, cost)


def run(jobs: list[Job], folder: Path, failing: frozenset[str] = frozenset()) -> tuple[Summary, list[str]]:
    plan = Plan(STUDY, {one.key: one for one in jobs}, {one.key: "" for one in jobs})
    executor = OneByOne(failing)
    summary = execute(plan, executor, Landing(folder), lambda event: None)  # type: ignore[arg-type]
    return summary, executor.ran


def test_inputs_come_first_and_the_most_work_behind_goes_first(tmp_path: Path) -> None:
    small, large = job("small", cost=2), job("large", cost=1)
    after_small, after_large = job("after small", small), job("after large", large, cost=10)
    summary, ran = run([small, large, after_small, after_large], tmp_path)
    assert summary.complete
    assert ran == ["p large", "p small", "p after large", "p after small"]


def test_what_reads_a_failed_job_is_blocked_and_the_rest_runs(tmp_path: Path) -> None:
    broken, sound = job("broken"), job("sound")
    reader = job("reader", broken)
    reader_of_reader = job("reader of reader", reader)
    mixed = [job("needs broken", broken, batch="mixed"), job("needs sound", sound, batch="mixed")]
    summary, ran = run([broken, sound, reader, reader_of_reader, *mixed], tmp_path, frozenset({"broken"}))
    assert not summary.complete
    assert [one.label for one in summary.blocked] == ["reader", "reader of reader", "needs broken"]
    assert len(summary.landed) == 2
    assert "p mixed" in ran


def test_a_job_of_which_nothing_was_heard_is_not_done(tmp_path: Path) -> None:
    """A run that ends with work left must not call itself complete."""
    silent, sound = job("silent"), job("sound")
    executor = OneByOne(unheard=frozenset({"silent"}))
    plan = Plan(STUDY, {one.key: one for one in (silent, sound)}, {one.key: "" for one in (silent, sound)})
    summary = execute(plan, executor, Landing(tmp_path), lambda event: None)  # type: ignore[arg-type]
    assert not summary.complete


@pytest.mark.parametrize("refused", ["add", "commit"])
def test_a_result_that_cannot_land_fails_its_job(refused: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Says:
        def run(self, jobs: list[Job], context: object) -> Iterator[tuple[Job, dict[str, list[object]]]]:
            yield from ((one, {"isometry": []}) for one in jobs)

    def refuse(*arguments: object) -> None:
        raise RuntimeError("not an error of the system's")

    monkeypatch.setattr("compute.engine.runner.load_plugin", lambda name: Says())
    monkeypatch.setattr(OpenSegment, refused, refuse)
    events: list[Event] = []
    jobs = job("one"), job("two")
    run_batch(Batch("b", jobs), Workplace(tmp_path, tmp_path), events.append)
    assert {event.job_key for event in events if event.kind == "failed"} == {one.key for one in jobs}
    assert [event.kind for event in events][-1] == "finished"
    assert not Landing(tmp_path).landed_keys()


def test_a_disk_that_is_full_for_rows_may_still_take_what_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = OpenSegment.commit

    def full(self: OpenSegment) -> None:
        if self.jobs:
            raise OSError(28, "No space left on device")
        commit(self)

    monkeypatch.setattr("compute.engine.runner.load_plugin", lambda name: Yields({"one": {}, "two": JobError("bad")}))
    monkeypatch.setattr(OpenSegment, "commit", full)
    one, two = job("one"), job("two")
    events: list[Event] = []
    run_batch(Batch("b", (one, two)), Workplace(tmp_path, tmp_path), events.append)
    assert [event.text for event in events if event.kind == "failed"] == [
        f"one: cannot land in {tmp_path}: No space left on device",
        "two: bad",
    ]
    failures = Landing(tmp_path).failures([one.key, two.key])
    assert (failures[one.key]["error"], failures[two.key]["error"]) == (
        f"cannot land in {tmp_path}: No space left on device",
        "bad",
    )


def test_what_a_plugin_does_wrong_for_one_job_costs_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A result yielded twice, or for a job of no batch, and an error that is no text."""
    one, two, foreign = job("one"), job("two"), job("foreign")
    rows: Outcome = {"isometry": [{"measure": "m"}]}

    class Careless:
        def run(self, jobs: list[Job], context: object) -> Iterator[tuple[Job, Outcome]]:
            yield from ((one, rows), (one, rows), (foreign, rows), (two, JobError("no file \udcff")))

    monkeypatch.setattr("compute.engine.runner.load_plugin", lambda name: Careless())
    events: list[Event] = []
    run_batch(Batch("b", (one, two)), Workplace(tmp_path, tmp_path), events.append)
    [segment] = Landing(tmp_path).segments()
    assert (dict(segment.jobs), segment.files["isometry"].rows) == ({one.key: {"isometry": 1}}, 1)
    assert Landing(tmp_path).failures([two.key])[two.key]["error"] == "no file \\udcff"
    assert len([event for event in events if event.kind == "noted"]) == 2


class Yields:
    """A plugin with an outcome for each label."""

    def __init__(self, outcomes: dict[str, Outcome]) -> None:
        self.outcomes = outcomes

    def run(self, jobs: list[Job], context: object) -> Iterator[tuple[Job, Outcome]]:
        yield from ((one, self.outcomes[one.label]) for one in jobs)


def test_jobs_of_a_visit_land_together_and_are_reported_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    class Watching(Yields):
        def run(self, jobs: list[Job], context: object) -> Iterator[tuple[Job, Outcome]]:
            for one in super().run(jobs, context):
                yield one
                seen.append(len(Landing(tmp_path).landed_keys()))

    jobs = [job(f"job {number}") for number in range(4)]
    rows: Outcome = {"isometry": [{"measure": "m"}]}
    monkeypatch.setattr(
        "compute.engine.runner.load_plugin", lambda name: Watching(dict.fromkeys((one.label for one in jobs), rows))
    )
    events: list[Event] = []

    def listen(event: Event) -> None:
        if event.kind == "landed":
            assert event.job_key in Landing(tmp_path).landed_keys()
        events.append(event)

    run_batch(Batch("b", tuple(jobs)), Workplace(tmp_path, tmp_path), listen)
    assert seen == [0, 0, 0, 0]
    assert len(Landing(tmp_path).segments()) == 1
    assert [event.kind for event in events] == ["progress", *["landed"] * 4, "finished"]
    # Once as much work as may be lost has been done, it is committed, within a visit too.
    monkeypatch.setattr("compute.engine.runner._SECONDS_AT_RISK", 0.0)
    seen.clear()
    run_batch(Batch("b", tuple(jobs)), Workplace(tmp_path / "at once", tmp_path), events.append)
    assert len(Landing(tmp_path / "at once").segments()) == 4


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (OSError(30, "Read-only file system", "artifacts/.staged"), "artifacts/.staged: cannot be written: Read-only"),
        (PermissionError(13, "Permission denied", "words.vec"), "words.vec: cannot be opened: Permission denied"),
    ],
)
def test_a_file_that_is_refused_is_no_defect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError, text: str
) -> None:
    class Refused:
        def run(self, jobs: list[Job], context: object) -> Iterator[tuple[Job, dict[str, list[object]]]]:
            raise error

    monkeypatch.setattr("compute.engine.runner.load_plugin", lambda name: Refused())
    events: list[Event] = []
    run_batch(Batch("b", (job("one"),)), Workplace(tmp_path, tmp_path), events.append)
    [failure] = [event.text for event in events if event.kind == "failed"]
    assert failure.startswith(f"one: {text}")
    assert not (tmp_path / "errors.log").exists()


def test_a_batch_is_visited_once_with_all_its_jobs(tmp_path: Path) -> None:
    train = job("train", batch="visit")
    scores = [job(f"score {number}", train, batch="visit") for number in range(3)]
    summary, ran = run([train, *scores], tmp_path)
    assert ran == ["p visit"]
    assert len(summary.landed) == 4
