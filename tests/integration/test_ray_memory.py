"""A worker that Ray ends for want of memory, on a real node that is told early that it has too little."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.helpers.steps import ROOT, StepsProject

pytest.importorskip("ray", reason="Ray is not installed: pip install 'transfer-warehouse[ray]'")
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"

from ray.cluster_utils import Cluster

pytestmark = [
    pytest.mark.xdist_group("ray"),  # one cluster at a time
    pytest.mark.skipif(
        os.environ.get("TRANSFER_SLOW_TESTS") != "1", reason="takes a minute and 4 GiB; set TRANSFER_SLOW_TESTS=1"
    ),
]

SPARE = 3 * 2**30
"""Bytes that others on this machine may come to use meanwhile."""


@pytest.fixture
def project(tmp_path: Path) -> Iterator[StepsProject]:
    memory = psutil.virtual_memory()
    if memory.available < 4 * SPARE:
        pytest.skip(f"{memory.available / 2**30:.0f} GiB are free, which is too little to try")
    project = StepsProject(tmp_path / "a project")
    before = dict(os.environ)
    os.environ["PYTHONPATH"] = os.pathsep.join([str(project.folder / "site"), str(ROOT)])
    limits = {"memory_usage_threshold": (memory.used + SPARE) / memory.total, "memory_monitor_refresh_ms": 50}
    node = {"num_cpus": 2, "object_store_memory": 80 * 2**20, "include_dashboard": False, "_system_config": limits}
    try:
        cluster = Cluster(initialize_head=True, head_node_args=node)
    except Exception as error:
        pytest.skip(f"Ray does not start here: {error}")
    os.environ["RAY_ADDRESS"] = cluster.address
    yield project
    cluster.shutdown()
    os.environ.clear()
    os.environ.update(before)


def test_what_takes_too_much_memory_fails_and_the_rest_lands_once(project: StepsProject) -> None:
    (project.folder / "4-0.hogs").touch()
    code, said = project.run("compute", "--executor", "ray", "--device", "cpu")
    assert code == 1, said
    assert "failed: step 4-0: 3 Ray tasks ended while they computed it, the last: OutOfMemoryError: " in said
    states = {str(job[7]): job[4] for job in project.tables()["jobs"]}
    lost = {f"step 4-{number}" for number in range(3)}
    assert {label for label, state in states.items() if state == "failed"} == lost
    assert len(states) == 25 and len(project.tables()["language_distances"]) == 22
