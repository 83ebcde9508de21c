"""On several GPUs each worker sees its own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from compute.devices import default_workers, visible_gpus
from compute.executors.local import LocalExecutor
from compute.plugin import Job
from compute.runner import Batch, Workplace, run_batch


def test_workers_are_as_many_as_visible_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2, GPU-abc")
    assert visible_gpus() == ["2", "GPU-abc"]
    assert default_workers("cuda") == 2
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert visible_gpus() == []


def test_each_worker_sees_one_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Real worker processes: a plugin that is not there fails in each, and the environment they were born with is told
    by the kernel."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
    seen = set()
    batches = [Batch(name, (Job("nowhere", "1", {"name": name}, label=name),)) for name in "abcd"]
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


def test_products_on_a_gpu_are_of_whole_float32_whatever_the_environment_says(tmp_path: Path) -> None:
    import torch

    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("high")
        batch = Batch("a", (Job("nowhere", "1", {}, label="a"),))
        run_batch(batch, Workplace(tmp_path / "l", tmp_path / "a", "cuda"), lambda event: None)
        assert torch.get_float32_matmul_precision() == "highest"
    finally:
        torch.set_float32_matmul_precision(before)
