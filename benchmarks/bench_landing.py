"""Times what stands between a worker's rows and the warehouse: landing, loading, and the plan of a million jobs.

    python -m benchmarks.bench_landing                     # the published grid, and a million jobs; half an hour
    python -m benchmarks.bench_landing --jobs 5000 --seeds 5

Each part runs in a process of its own, whose CPU time and peak memory are told. Prints Markdown tables, as in
benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from compute.engine.plan import study_jobs
from compute.plugin import Job, JobConfig, canonical_json
from compute.store.landing import Landing
from compute.store.merging import merge_small
from compute.store.registration import RegisteredStudy
from compute.store.warehouse import Warehouse
from compute.study.file import read_study

ROOT = Path(__file__).resolve().parent.parent
JOBS_A_VISIT = 44
"""Targets of an adapter in the published grid: a worker commits at least so often."""
ONE_ROW = {"item_scores": [{"item_id": "item-0", "gold": 0, "logprobs": [-1.0, -2.0]}]}


class Cell(JobConfig):
    """Stands for the configuration of a scoring job."""

    model: str
    variant: str = "default"
    source_task: str = "reasoning"
    source_language: str = "de"
    control: str | None = None
    seed: int
    target_task: str = "knowledge"
    target_language: str = "fr"
    prompt: str = "plain@0123456789ab"
    number: int


def cells(number: int) -> list[Job[Cell]]:
    """Return as many scoring jobs; the same every time."""
    return [
        Job("transfer", "1", Cell(model=f"model-{n % 9}@1", seed=n % 3, number=n), label=f"cell {n}")
        for n in range(number)
    ]


def rows(job: Job[Cell], items: int) -> list[dict[str, Any]]:
    """Return rows of `raw.item_scores` with four choices, the log-probabilities made up."""
    keys = job.config.model_dump(exclude={"number"})
    scores = -9 * np.random.default_rng(job.config.number).random((items, 4))
    return [
        {
            **keys,
            "item_id": f"item-{item}",
            "gold": item % 4,
            "logprobs": scores[item].tolist(),
            "token_counts": [1, 2, 1, 2],
            "char_counts": [3 + item % 5, 3 + item % 7, 3 + item % 4, 3 + item % 3],
            "byte_counts": [4 + item % 5, 4 + item % 7, 5 + item % 4, 4 + item % 3],
            "truncated_tokens": 0,
        }
        for item in range(items)
    ]


def record(job: Job[Any]) -> dict[str, Any]:
    """Return what a worker records of a job."""
    return {
        "job_key": job.key,
        "plugin": job.plugin,
        "plugin_version": job.version,
        "config": canonical_json(job.values),
        "state": "landed",
        "attempts": 1,
        "finished_at": datetime.now(UTC).replace(tzinfo=None),
        "label": job.label,
        "versions": '{"polars":"2","python":"3.11"}',
    }


def land(folder: Path, number: int, items: int) -> str:
    """Land the cells, a segment a visit; rows are made beside the clock."""
    landing, jobs, cpu, wall = Landing(folder / "landing"), cells(number), 0.0, 0.0
    for start in range(0, number, JOBS_A_VISIT):
        visit = [(job, rows(job, items)) for job in jobs[start : start + JOBS_A_VISIT]]
        before, began = time.process_time(), time.perf_counter()
        segment = landing.open_segment()
        for job, scored in visit:
            segment.add(job.key, {"item_scores": scored}, record(job))
        segment.commit()
        cpu, wall = cpu + time.process_time() - before, wall + time.perf_counter() - began
    return f"{1000 * cpu / number:.2f} ms of CPU and {1000 * wall / number:.2f} ms of wall a job; {_files(folder)}"


def load(folder: Path, number: int, items: int) -> str:
    """Load them into a new warehouse, and then again."""
    warehouse = Warehouse(folder / "warehouse.duckdb")
    study = RegisteredStudy("grid", "{}", "computed", {job.key: job for job in cells(number)})
    loaded = warehouse.load(study, Landing(folder / "landing"))
    return f"{loaded.jobs:,} jobs, {loaded.rows:,} rows; {warehouse.path.stat().st_size / 1e6:.0f} MB"


def merge(folder: Path, number: int, items: int) -> str:
    """Merge the visits' segments."""
    merge_small(Landing(folder / "landing"))
    return _files(folder)


def land_plan(folder: Path, number: int, items: int) -> str:
    """Land every job of the study that is planned, with one row."""
    jobs, landing = list(study_jobs(read_study(folder / "study.yml")).values()), Landing(folder / "landing")
    for start in range(0, len(jobs), 250):
        segment = landing.open_segment()
        for job in jobs[start : start + 250]:
            segment.add(job.key, ONE_ROW, record(job))
        segment.commit()
    return f"{len(jobs):,} jobs; {_files(folder)}"


PARTS = {part.__name__: part for part in (land, load, merge, land_plan)}


def _files(folder: Path) -> str:
    sizes = [path.stat().st_size for path in (folder / "landing").rglob("*") if path.is_file()]
    return f"{len(sizes):,} files, {sum(sizes) / 1e6:.0f} MB"


def write_study(path: Path, seeds: int) -> None:
    """Write a study of four models, 42 sources and 84 targets: 14,280 jobs a seed, and a few."""
    languages = ["en", "de", "nl", "sv", "da", "es", "it", "pt", "fr", "ru", "uk", "pl", "tr", "fi"]
    pretrain = {"languages": ["en", "de"], "steps": 20, "batch_tokens": 1024}
    shapes = [(size, layers) for size in (32, 64) for layers in (1, 2)]
    study = {
        "study": "million",
        "models": [
            {
                "name": f"llama-{size}-{layers}",
                "architecture": {
                    "family": "llama", "hidden_size": size, "layers": layers, "heads": 2, "intermediate_size": 64
                },
                "pretrain": pretrain,
            }
            for size, layers in shapes
        ],
        "sources": {"tasks": ["compare", "parity", "round"], "languages": languages},
        "targets": {"tasks": ["read", "compare", "parity", "add", "round", "language"], "languages": languages},
        "items": {"train": 600, "dev": 0, "test": 150},
        "seeds": list(range(seeds)),
    }  # fmt: skip
    path.write_text(yaml.safe_dump(study), encoding="utf-8")


def timed(command: Sequence[str], folder: Path) -> tuple[float, float, float, str]:
    """Return wall and CPU seconds, peak GiB, and the last line it prints. One that fails ends the benchmark."""
    output, errors, began = folder / "output.txt", folder / "errors.txt", time.perf_counter()
    with output.open("wb") as stream, errors.open("wb") as error_stream:
        process = subprocess.Popen(
            command, cwd=folder, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=stream, stderr=error_stream
        )
        _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - began
    if status:
        sys.exit(errors.read_text()[-5_000:])
    last = output.read_text(encoding="utf-8").splitlines()[-1:]
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 2**20, "".join(last)


def measured(folder: Path, jobs: int, items: int, seeds: int) -> Iterator[tuple[str, tuple[float, float, float, str]]]:
    """Yield each part and what it cost."""

    def part(name: str) -> list[str]:
        return [sys.executable, "-m", "benchmarks.bench_landing", "--part", name, "--jobs", str(jobs), "--items",
                str(items)]  # fmt: skip

    plan = [sys.executable, "-m", "compute.cli", "plan", "--study", "study.yml"]
    (grid := folder / "grid").mkdir()
    yield "land", timed(part("land"), grid)
    yield "load", timed(part("load"), grid)
    yield "load again, nothing new", timed(part("load"), grid)
    yield "merge small segments", timed(part("merge"), grid)
    (grid / "warehouse.duckdb").unlink()
    yield "load what was merged", timed(part("load"), grid)
    (wide := folder / "wide").mkdir()
    write_study(wide / "study.yml", seeds)
    yield "plan, nothing landed", timed(plan, wide)
    yield "land all that is planned", timed(part("land_plan"), wide)
    yield "plan, everything landed", timed(plan, wide)
    yield "load, everything landed", timed([*plan[:3], "load", *plan[4:]], wide)
    yield "plan, everything loaded", timed(plan, wide)
    numerals = [*plan[:-1], str(ROOT / "studies" / "numerals.yml")]
    yield "plan of numerals.yml", timed(numerals, folder)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=52_272, help="scoring jobs to land (default: the published grid's)")
    parser.add_argument("--items", type=int, default=400, help="items a job (default: 400)")
    parser.add_argument("--seeds", type=int, default=70, help="of the study that is planned, 14,280 jobs each")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.part:
        print(PARTS[arguments.part](Path.cwd(), arguments.jobs, arguments.items))
        return
    with tempfile.TemporaryDirectory(prefix="bench-landing-") as name:
        print(f"{arguments.jobs:,} jobs of {arguments.items} items; load before {os.getloadavg()[0]:.1f}\n")
        print("| | wall s | CPU s | peak GiB | |\n|---|---|---|---|---|")
        for what, (wall, cpu, peak, said) in measured(Path(name), arguments.jobs, arguments.items, arguments.seeds):
            print(f"| {what} | {wall:.1f} | {cpu:.1f} | {peak:.2f} | {said} |", flush=True)


if __name__ == "__main__":
    main()
