"""How long jobs take is learnt from jobs that ran: planted seconds come back, and nothing is made up."""

from __future__ import annotations

import pytest

from compute.engine.durations import Durations
from compute.plugin import Job, JobConfig
from compute.store.experience import Measured


class Nothing(JobConfig):
    """A configuration that says nothing."""


def job(plugin: str, work: str, cost: float) -> Job[Nothing]:
    return Job(plugin, "1", Nothing(), work=work, cost=cost)


def visit(work: str, jobs: int, cost: float, seconds: float, plugin: str = "transfer", **more: object) -> Measured:
    """Jobs of one cost each."""
    facts = {"cpu_seconds": seconds / 2, "peak_memory_bytes": 100, "artifact_bytes": 30 * jobs, "rows": 7 * jobs}
    return Measured(plugin, work, jobs, jobs * cost, seconds, smallest=cost, largest=cost, **facts | more)  # type: ignore[arg-type]


def test_what_a_job_takes_is_told_from_what_its_cost_takes() -> None:
    planted = [visit("score/m/t", 10, cost, 10 * (0.3 + 0.02 * cost)) for cost in (1.0, 5.0, 40.0)]
    found = Durations(planted)
    assert found.expected_seconds(job("transfer", "score/m/t", 20.0)) == pytest.approx(0.7)
    expected = found.expected(job("transfer", "score/m/t", 80.0))
    assert expected is not None
    assert (expected.seconds, expected.cpu_seconds) == pytest.approx((1.9, 0.95))
    assert (expected.beyond, expected.artifact_bytes, expected.rows, expected.peak_memory_bytes) == (2.0, 30, 7, 100)


def test_what_ran_is_expected_again_in_sum_whatever_the_noise() -> None:
    noisy = [visit("w", 4, 1.0, 9.0), visit("w", 2, 3.0, 2.0), visit("w", 3, 9.0, 31.0), visit("w", 5, 4.0, 12.0)]
    found = Durations(noisy)
    assert sum(
        one.jobs * (found.expected_seconds(job("transfer", "w", one.largest)) or 0.0) for one in noisy
    ) == pytest.approx(54.0)


def test_of_one_cost_alone_seconds_go_with_the_cost() -> None:
    found = Durations([visit("w", 4, 10.0, 8.0), visit("w", 4, 10.0, 12.0)])
    assert found.expected_seconds(job("transfer", "w", 10.0)) == pytest.approx(2.5)
    assert found.expected_seconds(job("transfer", "w", 30.0)) == pytest.approx(7.5)


@pytest.mark.parametrize("seconds", [(10.0, 1.0), (1.0, 100.0)])
def test_no_job_is_expected_to_take_less_than_nothing(seconds: tuple[float, float]) -> None:
    """Larger jobs that were quicker, and larger ones that were slower than their cost says."""
    found = Durations([visit("w", 5, 1.0, seconds[0]), visit("w", 5, 10.0, seconds[1])])
    assert all((found.expected_seconds(job("transfer", "w", cost)) or -1.0) > 0 for cost in (0.01, 1.0, 10.0, 1e4))


def test_the_most_special_work_that_enough_jobs_share_is_gone_by() -> None:
    found = Durations(
        [visit("score/a/x", 5, 1.0, 5.0), visit("score/a/y", 5, 1.0, 20.0), visit("score/b/x", 5, 1.0, 50.0)]
    )
    assert found.expected_seconds(job("transfer", "score/a/x", 1.0)) == pytest.approx(1.0)
    assert found.expected_seconds(job("transfer", "score/a/new", 1.0)) == pytest.approx(2.5)
    assert found.expected_seconds(job("transfer", "score/new/x", 1.0)) == pytest.approx(5.0)


def test_a_job_far_beyond_its_like_goes_by_more_general_work_that_reaches_further() -> None:
    found = Durations([visit("small/x", 5, 1.0, 5.0), visit("large/x", 5, 100.0, 50.0)])
    assert found.expected_seconds(job("transfer", "small/x", 1.0)) == pytest.approx(1.0)
    near_large = found.expected(job("transfer", "small/x", 100.0))
    assert near_large is not None
    assert near_large.seconds == pytest.approx(10.0)
    assert near_large.beyond == 1.0


def test_a_job_some_times_beyond_its_like_does_not_go_by_unlike_work_a_little_nearer() -> None:
    found = Durations([visit("train/a", 4, 1.0, 4.0), visit("train/b", 4, 2.0, 4.4)])
    assert found.expected_seconds(job("transfer", "train/a", 12.0)) == pytest.approx(12.0)
    assert found.expected_seconds(job("transfer", "train/a", 48.0)) == pytest.approx(48.0)


def test_what_a_process_imports_is_told_from_what_its_first_jobs_compute() -> None:
    cold = visit("w", 2, 1.0, 2 * 0.5 + 6.0, is_first=True)
    found = Durations([cold, visit("w", 2, 1.0, 1.0), visit("w", 2, 1.0, 1.0)])
    assert found.expected_seconds(job("transfer", "w", 1.0)) == pytest.approx(0.5)
    assert found.first_seconds("transfer")[0] == pytest.approx(6.0)
    assert found.first_seconds("bli") == (0.0, 0.0)


def test_of_what_nothing_is_known_nothing_is_said() -> None:
    found = Durations([visit("w", 5, 1.0, 5.0)])
    assert found.expected(job("bli", "w", 1.0)) is None
    assert not Durations([])


def test_how_visits_differ_is_told_from_three_on() -> None:
    def spread(*seconds: float) -> float | None:
        expected = Durations([visit("w", 5, 1.0, one) for one in seconds]).expected(job("transfer", "w", 1.0))
        assert expected is not None
        return expected.spread

    assert spread(4.0, 6.0) is None
    assert spread(5.0, 5.0, 5.0) == pytest.approx(0.0)
    assert spread(4.0, 5.0, 6.0) == pytest.approx(0.2)  # the sample's standard deviation over its mean
