"""One project's folder: the verbs run in it, and what it holds."""

from __future__ import annotations

import math
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import duckdb

from compute.store.raw_schema import TABLES

ROOT = Path(__file__).parents[2]
STUDY = ROOT / "tests" / "studies" / "tiny.yml"
VERBS = ("compute", "load", "build", "check", "report")

_OF_THIS_RUN = {
    "studies": "planned_at",
    "jobs": "attempts, started_at, finished_at, seconds, cpu_seconds, host, device, peak_memory_bytes, versions, "
    "artifact_bytes, is_first",  # a training log says the time
    "training_log": "seconds",
    "tasks": "job_key",
}
"""Columns that say when and where a job ran, or which of several jobs brought a row first."""

_DIGITS = 9
"""To which marts are compared: a sum over floats depends on the order of the rows in its last few."""

_ROUNDING = 1e-5

Contents = dict[str, list[tuple[object, ...]]]


@dataclass(frozen=True)
class Project:
    """A folder in which `tests/studies/tiny.yml` is computed, built, checked and reported."""

    folder: Path

    @property
    def warehouse(self) -> Path:
        return self.folder / "warehouse.duckdb"

    @property
    def published(self) -> Path:
        return self.folder / "published" / "warehouse.duckdb"

    def start(self, verb: str) -> subprocess.Popen[str]:
        """Start a verb."""
        if verb == "build":
            command = [str(Path(sys.executable).with_name("dbt")), "run", "--quiet", "--project-dir", str(ROOT)]
            command += ["--profiles-dir", str(ROOT), "--target-path", str(self.folder / "target")]
            command += ["--log-path", str(self.folder / "logs")]
        else:
            command = [sys.executable, "-m", "compute.cli", verb, "--study", str(STUDY)]
        environment = os.environ | {
            "WAREHOUSE": str(self.warehouse),
            "DEVICE": "cpu",
            "DO_NOT_TRACK": "1",
            "PYTHONPATH": str(ROOT),
        }
        return subprocess.Popen(
            command, cwd=self.folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def run(self, verb: str) -> tuple[int, str, float]:
        """Run a verb to its end: its exit code, all it said, and seconds."""
        began = time.monotonic()
        process = self.start(verb)
        said = process.communicate()[0]
        return process.returncode, said, time.monotonic() - began

    def raw(self) -> Contents:
        """Return what is raw, but for what is of one run."""
        return _read(self.warehouse, {f"raw.{name}": _OF_THIS_RUN.get(name, "") for name in TABLES})

    def marts(self, path: Path | None = None) -> Contents:
        """Return the marts of the warehouse, or of another file; empty where there are none."""
        path = path or self.warehouse
        with duckdb.connect(str(path), read_only=True) as connection:
            found = connection.execute("select table_name from duckdb_tables() where schema_name = 'marts'").fetchall()
        return _read(path, {f"marts.{name}": "" for (name,) in found})

    def leftovers(self) -> list[str]:
        """Return files that only a killed run leaves."""
        patterns = ("artifacts/.*", "landing/*/.*", "published/.*")
        return sorted(str(path.relative_to(self.folder)) for one in patterns for path in self.folder.glob(one))

    def copy(self, to: Path, *parts: str) -> Project:
        """Return a project in a new folder with these parts of this one."""
        shutil.rmtree(to, ignore_errors=True)
        to.mkdir(parents=True)
        for part in parts:
            source = self.folder / part
            if source.is_dir():
                shutil.copytree(source, to / part)
            else:
                shutil.copy(source, to / part)
        return Project(to)


def _read(path: Path, left_out: dict[str, str]) -> Contents:
    found: Contents = {}
    with duckdb.connect(str(path), read_only=True) as connection:
        for table, columns in left_out.items():
            exclude = f"exclude ({columns})" if columns else ""
            rows = connection.execute(f"select * {exclude} from {table}").fetchall()
            found[table] = sorted((tuple(map(_rounded, row)) for row in rows), key=repr)
    return found


def _rounded(value: object) -> object:
    return float(f"{value:.{_DIGITS}g}") if isinstance(value, float) else value


def is_alike(one: object, other: object) -> bool:
    """Return whether two contents are equal, numbers to what float32 leaves of a training in other company."""
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=_ROUNDING, abs_tol=_ROUNDING)
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(is_alike(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(is_alike, one, other))
    return one == other


def undisturbed(folder: Path) -> tuple[Project, dict[str, float]]:
    """Return a project in which every verb ran to its end, and the seconds that each took."""
    project = Project(folder)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    seconds = {}
    for verb in VERBS:
        code, said, seconds[verb] = project.run(verb)
        if code > 1 or (code and verb != "check"):  # the study is too small for all checks to pass
            raise RuntimeError(f"{verb}: exit code {code}\n{said}")
    return project, seconds
