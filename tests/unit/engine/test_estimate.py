"""What a plan will take: summed by plugin, what has landed taken off, and the time from start to end."""

from __future__ import annotations

import pytest

from compute.engine.durations import Durations
from compute.engine.estimate import estimate, span
from compute.engine.plan import Plan
from compute.engine.work import make_batches
from compute.plugin import Job, JobConfig
from compute.store.experience import Measured
from compute.study.schema import Study

STUDY = Study.model_validate({"study": "s", "plugins": {"uriel": {"languages": ["de", "en"]}}})


class Named(JobConfig):
    """A configuration with a name."""

    name: str


def job(name: str, *inputs: Job, plugin: str = "p", cost: float = 1.0, batch: str = "") -> Job[Named]:
    keys = {str(place): one.key for place, one in enumerate(inputs)}
    return Job(plugin, "1", Named(name=name), keys, label=name, cost=cost, batch=batch)


def span_of(jobs: list[Job], workers: int, start: float = 0.0) -> float:
    """Each job takes as many seconds as its cost."""
    return span(make_batches(jobs, {}), {one.key: one.cost for one in jobs}, workers, start)


def test_one_worker_does_all_after_another_and_none_waits_for_nothing() -> None:
    jobs = [job(str(cost), cost=cost) for cost in (3.0, 1.0, 2.0)]
    assert span_of(jobs, 1) == pytest.approx(6.0)
    assert span_of(jobs, 3) == pytest.approx(3.0)
    assert span_of(jobs, 1, start=10.0) == pytest.approx(16.0)
    assert span_of([], 4, start=10.0) == 0.0


def test_readers_wait_for_what_they_read() -> None:
    base = job("base", cost=5.0)
    readers = [job(f"r{number}", base, cost=2.0) for number in range(4)]
    other = job("other", cost=6.0)
    assert span_of([base, *readers, other], 2) == pytest.approx(10.0)  # 5, 2, 2 beside 6, 2, 2
    assert span_of([base, *readers, other], 5) == pytest.approx(7.0)


def test_jobs_of_a_batch_are_done_by_one_worker() -> None:
    jobs = [job(str(number), cost=1.0, batch="one visit") for number in range(4)]
    assert span_of(jobs, 4) == pytest.approx(4.0)


def measured(plugin: str, seconds: float, is_first: bool = False) -> Measured:
    return Measured(plugin, "", 10, 10.0, 10 * seconds, 5 * seconds, 1.0, 1.0, 50, 200, 70, is_first)


def test_what_has_landed_is_taken_off_and_what_is_unknown_is_left_out() -> None:
    jobs = [job(f"p{number}") for number in range(5)] + [job("q", plugin="q"), job("odd", plugin="odd")]
    pending = [one for one in jobs if one.label not in ("p0", "p1")]
    plan = Plan(STUDY, {one.key: one for one in jobs}, {one.key: "" for one in pending})
    found = estimate(plan, Durations([measured("p", 2.0), measured("q", 7.0)]), 1)
    assert [(share.plugin, share.jobs, share.unknown, share.seconds) for share in found.shares] == [
        ("p", 3, 0, pytest.approx(6.0)),
        ("q", 1, 0, pytest.approx(7.0)),
        ("odd", 1, 1, 0.0),
    ]
    assert (found.landed_jobs, found.landed_seconds) == (2, pytest.approx(4.0))
    assert (found.span_seconds, found.undisturbed_seconds) == pytest.approx((13.0, 6.5))
    assert (found.whole.jobs, found.whole.unknown, found.whole.seconds) == (5, 1, pytest.approx(13.0))
    assert (found.whole.peak_memory_bytes, found.whole.artifact_bytes, found.whole.rows) == (50, 80.0, 28.0)
    assert found.whole.seconds_without_spread == pytest.approx(13.0)


def test_each_process_imports_what_it_needs_once() -> None:
    jobs = [job(f"p{number}") for number in range(6)]
    plan = Plan(STUDY, {one.key: one for one in jobs}, {one.key: "" for one in jobs})
    durations = Durations([measured("p", 1.0), measured("p", 4.0, is_first=True)])
    assert durations.first_seconds("p")[0] == pytest.approx(30.0)
    assert estimate(plan, durations, 1).span_seconds == pytest.approx(36.0)
    assert estimate(plan, durations, 3).whole.seconds == pytest.approx(96.0)
