"""One bit flipped in what has landed, an artifact, or the warehouse: found, named, and what it cost computed again."""

from __future__ import annotations

import operator
import random
from pathlib import Path

import duckdb

from compute.errors import JobError, UserError
from compute.store.artifacts import ArtifactStore
from compute.store.landing import Landing
from compute.store.warehouse import Warehouse
from tests.torture.project import Project, is_alike


def flip(file: Path, draw: random.Random) -> str:
    """Flip a bit of a file; say which."""
    content = bytearray(file.read_bytes())
    bit = draw.randrange(8 * len(content))
    content[bit // 8] ^= 1 << bit % 8
    file.write_bytes(content)
    return f"{file.parent.name}/{file.name}, bit {bit}"


def damageable(project: Project, *parts: str) -> list[Path]:
    """Return files of a project that readers depend on, in a fixed order."""
    files = sorted(path for part in parts for path in (project.folder / part).rglob("*") if path.is_file())
    return [path for path in files if path.name != ".lock" and path.stat().st_size]


def at_a_reader(number: int, seed: int, folder: Path, whole: Project) -> list[str]:
    """Flip a bit in a copy of one file, and read it as a load or a worker does; return what was wrong."""
    draw = random.Random(f"flips {seed} {number}")
    kind = draw.choice(["landing", "artifacts", "warehouse.duckdb"])
    if kind == "artifacts":
        kind = f"artifacts/{draw.choice(sorted(path.name for path in (whole.folder / 'artifacts').iterdir()))}"
    project = whole.copy(folder, kind)
    file = project.warehouse if kind == "warehouse.duckdb" else draw.choice(damageable(project, kind))
    said = flip(file, draw)
    return [] if _is_found(project, file, whole) else [f"{said}: read as if nothing were wrong"]


def _is_found(project: Project, file: Path, whole: Project) -> bool:
    """Return whether damage was found, or could not matter."""
    if file == project.warehouse:
        try:
            with Warehouse(file, wait=0.0).connect(read_only=True):
                pass
            return project.raw() == whole.raw()  # a block that is free, or the older of two headers
        except (UserError, duckdb.Error):
            return True
    if file.is_relative_to(project.folder / "artifacts"):
        try:
            ArtifactStore(project.folder / "artifacts").path(file.relative_to(project.folder / "artifacts").parts[0])
        except JobError as error:
            return str(file) in str(error)
        return False
    landing = Landing(project.folder / "landing")
    if file.parent.name == "segments":
        return all(one.name != file.stem for one in landing.segments())
    return any(
        file == one.path(landing.root, table)
        for one in landing.segments()
        for table in one.damaged_tables(landing.root, one.files)
    )


def through_a_rerun(number: int, seed: int, folder: Path, whole: Project) -> list[str]:
    """Flip a bit in what has landed or an artifact, lose the warehouse, and compute; return what was wrong.

    Of an artifact the jobs that read it are withdrawn too, as nobody would read it otherwise. An adapter is then tuned
    by itself that was tuned among others, which is the same up to rounding.
    """
    draw = random.Random(f"reruns {seed} {number}")
    project = whole.copy(folder, "landing", "artifacts")
    kind = draw.choice(["landing", "artifacts"])
    file = draw.choice(damageable(project, kind))
    said = flip(file, draw)
    wrong = []
    if kind == "artifacts":
        key = file.relative_to(project.folder / "artifacts").parts[0]
        with duckdb.connect(str(whole.warehouse), read_only=True) as connection:
            reading = "select job_key from raw.jobs where list_contains(cast(inputs as varchar[]), ?)"
            readers = [reader for (reader,) in connection.execute(reading, [key]).fetchall()]
        Landing(project.folder / "landing").withdraw(readers)
        if not readers:
            return []
    first, first_said, _ = project.run("compute")
    if first != 1 or file.name not in first_said:
        wrong.append(f"{said}: computed with exit code {first}, and it was not named: {first_said[-500:]}")
    code, again_said, _ = project.run("compute")
    if code:
        wrong.append(f"{said}: computed again with exit code {code}: {again_said[-500:]}")
    elif not (is_alike if kind == "artifacts" else operator.eq)(project.raw(), whole.raw()):
        wrong.append(f"{said}: raw differs")
    return wrong
