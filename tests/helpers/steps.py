"""A plugin of cheap jobs for tests of what runs them, installed in a folder as any other package, and its study.

A first step, and batches that read it. With `keeps`, the first step leaves an artifact that the others read, each of
them leaves one too, and a last job reads them all. What a step does besides is told by files in the project's folder,
so that job keys stay: `seconds` says how long it takes; while there is `held`, none ends but the first;
`<step>.<what>` has it fail, end its process, take all the memory there is, or kill the run that computes it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import duckdb

ROOT = Path(__file__).parents[2]
STUDY = "study: steps\nplugins:\n  steps: {batches: 8, jobs: 3}\n"
KEEPING = "study: steps\nplugins:\n  steps: {batches: 4, jobs: 2, keeps: true}\n"
PLUGIN = """
import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import psutil
from pydantic import BaseModel

from compute.errors import JobError
from compute.plugin import Job, JobConfig, Plugin


class Steps(BaseModel):
    batches: int
    jobs: int
    keeps: bool = False


class Step(JobConfig):
    batch: int
    number: int


class Kept(Step):
    pass


class Last(JobConfig):
    last: bool = True


class PlansSteps(Plugin):
    name, version = "steps", "1"
    Config = Steps

    def plan(self, study, planned, config):
        kind = Kept if config.keeps else Step
        first = Job("steps", "1", kind(batch=0, number=0), label="first", batch="first", leaves_artifact=config.keeps)
        yield first
        steps = {}
        for batch in range(1, config.batches + 1):
            for number in range(config.jobs):
                step, name = kind(batch=batch, number=number), f"step {batch}-{number}"
                job = Job("steps", "1", step, {"first": first.key}, name, f"batch {batch}", batch)
                job = replace(job, leaves_artifact=config.keeps)
                steps[name] = job.key
                yield job
        if config.keeps:
            yield Job("steps", "1", Last(), steps, "last", "last")

    def run(self, jobs, context):
        kept = [job for job in jobs if isinstance(job.config, Kept) and not context.artifacts.has(job.key)]
        if kept:
            with context.artifacts.commit(job.key for job in kept) as folders:
                for job in kept:
                    (folders[job.key] / "step").write_text(self.told(job, context) + job.label)
        for job in jobs:
            if isinstance(job.config, Last):
                row = {"measure": self.told(job, context), "value": len(job.inputs)}
                yield job, {"language_distances": [{"source_language": "en", "target_language": "de"} | row]}
                continue
            name = f"{job.config.batch}-{job.config.number}"
            if Path("seconds").exists():
                time.sleep(float(Path("seconds").read_text()))
            while job.config.batch and Path("held").exists():
                time.sleep(0.05)
            if Path(f"{name}.kills").exists():
                os.kill(os.getppid(), signal.SIGKILL)
                time.sleep(60)
            if Path(f"{name}.hogs").exists():
                held = []
                while psutil.virtual_memory().available > 4 * 2**30:
                    held.append(b"x" * 2**26)
                raise MemoryError(f"nobody minded {len(held)} blocks")
            if Path(f"{name}.ends").exists():
                os._exit(1)
            if Path(f"{name}.fails").exists():
                yield job, JobError("it was told to fail")
                continue
            row = {"measure": f"step {name}", "value": job.config.batch}
            yield job, {"language_distances": [{"source_language": "en", "target_language": "de"} | row]}

    def told(self, job, context):
        return "".join((context.artifacts.path(key) / "step").read_text() + ", " for key in job.inputs.values())
"""


class StepsProject:
    """A project with the plugin, its study and nothing else."""

    def __init__(self, folder: Path, seconds: float | None = None, study: str = STUDY) -> None:
        """Make it in a new folder; each job takes `seconds`."""
        self.folder = folder
        info = folder / "site" / "steps-1.dist-info"
        info.mkdir(parents=True)
        (folder / "site" / "steps_plugin.py").write_text(PLUGIN)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: steps\nVersion: 1\n")
        (info / "entry_points.txt").write_text("[transfer.plugins]\nsteps = steps_plugin:PlansSteps\n")
        (folder / "the study.yml").write_text(study)
        if seconds is not None:
            self.take(seconds)

    def take(self, seconds: float) -> None:
        """Have each job take that long from now on."""
        (self.folder / "seconds").write_text(str(seconds))

    def hold(self) -> None:
        """Let no step end from now on but the first: whoever computes one is at work until `release`."""
        (self.folder / "held").touch()

    def release(self) -> None:
        """Let all steps end, at once."""
        self.take(0.0)
        (self.folder / "held").unlink()

    def start(self, verb: str, *arguments: str) -> subprocess.Popen[str]:
        """Start a verb."""
        path = os.pathsep.join([str(self.folder / "site"), str(ROOT)])
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "compute.cli", verb, *arguments],
            cwd=self.folder,
            env=os.environ | {"PYTHONPATH": path, "DEVICE": "cpu", "STUDY": "the study.yml"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, verb: str, *arguments: str) -> tuple[int, str]:
        """Run a verb; return its exit code and what it said."""
        process = self.start(verb, *arguments)
        try:
            said, _ = process.communicate(timeout=240)
        except subprocess.TimeoutExpired:
            kill(process)
            raise
        return process.returncode, said

    def landed(self) -> int:
        """Return how many jobs have landed."""
        from compute.store.landing import Landing

        return len(Landing(self.folder / "landing").landed_keys())

    def tables(self) -> dict[str, list[tuple[object, ...]]]:
        """Return what the warehouse has, less when and where it was computed."""
        asked = {
            "language_distances": "*",
            "jobs": "job_key, plugin, plugin_version, config, state, error, attempts, label, inputs, rows",
            "study_jobs": "*",
        }
        with duckdb.connect(str(self.folder / "warehouse.duckdb"), read_only=True) as connection:
            return {
                table: connection.execute(f"select {columns} from raw.{table} order by all").fetchall()
                for table, columns in asked.items()
            }


def wait_for(what: Callable[[], object], seconds: float = 60.0) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.1)


def kill(process: subprocess.Popen[str]) -> None:
    """End a process at once."""
    process.send_signal(signal.SIGKILL)
    process.wait()
