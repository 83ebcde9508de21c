"""A batch is claimed by one run at a time, and a dead run's claim is void."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from compute.errors import UserError
from compute.store import runs
from compute.store.landing import Landing
from compute.store.runs import Run, cancel, claims, living_runs
from compute.store.watch import Watch

ELSEWHERE = "other-host pid:[4026531836]"


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    with Run(tmp_path, "s") as run:
        yield run


def tell_of(root: Path, name: str, host: str, age: float = 0.0, process: int = 1) -> None:
    """Write what a run of another machine says of itself, `age` seconds ago."""
    path = root / "runs" / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        json.dumps({"name": name, "host": host, "process": process, "born": 0.0, "started": "", "study": "s"})
    )
    then = path.stat().st_mtime - age
    os.utime(path, (then, then))


def claim_of(root: Path, name: str, batch: str, jobs: int) -> None:
    """Claim a batch for a run of another machine."""
    other = Run(root, "s")
    other.facts = runs.RunFacts(name, ELSEWHERE, 1, 0.0, "", "s")
    assert other.take(batch, jobs) is not None


def test_only_one_of_many_takes_a_batch(tmp_path: Path) -> None:
    with Run(tmp_path, "s") as one, Run(tmp_path, "s") as other:
        assert one.take("a", 1) is not None
        assert other.take("a", 1) is None
        assert other.take("b", 1) is not None
        one.release("a")
        assert other.take("a", 1) is not None
        assert {claim.run for claim in claims(tmp_path).values()} == {other.facts.name}
    assert not claims(tmp_path) and not living_runs(tmp_path)


def test_threads_that_take_at_once_do_not_share(tmp_path: Path) -> None:
    everybody = [Run(tmp_path, "s") for _ in range(8)]
    for one in everybody:
        one._write()
    taken: list[str] = []

    def take(one: Run) -> None:
        taken.extend(batch for batch in map(str, range(40)) if one.take(batch, 1) is not None)

    threads = [threading.Thread(target=take, args=[one]) for one in everybody]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == sorted(map(str, range(40)))


@pytest.mark.parametrize(("age", "is_taken"), [(60.0, False), (runs.SECONDS_TO_LIVE + 30, True)])
def test_a_claim_from_elsewhere_is_void_when_its_run_has_been_silent(
    run: Run, tmp_path: Path, age: float, is_taken: bool
) -> None:
    tell_of(tmp_path, "other", ELSEWHERE, age)
    claim_of(tmp_path, "other", "a", jobs=3)
    assert ("other" in living_runs(tmp_path)) is not is_taken
    claim = run.take("a", 3)
    assert (claim is not None) is is_taken
    if claim is not None:
        assert claim.lost == ("process 1 on other-host",)


def test_a_batch_that_made_headway_is_not_lost(run: Run, tmp_path: Path) -> None:
    """No run is told of for which the claim was too much, where a job of the batch has landed since."""
    claim_of(tmp_path, "gone", "a", jobs=3)
    claim = run.take("a", 2)
    assert claim is not None and claim.lost == ()


def test_a_process_that_is_gone_from_here_is_dead_at_once(run: Run, tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from compute.store.runs import Run\n"
        "run = Run(Path(sys.argv[1]), 's').__enter__(); run.take('a', 1); print('has it', flush=True); time.sleep(60)"
    )
    other = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert other.stdout is not None and other.stdout.readline() == "has it\n"
    assert run.take("a", 1) is None
    assert len(living_runs(tmp_path)) == 2
    other.send_signal(signal.SIGKILL)  # and it is not waited for: a process of which only a number is left
    os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)
    assert run.take("a", 1) is not None
    assert list(living_runs(tmp_path)) == [run.facts.name]
    other.wait()
    other.stdout.close()


def test_a_number_that_came_again_is_another_process(tmp_path: Path) -> None:
    tell_of(tmp_path, "before", runs._host(), process=os.getpid())
    assert not living_runs(tmp_path)


def test_a_run_that_was_taken_for_dead_leaves_the_claim_to_whom_has_it(tmp_path: Path) -> None:
    with Run(tmp_path, "s") as heir:
        silent = Run(tmp_path, "s")
        assert silent.take("a", 1) is not None  # and never said that it lives
        assert heir.take("a", 1) is not None
        silent.release("a")
        assert claims(tmp_path)["a"].run == heir.facts.name


def test_two_that_find_the_same_void_claim_do_not_take_it_from_each_other(run: Run, tmp_path: Path) -> None:
    claim_of(tmp_path, "gone", "a", jobs=1)
    void = claims(tmp_path)["a"]
    assert run.take("a", 1) is not None
    path = next((tmp_path / "claims").glob("*.json"))
    runs._bury(path, void)  # by one that has read the void claim before
    assert claims(tmp_path)["a"].run == run.facts.name


def test_a_run_out_of_time_gives_back_what_it_had_for_a_while_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(runs.time, "monotonic", lambda: now[0])
    with Run(tmp_path, "s") as run:
        for batch, now[0] in (("long", 1.0), ("short", 90.0)):
            run.take(batch, 1)
        run.out_of_time, now[0] = True, 100.0
    assert list(claims(tmp_path)) == ["long"]


def test_a_run_is_cancelled_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = threading.Event()
    monkeypatch.setattr(runs, "SECONDS_BETWEEN_BEATS", 0.05)
    before = signal.signal(signal.SIGTERM, lambda number, frame: told.set())
    try:
        with Run(tmp_path, "s") as run:
            cancel(tmp_path, run.facts.name)
            assert told.wait(10)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert not list((tmp_path / "runs").iterdir())


def test_a_folder_that_takes_no_claims_is_named(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(UserError, match=r"claims: a file cannot be linked: Operation not permitted; use"):
        run.take("a", 1)


def fail(landing: Landing, key: str) -> None:
    segment = landing.open_segment()
    segment.add_failure(key, {"job_key": key, "state": "failed", "error": "e", "attempts": 1})
    segment.commit()


def test_failures_from_before_are_no_news(tmp_path: Path) -> None:
    landing = Landing(tmp_path)
    fail(landing, "old")
    landing.write("landed", {}, {"job_key": "landed", "state": "landed"})
    since = datetime.now(UTC)
    watch = Watch(landing, since)
    assert watch.news() == (["landed"], [])
    fail(Landing(tmp_path), "new")
    assert watch.news() == ([], ["new"])
    assert watch.news() == ([], [])
    # Begun later, a run that is part of the same submission counts it as failed too.
    assert Watch(landing, since).news() == (["landed"], ["new"])
    assert Watch(landing, datetime.now(UTC) + timedelta(seconds=1)).news() == (["landed"], [])
