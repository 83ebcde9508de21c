"""Several runs compute one project: each batch once, in parts or whole, on schedulers that nobody knows."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest

from compute.store.landing import Landing
from compute.store.runs import living_runs
from tests.helpers.steps import StepsProject, kill, wait_for

JOBS = 25


def jobs_landed_twice(project: StepsProject) -> list[str]:
    keys = [key for segment in Landing(project.folder / "landing").segments() for key in segment.jobs]
    return [key for key in set(keys) if keys.count(key) > 1]


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[tuple[object, ...]]]:
    project = StepsProject(tmp_path_factory.mktemp("local") / "project")
    code, said = project.run("compute")
    assert code == 0, said
    return project.tables()


def test_two_computes_share_the_work_and_both_end_with_all_of_it(
    tmp_path: Path, local: dict[str, list[tuple[object, ...]]]
) -> None:
    project = StepsProject(tmp_path / "project", seconds=0.4)
    first = project.start("compute", "--workers", "1")
    wait_for(lambda: project.landed() > 0)
    second = project.start("compute", "--workers", "1", "--wait", "10")
    wait_for(lambda: len(living_runs(project.folder / "landing")) == 2)
    code, said = project.run("status")
    assert code == 0 and len(re.findall("^running  ", said, re.MULTILINE)) >= 2
    for process in (second, first):
        said, _ = process.communicate(timeout=120)
        assert process.returncode == 0, said
        if process is second:
            assert "shared with 1 more that compute here: process " in said
    assert not jobs_landed_twice(project)
    assert project.tables() == local
    records = Landing(project.folder / "landing").latest_by_label({("steps", f"step {n}-0") for n in range(1, 9)})
    assert len(records) == 8
    assert not list((project.folder / "landing" / "claims").iterdir())


def test_parts_on_any_scheduler_land_and_a_compute_loads(
    tmp_path: Path, local: dict[str, list[tuple[object, ...]]]
) -> None:
    project = StepsProject(tmp_path / "project", seconds=0.1)
    parts = [project.start("compute", "--part", f"{number}/3", "--workers", "1") for number in (1, 2, 3)]
    for process in parts:
        said, _ = process.communicate(timeout=120)
        assert process.returncode == 0, said
    assert project.landed() == JOBS and not jobs_landed_twice(project)
    assert not (project.folder / "warehouse.duckdb").exists()
    code, said = project.run("load")
    assert code == 0, said
    assert project.tables() == local


def test_a_part_does_not_try_again_what_failed_since_and_gives_up_waiting(tmp_path: Path) -> None:
    project = StepsProject(tmp_path / "project")
    (project.folder / "0-0.fails").touch()
    since = "2026-01-01T00:00:00+00:00"
    for attempt, arguments in enumerate((("--since", since), ("--since", since), ())):
        code, said = project.run("compute", "--part", "1/1", *arguments)
        assert code == 1 and "not run because an input failed: 24 jobs" in said
        (record,) = Landing(project.folder / "landing").failures(_keys(project)).values()
        assert record["attempts"] == (1, 1, 2)[attempt]
    (project.folder / "0-0.fails").unlink()
    project.take(6.0)
    first = project.start("compute", "--part", "1/2", "--workers", "1")
    wait_for(lambda: len(list((project.folder / "landing" / "claims").glob("*.json"))) == 1)
    code, said = project.run("compute", "--part", "2/2", "--patience", "0.5")
    assert code == 0 and "left to the runs that compute them: 25 jobs" in said
    first.send_signal(signal.SIGTERM)
    said, _ = first.communicate(timeout=60)
    assert first.returncode == 130, said
    assert not list((project.folder / "landing" / "claims").glob("*.json"))  # given up, not lost


def _keys(project: StepsProject) -> list[str]:
    return list(Landing(project.folder / "landing").failed_keys())


def test_time_that_is_up_ends_a_part_with_a_code_of_its_own(tmp_path: Path) -> None:
    project = StepsProject(tmp_path / "project", seconds=30)
    process = project.start("compute", "--part", "1/2", "--workers", "1")
    wait_for(lambda: list((project.folder / "landing" / "claims").glob("*.json")))
    code, said = project.run("prune")
    assert code == 2 and "computes here; wait for it or end it" in said
    process.send_signal(signal.SIGUSR1)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 75
    assert "time is up; what has landed is kept, run again to go on" in said
    assert list((project.folder / "landing" / "claims").glob("*.json"))  # void: it counts, should it happen again


def test_after_a_killed_run_the_next_takes_all_back(tmp_path: Path, local: dict[str, list[tuple[object, ...]]]) -> None:
    project = StepsProject(tmp_path / "project", seconds=0.5)
    process = project.start("compute", "--workers", "2")
    wait_for(lambda: project.landed() > 1)
    kill(process)
    project.take(0.0)
    code, said = project.run("compute")
    assert code == 0 and "shared with" not in said
    assert project.tables() == local


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--part", "4/3"), "--part: expected a part such as 3/16, from 1/16 to 16/16, found '4/3'"),
        (("--part", "1/2", "--since", "noon"), "--since: expected a time such as 2026-01-31T12:00:00+00:00"),
        (("--part", "1/2", "--executor", "slurm"), "--part: slurm starts the parts itself; leave one of the two out"),
        (("--gpus", "2", "--workers", "2"), "--gpus, --workers: processes here, or tasks elsewhere"),
    ],
)
def test_wrong_parts_are_one_line(tmp_path: Path, arguments: tuple[str, ...], expected: str) -> None:
    code, said = StepsProject(tmp_path / "project").run("compute", *arguments)
    assert code == 2 and expected in said
