"""A GPU that fails for good takes its worker process with it, and no later batch."""

from __future__ import annotations

from pathlib import Path

import pytest

from compute.engine.executors.local import LocalExecutor
from compute.engine.runner import Batch, Event, Workplace
from compute.plugin import Job
from compute.store.landing import Landing
from tests.helpers.any_config import AnyConfig

FAULTY = '''
import os
import torch
from compute.errors import JobError
from compute.plugin import Plugin

def refuse(device=None):
    raise torch.AcceleratorError("CUDA error: device-side assert triggered")

torch.cuda.is_initialized = lambda: True
torch.cuda.synchronize = torch.cuda.reset_peak_memory_stats = lambda device=None: None
torch.cuda.max_memory_allocated = lambda device=None: 0

class Faulty(Plugin):
    """On a pretended GPU, which an assertion there breaks until its process ends."""
    name, version = "faulty", "1"

    def plan(self, study, planned, config):
        return ()

    def run(self, jobs, context):
        context.note(str(os.getpid()))
        for job in jobs:
            does = job.config.does
            if does == "asserts":
                torch.cuda.synchronize = refuse
                refuse()
            if does == "tells of it":
                torch.cuda.synchronize = refuse
                yield job, JobError("the model cannot be loaded: CUDA error: an illegal memory access")
            elif does == "needs too much memory":
                raise torch.OutOfMemoryError("CUDA out of memory")
            else:
                torch.cuda.synchronize()
                yield job, {"isometry": []}
'''


@pytest.fixture
def faulty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The plugin above, installed where worker processes find it too."""
    site = tmp_path / "site"
    (site / "faulty-1.dist-info").mkdir(parents=True)
    (site / "faulty.py").write_text(FAULTY)
    (site / "faulty-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: faulty\nVersion: 1\n")
    (site / "faulty-1.dist-info" / "entry_points.txt").write_text("[transfer.plugins]\nfaulty = faulty:Faulty\n")
    monkeypatch.syspath_prepend(site)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")


def batch(*does: str) -> Batch:
    jobs = tuple(Job("faulty", "1", AnyConfig(does=one, batch=does), label=f"{one} {n}") for n, one in enumerate(does))
    return Batch(" ".join(does), jobs)


def run(folder: Path, *batches: Batch) -> tuple[list[str], list[str], list[str]]:
    """What landed, what failed, and the worker process of each batch."""
    events: list[Event] = []
    with LocalExecutor(Workplace(folder / "l", folder / "a", "cuda"), workers=1) as executor:
        for one in batches:
            executor.submit(one)
        events += executor.events()
    assert [event.batch for event in events if event.kind == "finished"] == [one.name for one in batches]

    def texts(kind: str) -> list[str]:
        return [event.text for event in events if event.kind == kind]

    return texts("landed"), texts("failed"), texts("noted")


@pytest.mark.usefixtures("faulty")
@pytest.mark.parametrize("fault", ["asserts", "tells of it"])
def test_its_batch_fails_and_a_fresh_process_takes_the_next(tmp_path: Path, fault: str) -> None:
    broken, sound = batch("is sound", fault, "would be sound"), batch("is sound")
    landed, failed, processes = run(tmp_path, broken, sound)
    assert landed == ["is sound 0", "is sound 0"]
    assert [line.partition(":")[0] for line in failed] == [f"{fault} 1", "would be sound 2"]
    assert all("the GPU failed, and the worker process with it" in line and "CUDA error: " in line for line in failed)
    assert len(set(processes)) == 2
    assert Landing(tmp_path / "l").failed_keys() == {job.key for job in broken.jobs[1:]}  # to be run again


@pytest.mark.usefixtures("faulty")
def test_too_little_memory_ends_no_process(tmp_path: Path) -> None:
    landed, failed, processes = run(tmp_path, batch("needs too much memory"), batch("is sound"))
    assert landed == ["is sound 0"]
    assert "CUDA out of memory" in failed[0] and "worker process" not in failed[0]
    assert len(set(processes)) == 1
