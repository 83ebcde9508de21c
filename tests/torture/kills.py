"""kill -9 at random moments of every verb; after it the verb is run again, and all is as if nothing had been."""

from __future__ import annotations

import random
import signal
import subprocess
from pathlib import Path

import duckdb
import psutil

from tests.torture.project import VERBS, Contents, Project

KILLS = {"compute": 5, "load": 1, "build": 2, "check": 1, "report": 1}
"""In one episode; computing is killed again and again before it may end."""


def episode(number: int, seed: int, folder: Path, whole: Project, seconds: dict[str, float]) -> list[str]:
    """Run all verbs in a fresh folder, each killed before it may end; return what was wrong."""
    draw = random.Random(f"kills {seed} {number}")
    project = whole.copy(folder)
    raw, marts = whole.raw(), whole.marts()
    wrong: list[str] = []
    for verb in VERBS:
        if verb == "load":
            project.warehouse.unlink()
        for kill in range(KILLS[verb]):
            after = draw.uniform(0.05, 1.05) * seconds[verb]
            found = _kill(project, verb, after) + _in_between(project, raw, marts)
            wrong += [f"{verb}, killed after {after:.2f} s ({kill}): {one}" for one in found]
        code, said, _ = project.run(verb)
        if code and verb != "check":
            wrong.append(f"{verb}, run again: exit code {code}: {said[-500:]}")
    if project.raw() != raw:
        wrong.append(f"raw differs: {_differing(project.raw(), raw)}")
    if project.marts() != marts:
        wrong.append(f"marts differ: {_differing(project.marts(), marts)}")
    wrong += [f"left over: {path}" for path in project.leftovers() if path != "landing/.lock"]
    return wrong


def _kill(project: Project, verb: str, after: float) -> list[str]:
    process = project.start(verb)
    try:
        process.wait(after)
    except subprocess.TimeoutExpired:
        children = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGKILL)
        process.wait()
        return [f"process {one.pid} outlived it" for one in psutil.wait_procs(children, timeout=30)[1]]
    return []


def _in_between(project: Project, raw: Contents, marts: Contents) -> list[str]:
    """Return what is wrong between a kill and the next run: rows that were not computed, or in part of a job."""
    wrong = []
    if project.published.exists() and project.marts(project.published) != marts:
        wrong.append("what is published is neither old nor new")
    if not project.warehouse.exists():
        return wrong
    with duckdb.connect(str(project.warehouse)) as connection:  # writes, so that the log of a killed run is read
        connection.execute("create schema if not exists raw")
        tables = connection.execute("select table_name from duckdb_tables() where schema_name = 'raw'").fetchall()
    if len(tables) < len(raw):
        return wrong
    found = project.raw()
    landed = {row[0] for row in found["raw.jobs"]}
    for table in ("raw.item_scores", "raw.bli_ranks", "raw.training_log", "raw.isometry"):
        # The job's key is the first column of each.
        if found[table] != [row for row in raw[table] if row[0] in landed]:
            wrong.append(f"{table} has other rows than the jobs that have landed")
    return wrong


def _differing(found: Contents, expected: Contents) -> list[str]:
    return sorted(table for table in found.keys() | expected.keys() if found.get(table) != expected.get(table))
