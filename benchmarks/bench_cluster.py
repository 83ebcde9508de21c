"""100,000 jobs on 64 nodes of 8 GPUs by a simulated clock, and what packing, claiming and landing cost a batch."""

from __future__ import annotations

import tempfile
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from benchmarks.simulated_cluster import Made, Setting, Simulation
from compute.engine.execute import Sharing, execute
from compute.engine.plan import Plan
from compute.engine.runner import Batch, Event, Workplace
from compute.engine.work import Work
from compute.plugin import Job
from compute.store.landing import Landing
from compute.store.runs import Run
from compute.study.schema import Study

GPUS = 64 * 8
OVERHEAD = 0.1
"""Seconds a batch in the simulation: several times what is measured here, for a shared directory on a network."""

SETTINGS = {
    "all ready, costs known": Setting(0, 5_000, 20, 600, 0.6, 0.0, OVERHEAD),
    "all ready, costs wrong by a factor of 2": Setting(0, 5_000, 20, 600, 0.6, 0.7, OVERHEAD),
    "40 models first, costs wrong": Setting(40, 5_000, 20, 600, 0.6, 0.7, OVERHEAD),
    "a job a batch, a minute each": Setting(40, 100_000, 1, 60, 0.6, 0.7, OVERHEAD),
    "a task dies every 20 GPU-hours": Setting(40, 5_000, 20, 600, 0.6, 0.7, OVERHEAD, deaths=0.05),
}


class Instant:
    """An executor that lands each job of a batch at once, without rows."""

    def __init__(self, workplace: Workplace, workers: int) -> None:
        self.landing = Landing(workplace.landing)
        self.queue: deque[Batch] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        return None

    def submit(self, batch: Batch) -> None:
        self.queue.append(batch)

    def events(self) -> Iterator[Event]:
        while self.queue:
            batch = self.queue.popleft()
            segment = self.landing.open_segment()
            for job in batch.jobs:
                segment.add(job.key, {}, {"job_key": job.key, "state": "landed"})
            segment.commit()
            for job in batch.jobs:
                yield Event("landed", batch.name, job.label, job_key=job.key)
            yield Event("finished", batch.name)


def seconds_a_batch(shared: bool, batches: int = 1000) -> float:
    """Return what a batch of one job costs beside its computation; without claims, unless the work is `shared`."""
    jobs = {job.key: job for job in (Job("made", "1", Made(number=n), label=f"job {n}") for n in range(batches))}
    plan = Plan(Study.model_construct(study="made"), jobs, dict.fromkeys(jobs, ""))
    with tempfile.TemporaryDirectory() as folder:
        workplace = Workplace(Path(folder, "landing"), Path(folder, "artifacts"))
        with Run(workplace.landing, "made") as run:
            sharing = Sharing(run, workplace, 1) if shared else None
            began = time.perf_counter()
            landing = Landing(workplace.landing)
            summary = execute(plan, Instant(workplace, 1), landing, lambda event: None, sharing)
            assert len(summary.landed) == batches
            return (time.perf_counter() - began) / batches


def main() -> None:
    """Print the tables of docs/scale.md."""
    print("| plan | batches | hours | tasks | idle share | end beyond the bound |\n|---|---|---|---|---|---|")
    for name, setting in SETTINGS.items():
        found = Simulation(setting, GPUS, seed=1).run()
        print(
            f"| {name} | {setting.bases + setting.batches:,} | {found.end / 3600:.1f} | {found.tasks:,} | "
            f"{100 * found.idle_share:.1f} % | {100 * (found.end / found.bound - 1):.0f} % |",
            flush=True,
        )
    jobs = [Job("made", "1", Made(number=n), label=f"job {n}", cost=n % 97) for n in range(100_000)]
    batches = [Batch(job.label, (job,)) for job in jobs]
    began = time.perf_counter()
    work = Work(batches, GPUS)
    while work.next_ready(7) is not None:
        pass
    packing = (time.perf_counter() - began) / len(batches)
    print("\n| overhead | milliseconds a batch |\n|---|---|")
    print(f"| pack and give out 100,000 batches | {1000 * packing:.3f} |")
    print(f"| commit a segment of one job | {1000 * seconds_a_batch(False):.1f} |")
    print(f"| claim, look, commit and release | {1000 * seconds_a_batch(True):.1f} |")


if __name__ == "__main__":
    main()
