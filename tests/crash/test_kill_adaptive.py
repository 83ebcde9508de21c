"""kill -9 in the middle of a round of an adaptive study: running again decides, tunes and lands the same."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import duckdb
import psutil

from tests.crash.test_kill import TABLES
from tests.integration.test_adaptive_study import ROOT, STUDY

DECISIONS = "* exclude (decided_at)"
_LONGEST = 240.0


def start(folder: Path, budget: float) -> subprocess.Popen[bytes]:
    """Start computing; what it says goes to a file."""
    (folder / "adapting.yml").write_text(STUDY.format(budget=budget))
    environment = {key: value for key, value in os.environ.items() if key not in ("STUDY", "WAREHOUSE")}
    with (folder / "said.txt").open("wb") as said:
        return subprocess.Popen(
            [
                *(sys.executable, "-m", "compute.cli", "compute", "--study", "adapting.yml"),
                *("--device", "cpu", "--workers", "1"),
            ],
            cwd=folder, env=environment | {"PYTHONPATH": str(ROOT)}, stdout=said, stderr=said,
        )  # fmt: skip


def finish(folder: Path, budget: float) -> None:
    code = start(folder, budget).wait(_LONGEST)
    assert code == 0, (folder / "said.txt").read_text()


def kill(folder: Path, budget: float, when: Callable[[psutil.Process], bool]) -> None:
    """Start computing, and kill it as soon as it is `when` it should be."""
    process = start(folder, budget)
    watched, deadline = psutil.Process(process.pid), time.monotonic() + _LONGEST
    while not when(watched) and process.poll() is None:
        assert time.monotonic() < deadline, (folder / "said.txt").read_text()
        time.sleep(0.02)
    assert process.poll() is None, f"it ended before: {(folder / 'said.txt').read_text()}"
    children = watched.children(recursive=True)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert psutil.wait_procs(children, timeout=30)[1] == []


def contents(folder: Path) -> dict[str, list[tuple[object, ...]]]:
    with duckdb.connect(str(folder / "warehouse.duckdb"), read_only=True) as connection:
        return {
            table: connection.execute(f"select {columns} from raw.{table} order by all").fetchall()
            for table, columns in (TABLES | {"decisions": DECISIONS}).items()
        }


def test_killed_while_it_chooses_and_while_it_tunes(tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    whole.mkdir()
    finish(whole, 0.25)
    shutil.copytree(whole, broken)
    finish(whole, 0.5)

    def chooses(process: psutil.Process) -> bool:
        with suppress(psutil.Error):  # a process that has just ended
            return any("dbt" in " ".join(child.cmdline()) for child in process.children())
        return False

    def tunes(process: psutil.Process) -> bool:
        said = (broken / "said.txt").read_text()
        return "LoRA on" in said.partition("7 to run")[2]

    kill(broken, 0.5, chooses)
    chosen = [row for row in contents(broken)["decisions"] if row in contents(whole)["decisions"]]
    assert [row[1] for row in chosen] == [1]
    kill(broken, 0.5, tunes)
    halfway = contents(broken)
    assert 2 in {row[1] for row in halfway["decisions"]} and len(halfway["jobs"]) < len(contents(whole)["jobs"])
    finish(broken, 0.5)
    assert contents(broken) == contents(whole)
