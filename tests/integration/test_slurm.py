"""Against a real Slurm on this machine: what is queued, what survives, and that the tables equal a local run's."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import psutil
import pytest

from compute.engine.executors.slurm_commands import Slurm, Task
from compute.store.runs import claims, living_runs
from tests.helpers.steps import StepsProject, kill, wait_for

pytestmark = pytest.mark.xdist_group("slurm")  # one Slurm at a time: its ports are fixed
START = Path(__file__).parents[2].parent / "shared" / "slurm" / "start.sh"
STEPD = Path("/usr/sbin/slurmstepd")
LARGEST_INDEX = 3

Tables = dict[str, list[tuple[object, ...]]]


class Cluster:
    """The daemons of a Slurm of one node with two cores."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        done = subprocess.run(["bash", str(START), str(folder)], capture_output=True, text=True, check=False)
        if done.returncode:
            self.stop()
            pytest.skip(f"Slurm does not start here: {(done.stdout + done.stderr).strip().splitlines()[-1]}")
        for name, value in re.findall(r"(SLURM_CONF|LD_LIBRARY_PATH)=(\S*)", done.stdout):
            os.environ[name] = value
        os.environ["PATH"] = f"{folder / 'root' / 'usr' / 'bin'}{os.pathsep}{os.environ['PATH']}"
        conf = folder / "slurm.conf"
        text = re.sub("MaxArraySize=.*", f"MaxArraySize={LARGEST_INDEX + 1}", conf.read_text())
        text = re.sub("CPUs=.*? RealMemory", "CPUs=2 RealMemory", text)
        conf.write_text(text)
        self.kill("ctld")
        self.start("ctld")
        wait_for(lambda: "idle" in self.says("sinfo", "-h", "-o", "%T"))

    def says(self, *command: str) -> str:
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout

    def kill(self, daemon: str) -> None:
        with suppress(OSError, ValueError, psutil.NoSuchProcess):
            process = psutil.Process(int((self.folder / f"{daemon}.mypid").read_text()))
            process.kill()
            process.wait(10)

    def start(self, daemon: str) -> None:
        program = {"ctld": "slurmctld-wlm", "d": "slurmd-wlm"}[daemon]
        command = [str(self.folder / "root" / "usr" / "sbin" / program), "-D", "-f", str(self.folder / "slurm.conf")]
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        (self.folder / f"{daemon}.mypid").write_text(str(process.pid))

    def stop(self) -> None:
        with suppress(FileNotFoundError):  # it may not have come so far as to have one
            self.says("scancel", "--me")
        for daemon in ("d", "ctld"):
            self.kill(daemon)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    if not START.exists():
        pytest.skip("../shared/slurm is not there")
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        pytest.skip("Slurm is started as root, from Debian's packages")
    with closing(socket.socket()) as probe:
        if probe.connect_ex(("127.0.0.1", 46817)) == 0:
            pytest.skip("another Slurm is running on the port that ours would use")
    before = dict(os.environ)
    if STEPD.is_symlink() and not STEPD.exists():
        STEPD.unlink()  # of an earlier test, whose folder is gone
    found = Cluster(tmp_path_factory.mktemp("slurm"))
    yield found
    found.stop()
    os.environ.clear()
    os.environ.update(before)
    if STEPD.is_symlink() and STEPD.readlink().is_relative_to(found.folder):
        STEPD.unlink()


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    """The tables of a run on this machine without Slurm."""
    project = StepsProject(tmp_path_factory.mktemp("local") / "project")
    code, said = project.run("compute")
    assert code == 0, said
    return project.tables()


@pytest.fixture
def project(tmp_path: Path, cluster: Cluster) -> Iterator[StepsProject]:
    """Its folder's name is one that a shell would take for several words."""
    yield StepsProject(tmp_path / "a 'b\" $HOME ;c")
    cluster.says("scancel", "--me")
    wait_for(lambda: not cluster.says("squeue", "-h"), 40)


SLURM = ("--executor", "slurm")


def tasks(project: StepsProject) -> list[Task]:
    names = set(subprocess.run(["squeue", "-h", "-o", "%j"], capture_output=True, text=True, check=True).stdout.split())
    return [task for name in names for task in Slurm().tasks(name)]


def running(project: StepsProject) -> int:
    return len([facts for facts in living_runs(project.folder / "landing").values() if facts.place])


def at_work(project: StepsProject) -> int:
    """How many tasks compute a batch after the first."""
    landing = project.folder / "landing"
    tasks_alive = {name for name, facts in living_runs(landing).items() if facts.place}
    return len(tasks_alive & {claim.run for claim in claims(landing).values()}) if project.landed() else 0


def test_tables_equal_a_local_runs_and_tasks_are_as_many_as_gpus(
    project: StepsProject, local: Tables, cluster: Cluster
) -> None:
    (project.folder / "cluster.yml").write_text(
        'partition: main\ntime: "0:30:00"\noptions: [--nice=7]\nsetup: ["export WORDS=\'two words\'"]\n'
    )
    project.hold()
    process = project.start("compute", *SLURM, "--gpus", "5")
    wait_for(lambda: len(tasks(project)) == 5)  # once the first step has landed, 8 batches are ready
    shown = cluster.says("scontrol", "show", "job")
    # Parts 4 and 5 have an array of their own, for no index may be larger than 3.
    assert {int(index) for index in re.findall(r"ArrayTaskId=(\d+)", shown)} <= {1, 2, 3}
    assert {task.part for task in tasks(project)} == {1, 2, 3, 4, 5}
    project.release()
    assert "TimeLimit=00:30:00" in shown and "Partition=main" in shown and "Nice=7" in shown and "Requeue=1" in shown
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert project.tables() == local
    logs = list((project.folder / "landing" / "slurm").glob("*.log"))
    assert len(logs) <= 6  # not one a job, of which there are 25
    code, said = project.run("compute", *SLURM, "--gpus", "5")
    assert code == 0 and "0 to run" in said and not [one for one in tasks(project) if one.state == "PENDING"]


def test_a_killed_driver_and_a_killed_task_lose_nothing_and_are_not_submitted_for_twice(
    project: StepsProject, local: Tables
) -> None:
    project.hold()
    driver = project.start("compute", *SLURM, "--gpus", "2")
    wait_for(lambda: at_work(project) == 2)
    kill(driver)
    before = {task.id for task in tasks(project)}
    code, said = project.run("status")
    assert code == 0 and "25 jobs: " in said and "expected end: " in said
    assert len(re.findall(r"^running  process \d+ on .* \(Slurm \d+_[12]\), part [12]/2", said, re.MULTILINE)) == 2, (
        said
    )
    again = project.start("compute", *SLURM, "--gpus", "2")
    wait_for(lambda: len(living_runs(project.folder / "landing")) == 3)
    time.sleep(3)  # it has asked Slurm by now
    assert {task.id for task in tasks(project)} == before
    victim = next(facts for facts in living_runs(project.folder / "landing").values() if facts.place)
    os.kill(victim.process, signal.SIGKILL)
    project.release()
    said, _ = again.communicate(timeout=90)
    assert again.returncode == 0, said
    assert project.tables() == local


def test_a_task_whose_time_is_up_is_queued_again_and_a_node_that_dies_loses_nothing(
    project: StepsProject, local: Tables, cluster: Cluster
) -> None:
    project.hold()
    driver = project.start("compute", *SLURM, "--gpus", "2")
    wait_for(lambda: at_work(project) == 2)
    out_of_time, of_node = tasks(project)
    cluster.says("scancel", "--batch", "--signal=USR1", out_of_time.id)
    wait_for(lambda: any(one.id == out_of_time.id and one.state == "PENDING" for one in tasks(project)))
    assert "Restarts=1" in cluster.says("scontrol", "show", "job", out_of_time.id)
    # Slurm lets two minutes pass before it runs such a task again.
    cluster.says("scontrol", "update", f"JobId={out_of_time.id}", "StartTime=now")
    cluster.kill("d")
    for facts in living_runs(project.folder / "landing").values():
        if facts.place == of_node.place:
            os.kill(facts.process, signal.SIGKILL)
    cluster.start("d")
    project.release()
    said, _ = driver.communicate(timeout=120)
    assert driver.returncode == 0, said
    assert project.tables() == local


def test_cancelling_cancels(project: StepsProject, cluster: Cluster) -> None:
    project.hold()
    driver = project.start("compute", *SLURM, "--gpus", "3")
    wait_for(lambda: at_work(project) == 2)
    driver.send_signal(signal.SIGINT)
    said, _ = driver.communicate(timeout=60)
    assert driver.returncode == 130, said
    wait_for(lambda: not tasks(project), 40)
    assert len(project.tables()["jobs"]) == project.landed() == 1
    # Without its driver, by the verb.
    driver = project.start("compute", *SLURM, "--gpus", "3")
    wait_for(lambda: running(project) == 2)
    kill(driver)
    code, said = project.run("cancel")
    assert code == 0 and "cancelled  Slurm " in said, said
    wait_for(lambda: not tasks(project) and not living_runs(project.folder / "landing"), 40)


def test_what_fails_is_told_once_and_what_kills_its_run_is_given_up(project: StepsProject, local: Tables) -> None:
    (project.folder / "3-1.fails").touch()
    (project.folder / "4-0.kills").touch()
    (project.folder / "cluster.yml").write_text("gpus: 6\nmax_jobs: 1\n")
    code, said = project.run("compute", *SLURM)
    assert code == 1
    assert "failed: step 3-1: it was told to fail" in said
    assert "failed: step 4-0: 3 runs ended while they computed it, the last of them process " in said
    jobs = project.tables()["jobs"]
    failed = {str(job[7]): job[6] for job in jobs if job[4] == "failed"}
    assert failed == {"step 3-1": 1, "step 4-0": 1, "step 4-1": 1, "step 4-2": 1}
    assert [job for job in jobs if job[4] == "landed"] == [job for job in local["jobs"] if job[7] not in failed]
    code, said = project.run("status")
    assert code == 1 and "failed   step 3-1: it was told to fail (attempt 1)" in said


def test_what_slurm_refuses_is_told_in_its_words(project: StepsProject) -> None:
    (project.folder / "cluster.yml").write_text("gpus: 2\npartition: nosuch\n")
    code, said = project.run("compute", *SLURM)
    assert code == 2
    assert (
        "transfer: Slurm refuses: sbatch: error: Batch job submission failed: Invalid partition name specified" in said
    )
