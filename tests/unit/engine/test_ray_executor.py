"""What of the Ray executor needs no Ray: what it asks for, what a task sends, and what is refused."""

from __future__ import annotations

import os
import queue
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from compute.engine.executors import EXECUTORS, Elsewhere, Scheduler
from compute.engine.executors import ray as ray_module
from compute.engine.executors.ray import RayExecutor, _compute, _Errand, _Message, _Task
from compute.engine.runner import Batch, Event, Workplace
from compute.errors import UserError
from compute.plugin import Job
from compute.store.artifacts import ArtifactStore
from compute.store.landing import Landing
from tests.helpers.any_config import AnyConfig

JOB = Job("uriel", "1", AnyConfig(name="a"), label="a")
BATCH = Batch("batch", (JOB,), {JOB.key: 0})


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workplace:
    """Of a run in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    return Workplace(tmp_path / "landing", tmp_path / "artifacts")


def sent(place: Workplace) -> list[_Message]:
    """Return what a task sends over a job that fails by a defect: no plugin has such a configuration."""
    return list(_compute(BATCH, _Errand(place, Path.cwd(), None)))


def test_it_is_elsewhere_and_no_scheduler() -> None:
    assert issubclass(EXECUTORS.load("ray"), Elsewhere) and not issubclass(EXECUTORS.load("ray"), Scheduler)
    assert not issubclass(EXECUTORS.load("local"), Elsewhere)


def test_of_progress_that_comes_too_fast_the_last_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_module, "_SECONDS_BETWEEN_REPORTS", 0.3)
    messages: queue.Queue[_Message | None] = queue.Queue()
    for text in ("starting", "1", "2", "3"):
        messages.put(_Message(Event("progress", "batch", text)))
    messages.put(_Message(Event("noted", "batch", "said")))
    told = ray_module._paced(messages)
    assert [next(told).event.text for _ in range(3)] == ["starting", "said", "3"]
    messages.put(None)
    assert not list(told)


def test_what_a_task_commits_lands_here_once_it_has_arrived(place: Workplace) -> None:
    messages = sent(place)
    assert [message.event.kind for message in messages][-2:] == ["failed", "finished"]
    assert not place.landing.exists()
    executor, task = RayExecutor(place, 1), _Task(BATCH)
    executor._tasks["stream"] = task
    events = [event for message in messages for event in executor._hear("stream", task, message)]
    assert [event.kind for event in events] == [message.event.kind for message in messages]
    record = Landing(place.landing).failures([JOB.key])[JOB.key]
    assert record["error"].endswith("(traceback in landing/errors.log)")
    assert "Traceback" in (place.landing / "errors.log").read_text()
    assert not executor._tasks


@pytest.mark.parametrize("damage", ["file", "record", "missing"])
def test_what_arrives_damaged_has_not_landed(place: Workplace, damage: str) -> None:
    (message,) = [message for message in sent(place) if message.parcels]
    (parcel,) = message.parcels
    if damage == "file":
        parcel = replace(parcel, files={table: content + b" " for table, content in parcel.files.items()})
    elif damage == "record":
        parcel = replace(parcel, record=parcel.record.replace(b'"rows":1', b'"rows":2'))
    else:
        parcel = replace(parcel, files={})
    executor, task = RayExecutor(place, 1), _Task(BATCH)
    executor._tasks["stream"] = task
    landed = Event("landed", "batch", "a", job_key=JOB.key)
    (event,) = executor._hear("stream", task, _Message(landed, [parcel]))
    assert event.kind == "failed" and f"a: cannot land: segment {parcel.name}: " in event.text
    assert [parcel.name] != Landing(place.landing).segment_names()
    assert not list(place.landing.glob(f"*/{parcel.name}.*"))
    assert Landing(place.landing).failed_keys() == {JOB.key}


def test_what_the_disk_refuses_has_failed(place: Workplace) -> None:
    (message,) = [message for message in sent(place) if message.parcels]
    place.landing.write_text("a file")
    executor, task = RayExecutor(place, 1), _Task(BATCH)
    executor._tasks["stream"] = task
    landed = Event("landed", "batch", "a", job_key=JOB.key)
    (event,) = executor._hear("stream", task, replace(message, event=landed, log=""))
    assert event.kind == "failed" and f"a: cannot land in {place.landing}: " in event.text


def test_a_node_that_does_not_see_the_artifacts_is_one_line(place: Workplace, tmp_path: Path) -> None:
    executor = RayExecutor(place, 1)
    assert executor._sight_for(BATCH) is None
    leaves = replace(BATCH, jobs=(replace(JOB, leaves_artifact=True),))
    sight = executor._sight_for(leaves)
    assert sight is not None and sight == RayExecutor(place, 1)._sight_for(leaves)
    reads = replace(BATCH, jobs=(replace(JOB, inputs={"base": "0" * 64}),))
    assert executor._sight_for(reads) is None
    (place.artifacts / ("0" * 64)).mkdir()
    assert executor._sight_for(reads) == sight
    assert list(_compute(leaves, _Errand(place, Path.cwd(), sight)))
    other = replace(place, artifacts=tmp_path / "other")
    RayExecutor(other, 1)._sight_for(leaves)
    for elsewhere in (other, replace(place, artifacts=tmp_path / "none")):
        with pytest.raises(UserError, match=r"does not see .*, where jobs leave artifacts for others; put the project"):
            next(_compute(leaves, _Errand(elsewhere, Path.cwd(), sight)))


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the node keeps copies."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "transfer-warehouse" / "artifacts"


def test_with_a_url_a_node_keeps_copies_of_its_own(place: Workplace, tmp_path: Path, cache: Path) -> None:
    here = replace(place, artifacts_url=f"file://{tmp_path}/bucket")
    with ArtifactStore(place.artifacts).commit(["0" * 64]) as folders:  # before there was a URL
        (folders["0" * 64] / "weights").write_text("1")
    reads = replace(BATCH, jobs=(replace(JOB, inputs={"base": "0" * 64}),))
    executor = RayExecutor(here, 1)
    sight = executor._sight_for(reads)
    assert here.artifact_store.remote is not None and here.artifact_store.remote.has("0" * 64)
    assert sight is not None and list(_compute(reads, _Errand(here, Path.cwd(), sight)))
    (folder,) = cache.iterdir()
    left, new = folder / ".staged-left", folder / ".staged-new"
    for path in (left, new):
        path.mkdir()
    os.utime(left, (0, 0))
    assert list(_compute(reads, _Errand(here, Path.cwd(), sight)))
    assert list(folder.iterdir()) == [new]
    elsewhere = replace(here, artifacts_url=f"file://{tmp_path}/other")
    with pytest.raises(UserError, match=f"does not see what this run wrote at file://{tmp_path}/other: it is another"):
        next(_compute(reads, _Errand(elsewhere, Path.cwd(), sight)))
    assert len(list(cache.iterdir())) == 2


def test_what_a_node_cannot_do_with_a_url_is_one_line(
    place: Workplace, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    errand = _Errand(replace(place, artifacts_url="s3://bucket/a"), Path.cwd(), "0" * 64)
    with pytest.raises(UserError, match=r"Ray: node .*: artifacts at s3://bucket/a: a package is missing: Ins"):
        next(_compute(BATCH, errand))
    (tmp_path / "cache2").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache2"))
    with pytest.raises(UserError, match=r"Ray: node .*cache2.*, for copies of artifacts, cannot be written: Not a dir"):
        next(_compute(BATCH, errand))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("partition: gpu", "cluster.yml: partition: is Slurm's; --executor ray reads gpus, cpus, memory, artifacts"),
        ("memory: much", "cluster.yml: memory: expected an amount such as 32G, found 'much'"),
    ],
)
def test_what_means_nothing_to_ray_is_refused(place: Workplace, text: str, told: str) -> None:
    Path("cluster.yml").write_text(text)
    with pytest.raises(UserError) as raised:
        RayExecutor(place, 1)
    assert str(raised.value) == told


@pytest.mark.parametrize(("text", "bytes_"), [("32G", 32 * 2**30), ("512", 512 * 2**20), ("1tb", 2**40), ("8K", 2**13)])
def test_what_a_task_declares(place: Workplace, text: str, bytes_: int) -> None:
    Path("cluster.yml").write_text(f"cpus: 4\nmemory: '{text}'")
    there = RayExecutor(replace(place, device="cuda"), 1)
    assert there._asked() == {"num_cpus": 4, "num_gpus": 1, "memory": bytes_}
    assert there.workplace.threads == 4 and RayExecutor(place, 1).workplace.threads == 1
    assert RayExecutor(place, 1)._asked()["num_gpus"] == 0


class _Answers:
    """A connected Ray that has some machines."""

    def __init__(self, **there: float) -> None:
        self.there = there

    def cluster_resources(self) -> dict[str, float]:
        return self.there


@pytest.mark.parametrize(
    ("there", "device", "workers", "meant"),
    [
        ({"CPU": 8.0, "GPU": 2.0}, "auto", None, ("cuda", 2)),
        ({"CPU": 8.0, "GPU": 2.0}, "cpu", None, ("cpu", 8)),
        ({"CPU": 8.0}, "auto", None, ("cpu", 8)),
        ({"CPU": 8.0}, "cuda", 5, ("cuda", 5)),
    ],
)
def test_the_clusters_machines_count(
    place: Workplace, monkeypatch: pytest.MonkeyPatch, there: dict[str, float], device: str, workers: Any, meant: Any
) -> None:
    monkeypatch.setattr(ray_module, "_connect", lambda: _Answers(**there))
    assert RayExecutor.machines(device, workers) == meant


def test_a_cluster_without_gpus_is_told(place: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_module, "_connect", lambda: _Answers(CPU=8.0))
    with pytest.raises(UserError, match="no node has a GPU yet; how many at once"):
        RayExecutor.machines("cuda", None)


def test_without_ray_it_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch, place: Workplace) -> None:
    def refuse(name: str) -> None:
        raise ModuleNotFoundError(f"No module named {name!r}")

    monkeypatch.setattr(ray_module, "import_module", refuse)
    with pytest.raises(UserError) as raised:
        RayExecutor.machines("auto", None)
    assert str(raised.value) == "--executor ray needs Ray: pip install 'transfer-warehouse[ray]'"
