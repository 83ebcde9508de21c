"""On several GPUs each worker sees its own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from compute.engine.devices import default_workers, threads_a_worker, visible_gpus
from compute.engine.executors.local import LocalExecutor
from compute.engine.runner import Batch, Workplace, run_batch
from compute.plugin import Job
from compute.verbs.session import Session
from tests.helpers.any_config import AnyConfig


def test_workers_are_as_many_as_visible_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2, GPU-abc")
    assert visible_gpus() == ["2", "GPU-abc"]
    assert default_workers("cuda") == 2
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert visible_gpus() == []


def test_beside_a_gpu_the_cores_are_shared_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the session tells its executor; on a CPU a worker keeps to one core, so that sums are the same anywhere."""
    monkeypatch.setattr("os.sched_getaffinity", lambda process: set(range(16)))
    monkeypatch.setattr("compute.verbs.session.resolve_device", lambda name: name)
    monkeypatch.chdir(tmp_path)
    told = []

    class Told(LocalExecutor):
        def __init__(self, workplace: Workplace, workers: int) -> None:
            told.append((workplace.device, workers, workplace.threads))
            raise KeyboardInterrupt

    monkeypatch.setattr("compute.verbs.session.load_executor", lambda name: Told)
    session = Session(Path(__file__).parents[2] / "studies" / "tiny.yml", tmp_path / "w.duckdb", 0, lambda line: None)
    for device, workers in (("cuda", 3), ("cuda", 32), ("cpu", 3)):
        with pytest.raises(KeyboardInterrupt):
            session.compute("local", device, workers)
    assert told == [("cuda", 3, 5), ("cuda", 32, 1), ("cpu", 3, 1)]
    assert threads_a_worker("cuda", 1) == 16


def test_each_worker_sees_one_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Real worker processes: a plugin that is not there fails in each, and the environment they were born with is told
    by the kernel."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
    seen = set()
    batches = [Batch(name, (Job("nowhere", "1", AnyConfig(name=name), label=name),)) for name in "abcd"]
    with LocalExecutor(Workplace(tmp_path / "l", tmp_path / "a", "cuda"), workers=3) as executor:
        for batch in batches:
            executor.submit(batch)
        for _ in executor.events():
            for worker in executor._pool:
                environment = Path(f"/proc/{worker.process.pid}/environ").read_bytes().split(b"\0")
                mine = next(e for e in environment if e.startswith(b"CUDA_VISIBLE_DEVICES="))
                seen.add((worker.place, mine.partition(b"=")[2].decode()))
    assert seen == {(0, "4"), (1, "7"), (2, "4")}
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "4,7"


@pytest.mark.parametrize("seen", [True, False], ids=["seen", "unseen"])
def test_a_worker_that_ends_while_idle_ends_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seen: bool) -> None:
    """Unseen: it ends between the look at it and the batch that it is sent. That batch fails, the next has another."""
    batches = [Batch(name, (Job("nowhere", "1", AnyConfig(name=name), label=name),)) for name in "abc"]
    with LocalExecutor(Workplace(tmp_path / "l", tmp_path / "a"), workers=1) as executor:
        executor.submit(batches[0])
        list(executor.events())
        process = executor._pool[0].process
        process.kill()
        process.join()
        if not seen:
            monkeypatch.setattr(process, "is_alive", lambda: True)
        for batch in batches[1:]:
            executor.submit(batch)
        failed = [event.text for event in executor.events() if event.kind == "failed"]
    assert failed[1].startswith("c: unknown plugin 'nowhere'")
    assert failed[0].startswith("b: unknown plugin 'nowhere'" if seen else "b: the worker process was ended by SIGKILL")


def test_products_on_a_gpu_are_of_whole_float32_whatever_the_environment_says(tmp_path: Path) -> None:
    import torch

    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("high")
        batch = Batch("a", (Job("nowhere", "1", AnyConfig(), label="a"),))
        run_batch(batch, Workplace(tmp_path / "l", tmp_path / "a", "cuda"), lambda event: None)
        assert torch.get_float32_matmul_precision() == "highest"
    finally:
        torch.set_float32_matmul_precision(before)
