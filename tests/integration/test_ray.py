"""Against a real Ray on this machine, two nodes with pretended GPUs: what survives, and tables as of a local run."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from compute.store.landing import Landing
from tests.helpers.steps import KEEPING, ROOT, StepsProject, kill, wait_for

pytest.importorskip("ray", reason="Ray is not installed: pip install 'transfer-warehouse[ray]'")
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"

from ray.cluster_utils import Cluster

pytestmark = pytest.mark.xdist_group("ray")  # one cluster at a time: tests look for its processes

Tables = dict[str, list[tuple[object, ...]]]

NODE: dict[str, Any] = {"num_cpus": 1, "num_gpus": 1, "object_store_memory": 80 * 2**20, "include_dashboard": False}
RAY = ("--executor", "ray", "--device", "cpu")


@pytest.fixture(scope="module")
def at_home(tmp_path_factory: pytest.TempPathFactory) -> StepsProject:
    """A project computed on this machine without Ray."""
    project = StepsProject(tmp_path_factory.mktemp("local") / "project")
    code, said = project.run("compute")
    assert code == 0, said
    return project


@pytest.fixture(scope="module")
def local(at_home: StepsProject) -> Tables:
    return at_home.tables()


@pytest.fixture(scope="module")
def caches(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Where each of two nodes keeps its copies of artifacts."""
    return [tmp_path_factory.mktemp("cache") for _ in range(2)]


@pytest.fixture(scope="module")
def cluster(at_home: StepsProject, caches: list[Path]) -> Iterator[Cluster]:
    """Two nodes on which the plugin is installed; runs join the first."""
    before = dict(os.environ)
    os.environ["PYTHONPATH"] = os.pathsep.join([str(at_home.folder / "site"), str(ROOT)])
    own = [{"env_vars": {"XDG_CACHE_HOME": str(cache)}} for cache in caches]
    try:
        found = Cluster(initialize_head=True, head_node_args=NODE | own[0])
    except Exception as error:
        pytest.skip(f"Ray does not start here: {error}")
    found.add_node(**NODE, **own[1])
    os.environ["RAY_ADDRESS"] = found.address
    yield found
    found.shutdown()
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def project(tmp_path: Path, cluster: Cluster) -> StepsProject:
    return StepsProject(tmp_path / "a project")


def task_processes(node: Any = None) -> list[psutil.Process]:
    """Ray's processes that run a task of ours now: all, or those of one node."""
    running = [
        one for one in psutil.process_iter(["cmdline"]) if (one.info["cmdline"] or [""])[0].startswith("ray::transfer")
    ]
    if node is None:
        return running
    raylets = {kept.process.pid for kept in node.all_processes["raylet"]}
    return [one for one in running if one.ppid() in raylets]


def landed_once(project: StepsProject) -> bool:
    """Return whether no job has landed twice, and every file is what its record says."""
    root = project.folder / "landing"
    segments = Landing(root).segments()
    keys = [key for one in segments for key in one.jobs]
    return len(keys) == len(set(keys)) and not any(one.damaged_tables(root, one.files) for one in segments)


def test_tables_equal_a_local_runs_on_the_gpus_of_the_cluster(project: StepsProject, local: Tables) -> None:
    (project.folder / "cluster.yml").write_text("memory: 10M\n")
    code, said = project.run("compute", "--executor", "ray", "--device", "auto")
    assert code == 0, said
    assert "25 to run on 2 x cuda" in said
    assert project.tables() == local and landed_once(project)
    assert not list(project.folder.glob("artifacts/*"))
    code, said = project.run("compute", *RAY)
    assert code == 0 and "0 to run" in said


def test_artifacts_go_by_a_url_where_nodes_share_no_folder(
    tmp_path: Path, cluster: Cluster, caches: list[Path]
) -> None:
    at_home = StepsProject(tmp_path / "at home", study=KEEPING)
    code, said = at_home.run("compute")
    assert code == 0, said
    project = StepsProject(tmp_path / "a project", study=KEEPING)
    (project.folder / "cluster.yml").write_text(f"artifacts: file://{tmp_path}/bucket\n")
    project.hold()
    driver = project.start("compute", *RAY)
    wait_for(lambda: project.landed() == 1 and len(task_processes()) == 2)  # a node each, and the first artifact there
    kill(driver)
    wait_for(lambda: not task_processes())
    driver = project.start("compute", *RAY)
    wait_for(lambda: all(map(task_processes, cluster.list_all_nodes())))  # or one could do it all
    project.release()
    said, _ = driver.communicate(timeout=90)
    assert driver.returncode == 0 and "9 to run" in said, said
    assert project.tables() == at_home.tables() and landed_once(project)
    assert not list(project.folder.glob("artifacts/*"))
    copies = [{path.name for path in cache.glob("transfer-warehouse/artifacts/*/[!.]*")} for cache in caches]
    there = {path.name for path in (tmp_path / "bucket" / "keys").iterdir()}
    assert len(there) == 9 and all(copies) and set.union(*copies) == there
    assert len(set.intersection(*copies)) > 0  # what one made and another read


def test_a_killed_node_loses_nothing(project: StepsProject, local: Tables, cluster: Cluster) -> None:
    project.hold()
    driver = project.start("compute", *RAY)
    (victim,) = cluster.worker_nodes
    wait_for(lambda: project.landed() == 1 and task_processes(victim))
    (at_work,) = task_processes(victim)
    cluster.remove_node(victim, allow_graceful=False)
    wait_for(lambda: not at_work.is_running())
    cluster.add_node(**NODE)
    project.release()
    said, _ = driver.communicate(timeout=90)
    assert driver.returncode == 0, said
    assert "its Ray task ended (" in said
    assert project.tables() == local and landed_once(project)


def test_a_killed_driver_ends_its_tasks_and_the_next_goes_on(project: StepsProject, local: Tables) -> None:
    project.hold()
    driver = project.start("compute", *RAY)
    wait_for(lambda: project.landed() == 1 and len(task_processes()) == 2)
    before = task_processes()
    kill(driver)
    project.release()
    code, said = project.run("compute", *RAY)
    assert code == 0, said
    assert "24 to run" in said
    assert not [one for one in before if one.is_running()]
    assert project.tables() == local and landed_once(project)


@pytest.mark.parametrize("told", [signal.SIGINT, signal.SIGTERM])
def test_what_is_told_to_end_loads_what_has_landed(project: StepsProject, told: signal.Signals) -> None:
    project.hold()
    driver = project.start("compute", *RAY)
    wait_for(lambda: project.landed() == 1 and len(task_processes()) == 2)
    before = task_processes()
    driver.send_signal(told)
    said, _ = driver.communicate(timeout=60)
    assert driver.returncode == 130, said
    assert len(project.tables()["jobs"]) == project.landed() == 1
    wait_for(lambda: not [one for one in before if one.is_running()], 20)


def test_what_fails_or_kills_its_worker_fails_alone(project: StepsProject, local: Tables) -> None:
    (project.folder / "3-1.fails").touch()
    (project.folder / "4-1.ends").touch()
    code, said = project.run("compute", *RAY)
    assert code == 1
    assert "failed: step 3-1: it was told to fail" in said
    assert "failed: step 4-1: 3 Ray tasks ended while they computed it, the last: WorkerCrashedError" in said
    jobs = project.tables()["jobs"]
    failed = {str(job[7]) for job in jobs if job[4] == "failed"}
    assert {"step 3-1", "step 4-1"} <= failed <= {"step 3-1", "step 4-0", "step 4-1", "step 4-2"}
    assert landed_once(project)
    assert [job for job in jobs if job[4] == "landed"] == [job for job in local["jobs"] if job[7] not in failed]


def test_the_cluster_file_is_one_that_ray_takes() -> None:
    from ray.autoscaler._private.util import prepare_config, validate_config

    file = yaml.safe_load((ROOT / "deploy" / "ray.yaml").read_text(encoding="utf-8"))
    validate_config(prepare_config(file))  # as `ray up` does


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("ray://127.0.0.1:10001", "RAY_ADDRESS=ray://127.0.0.1:10001: expected host:port of the cluster's head"),
        ("head", "RAY_ADDRESS=head: expected host:port"),
        ("127.0.0.1:1", "RAY_ADDRESS=127.0.0.1:1: no Ray cluster to join: [Errno 111] Connection refused"),
    ],
)
def test_an_address_without_a_cluster_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str, told: str
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", address)
    code, said = StepsProject(tmp_path / "p").run("compute", *RAY)
    assert code == 2
    assert said.startswith(f"transfer: {told}") and said.count("\n") == 1, said
