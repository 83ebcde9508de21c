"""kill -9 at any moment: running again finishes the rest with the same numbers."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import duckdb
import pytest

from compute.store.landing import Landing
from tests.torture.flips import at_a_reader, through_a_rerun
from tests.torture.project import Project

TINY = Path(__file__).parents[1] / "studies" / "tiny.yml"
COMPUTE = [sys.executable, "-m", "compute.cli", "compute", "--study", str(TINY)]
TABLES = {
    "item_scores": "* ",
    "items": "*",
    "tasks": "* exclude (job_key)",
    "models": "*",
    "training_log": "* exclude (seconds)",
    "bli_ranks": "*",
    "isometry": "*",
    "jobs": "job_key, plugin, config, state, error, label, inputs, rows",
    "study_jobs": "*",
}


def compute(folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        COMPUTE, cwd=folder, env=os.environ | {"DEVICE": "cpu"}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def contents(folder: Path) -> dict[str, list[tuple[object, ...]]]:
    with duckdb.connect(str(folder / "warehouse.duckdb"), read_only=True) as connection:
        return {
            table: connection.execute(f"select {columns} from raw.{table} order by all").fetchall()
            for table, columns in TABLES.items()
        }


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, float]:
    folder = tmp_path_factory.mktemp("whole")
    start = time.monotonic()
    assert compute(folder).wait() == 0
    return folder, time.monotonic() - start


def landed(folder: Path) -> int:
    return len(Landing(folder / "landing").landed_keys())


def test_killed_at_chosen_and_random_moments(uninterrupted: tuple[Path, float], tmp_path: Path) -> None:
    whole, seconds = uninterrupted
    moments = random.Random(0)
    waits = [("jobs", 1), ("jobs", 12), ("jobs", 17), ("time", moments.uniform(0.2, 1.0) * seconds)]
    for kind, amount in waits:
        process = compute(tmp_path)
        deadline = time.monotonic() + (seconds * 3 if kind == "jobs" else amount)
        while process.poll() is None and time.monotonic() < deadline:
            if kind == "jobs" and landed(tmp_path) >= amount:
                break
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert landed(tmp_path) >= 12
    assert compute(tmp_path).wait() == 0
    assert contents(tmp_path) == contents(whole)
    assert not list(tmp_path.glob("artifacts/.*"))
    assert not list(tmp_path.glob("landing/*/.*.tmp"))


def test_a_killed_worker_fails_its_batch_and_no_more(tmp_path: Path, uninterrupted: tuple[Path, float]) -> None:
    import psutil

    process = compute(tmp_path)
    victim = None
    while process.poll() is None:
        with suppress(psutil.Error):  # a process that has just ended
            workers = [
                child
                for child in psutil.Process(process.pid).children(recursive=True)
                if "spawn_main" in " ".join(child.cmdline())
            ]
            busy = [worker for worker in workers if worker.memory_info().rss > 250e6]
            if busy:
                victim = busy[0]
                victim.send_signal(signal.SIGKILL)
                break
        time.sleep(0.05)
    assert victim is not None
    assert process.wait() == 1
    assert compute(tmp_path).wait() == 0
    whole, again = contents(uninterrupted[0]), contents(tmp_path)
    assert again == whole


@pytest.mark.parametrize("signals", [[signal.SIGTERM], [signal.SIGINT, signal.SIGINT]])
def test_told_to_end_it_ends_with_its_workers_and_keeps_what_has_landed(
    signals: list[signal.Signals], tmp_path: Path, uninterrupted: tuple[Path, float]
) -> None:
    import psutil

    process = compute(tmp_path)
    while process.poll() is None and landed(tmp_path) < 5:
        time.sleep(0.01)
    workers = psutil.Process(process.pid).children(recursive=True)
    for one in signals:
        process.send_signal(one)
        time.sleep(0.3)
    assert process.wait() == 130
    assert psutil.wait_procs(workers, timeout=10)[1] == []
    assert landed(tmp_path) >= 5
    if len(signals) == 1:
        with duckdb.connect(str(tmp_path / "warehouse.duckdb"), read_only=True) as connection:
            assert connection.execute("select count(*) from raw.jobs").fetchall() == [(landed(tmp_path),)]
    assert compute(tmp_path).wait() == 0
    assert contents(tmp_path) == contents(uninterrupted[0])


def test_a_flipped_bit_is_found_where_it_is_read(tmp_path: Path, uninterrupted: tuple[Path, float]) -> None:
    """A part of `make torture`."""
    whole = Project(uninterrupted[0])
    assert [line for number in range(60) for line in at_a_reader(number, 7, tmp_path / "now", whole)] == []


@pytest.mark.parametrize("number", [0, 3])  # in an artifact, and in what has landed
def test_what_a_flipped_bit_cost_is_computed_again(
    number: int, tmp_path: Path, uninterrupted: tuple[Path, float]
) -> None:
    assert through_a_rerun(number, 7, tmp_path / "now", Project(uninterrupted[0])) == []
