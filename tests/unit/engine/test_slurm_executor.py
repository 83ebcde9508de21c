"""What is asked of Slurm and how its refusals are taken; `tests/integration/test_slurm.py` asks a real one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from compute.engine.executors import EXECUTORS, Scheduler
from compute.engine.executors import slurm as slurm_module
from compute.engine.executors.cluster import read_cluster
from compute.engine.executors.slurm import SlurmExecutor
from compute.engine.executors.slurm_commands import Slurm, SlurmError, Task
from compute.engine.runner import Batch, Event, Workplace
from compute.errors import UserError
from compute.plugin import Job
from compute.store.landing import Landing
from tests.helpers.any_config import AnyConfig


class Pretended:
    """A Slurm that takes `most` tasks, and whose tasks end at once if `vain`."""

    def __init__(self, most: int = 99, vain: bool = False, largest_index: int = 1000) -> None:
        self.most, self.vain, self.largest_index = most, vain, largest_index
        self.there: list[Task] = []
        self.scripts: list[str] = []
        self.asked: list[Sequence[str]] = []
        self.cancelled: list[str | None] = []

    def tasks(self, name: str) -> list[Task]:
        return list(self.there)

    def submit(self, options: Sequence[str], script: str) -> str:
        told = dict(option.removeprefix("--").partition("=")[::2] for option in options)
        indices = [int(index) for index in told["array"].split(",")]
        if len(self.there) + len(indices) > self.most:
            raise SlurmError("sbatch: error: Job violates accounting/QOS policy")
        self.asked.append(options)
        self.scripts.append(script)
        if not self.vain:
            added = int(told["comment"])
            self.there += [Task(f"1_{index}", added + index, "PENDING", "Priority", "", "0:00") for index in indices]
        return "1"

    def cancel(self, name: str, state: str | None = None) -> None:
        self.cancelled.append(state)


def batches(count: int) -> list[Batch]:
    jobs = [Job("p", "1", AnyConfig(number=number), label=f"job {number}") for number in range(count)]
    return [Batch(job.label, (job,)) for job in jobs]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workplace:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(slurm_module, "_SECONDS_BETWEEN_LOOKS", 0.0)
    monkeypatch.setattr(slurm_module, "_SECONDS_BEFORE_RESUBMITTING", 0.0)
    monkeypatch.setattr(SlurmExecutor, "_interval", lambda self: 0.0)
    return Workplace(tmp_path / "landing", tmp_path / "artifacts", "auto", 1, Path("my study.yml"), "w")


def executor(place: Workplace, workers: int, pretended: Pretended, monkeypatch: pytest.MonkeyPatch) -> SlurmExecutor:
    monkeypatch.setattr(slurm_module, "Slurm", lambda: pretended)
    return SlurmExecutor(place, workers)


def test_it_is_a_scheduler_among_executors() -> None:
    assert issubclass(EXECUTORS.load("slurm"), Scheduler)
    assert not issubclass(EXECUTORS.load("local"), Scheduler)


def test_a_limit_that_is_nowhere_to_be_read_is_found(place: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    pretended = Pretended(most=3)
    running = executor(place, 8, pretended, monkeypatch)
    for batch in batches(20):
        running.submit(batch)
    events = running.events()
    for _ in range(4):
        next(events)
    assert len(pretended.there) == 3
    assert len({task.part for task in pretended.there}) == 3


def test_parts_beyond_the_largest_index_have_arrays_of_their_own(
    place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretended = Pretended(largest_index=4)
    running = executor(place, 10, pretended, monkeypatch)
    for batch in batches(20):
        running.submit(batch)
    next(running.events())
    assert [task.part for task in pretended.there] == list(range(1, 11))
    assert [re.search(r"--part (.*)", script)[1] for script in pretended.scripts] == [  # type: ignore[index]
        "$((0 + SLURM_ARRAY_TASK_ID))/10",
        "$((4 + SLURM_ARRAY_TASK_ID))/10",
        "$((8 + SLURM_ARRAY_TASK_ID))/10",
    ]
    assert "--study 'my study.yml'" in pretended.scripts[0] and "--gres=gpu:1" in pretended.asked[0]


def test_tasks_that_end_before_anything_lands_are_not_submitted_for_ever(
    place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretended = Pretended(vain=True)
    running = executor(place, 2, pretended, monkeypatch)
    running.submit(batches(1)[0])
    log = place.landing / "slurm" / "1_1.log"
    log.parent.mkdir(parents=True)
    log.write_text("first\nModuleNotFoundError: No module named 'torch'\n\n")
    with pytest.raises(UserError, match=r"4 times all tasks ended .*1_1\.log ends: ModuleNotFoundError: No module nam"):
        for _ in running.events():
            pass
    assert len(pretended.scripts) == 4


def test_what_lands_before_it_is_submitted_is_heard_of(place: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tasks run ahead of the run that submits: they see at once what has landed."""
    running = executor(place, 2, Pretended(), monkeypatch)
    one, two = batches(2)
    landing = Landing(place.landing)
    running.submit(one)
    heard: list[Event] = []
    for event in running.events():
        if event.kind == "progress" and not heard:
            for batch in (two, one):
                key = batch.jobs[0].key
                landing.write(key, {}, {"job_key": key, "state": "landed"})
        if event.kind == "landed" and event.job_key == one.jobs[0].key:
            running.submit(two)
        if event.kind != "progress":
            heard.append(event)
        if len(heard) > 9:
            break
    assert [event.text for event in heard if event.kind == "landed"] == ["job 0", "job 1"]


@pytest.mark.parametrize(("kind", "cancelled"), [(None, ["PENDING"]), (KeyboardInterrupt, [None]), (UserError, [])])
def test_ctrl_c_cancels_and_a_defect_does_not(
    place: Workplace, monkeypatch: pytest.MonkeyPatch, kind: type[BaseException] | None, cancelled: list[str | None]
) -> None:
    pretended = Pretended()
    running = executor(place, 2, pretended, monkeypatch)
    running.__exit__(kind)
    assert pretended.cancelled == cancelled


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("partitoin: main", "cluster.yml:1: partitoin: unknown key 'partitoin'; did you mean 'partition'?"),
        ("time: 4:00:00", 'cluster.yml:1: time: put it in quotes: unquoted, YAML makes a number of 4:00:00 ("4:00:00"'),
        ("gpus: 0", "cluster.yml:1: gpus: input should be greater than or equal to 1, found 0"),
        ("- partition", "cluster.yml: expected a mapping with how to ask Slurm for jobs, found list"),
    ],
)
def test_what_is_wrong_in_cluster_yml_is_a_line(tmp_path: Path, text: str, expected: str) -> None:
    file = tmp_path / "cluster.yml"
    file.write_text(text + "\n")
    with pytest.raises(UserError) as error:
        read_cluster(file)
    assert str(error.value).startswith(f"{tmp_path}/{expected}")


def test_how_many_gpus_must_be_said(place: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="how many GPUs at once"), executor(place, 0, Pretended(), monkeypatch):
        pass


def test_where_there_is_no_slurm_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(UserError, match=r"--executor slurm: sbatch, squeue, scontrol, scancel not found"):
        Slurm()
