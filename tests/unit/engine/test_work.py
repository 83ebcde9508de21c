"""Batches are packed by cost, given out in the order of the ways behind them, and shared without meeting."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.simulated_cluster import Setting, Simulation
from compute.engine.runner import Batch
from compute.engine.work import Work, make_batches, pack
from compute.plugin import Job
from tests.helpers.any_config import AnyConfig


def job(label: str, *inputs: Job, cost: float = 1.0, batch: str = "") -> Job:
    return Job("p", "1", AnyConfig(label=label), {one.label: one.key for one in inputs}, label, batch, cost)


def alone(*jobs: Job) -> list[Batch]:
    return make_batches(jobs, {})


@given(st.lists(st.floats(0.1, 100), min_size=1, max_size=60), st.integers(1, 9))
def test_no_part_has_more_than_its_share_and_one_batch(costs: list[float], parts: int) -> None:
    loads = [0.0] * parts
    for cost, part in zip(costs, pack(costs, parts), strict=True):
        loads[part - 1] += cost
    assert max(loads) <= sum(costs) / parts + max(costs) * (1 - 1 / parts) + 1e-9  # Graham 1966
    assert sum(loads) == pytest.approx(sum(costs))


def names(work: Work, part: int) -> list[str]:
    found = []
    while (batch := work.next_ready(part)) is not None:
        found.append(batch.name.removeprefix("p "))
    return found


def test_the_longest_way_behind_goes_first_and_helpers_take_the_shortest() -> None:
    long, short = job("long", cost=1), job("short", cost=4)
    middle = job("middle", long, cost=1)
    end = job("end", middle, cost=9)
    work = Work(alone(long, short, middle, end))
    assert names(work, 1) == ["long", "short"]
    assert work.land(long.key) and names(work, 1) == ["middle"]
    assert not work.land(long.key)
    jobs = [job(f"of {cost}", cost=cost) for cost in (8, 7, 2, 1)]
    work = Work(alone(*jobs), 2)  # 8 and 1, 7 and 2
    assert [work.next_ready(1).name for _ in range(3)] == ["p of 8", "p of 1", "p of 2"]  # type: ignore[union-attr]
    assert names(work, 2) == ["of 7"]


def test_what_another_run_has_is_set_aside_and_comes_back_with_what_is_open() -> None:
    one, two = job("one", batch="b"), job("two", batch="b")
    work = Work(alone(one, two))
    assert work.next_ready() is not None
    work.set_aside("p b")
    assert work.next_ready() is None
    work.land(one.key)
    work.take_back("p b")
    found = work.next_ready()
    assert found is not None and [one.label for one in found.jobs] == ["two"]


def test_a_failure_blocks_what_reads_it_in_other_batches_and_of_those_that_others_ran() -> None:
    first, other = job("first"), job("other")
    reader = job("reader", first, batch="b")
    of_reader = job("of reader", reader, batch="b")
    both = job("both", first, other, batch="c")
    sound = job("sound", other, batch="c")
    work = Work(alone(first, other, reader, of_reader, both, sound))
    work.next_ready(), work.next_ready()
    assert work.fail(first.key)
    assert {one.label for one in work.block(first.key)} == {"reader", "of reader", "both"}
    assert work.next_ready() is None
    work.land(other.key)
    found = work.next_ready()
    assert found is not None and [one.label for one in found.jobs] == ["sound"]
    assert work.unsettled == {sound.key}


def test_gpus_are_kept_busy() -> None:
    """The whole of it, with 100,000 jobs and 512 GPUs, is `python -m benchmarks.bench_cluster`."""
    setting = Setting(4, 600, 2, 600, 0.6, 0.7, 0.1)
    found = Simulation(setting, 64, seed=2).run()
    assert found.idle_share <= 0.05
    assert found.tasks <= 70
    # Every task dies after two hours or so: what it computed is computed again.
    dying = Simulation(replace(setting, deaths=0.5), 64, seed=2)
    assert dying.run().computed == pytest.approx(sum(dying.seconds.values()))
    assert dying.tasks > 70
