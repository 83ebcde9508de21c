"""Results that others have computed, as studies of their own: a file an importer, a line an importer in `IMPORTERS`.

An importer turns files into `Imported` jobs with their rows; here they are landed and loaded like any other,
so that importing twice counts nothing twice.
"""

from __future__ import annotations

import json
import platform
import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import ConfigDict

from compute.errors import JobError, UserError, reading, writing
from compute.file_kinds import refuse_other_kind
from compute.importers.baselines import score_cell, without_baseline
from compute.plugin import Job, JobConfig, Rows, canonical_json
from compute.registry import Registry
from compute.store.files import sha256_of
from compute.store.landing import Landing
from compute.store.lock import exclusive
from compute.store.registration import RegisteredJob, RegisteredStudy
from compute.store.warehouse import Warehouse


class ImportConfig(JobConfig):
    """What was imported; further fields are those by which an importer tells its jobs apart."""

    model_config = ConfigDict(extra="allow")

    importer: str


@dataclass(frozen=True)
class Imported:
    """One job of an import and its rows by raw table, without the job's key."""

    job: Job
    tables: Mapping[str, Rows]


@dataclass(frozen=True)
class ImportedStudy:
    """What an importer found: the jobs, and settings of the study that its map has, by their name in a study file."""

    jobs: Sequence[Imported]
    settings: Mapping[str, Any] = field(default_factory=dict)


Say = Callable[[str], None]
Importer = Callable[[Sequence[Path], Path | None, Say], ImportedStudy]
"""`read(files, map, say)`: what some files hold; `map` is the file of `--map`, if there is one. Raises UserError."""

IMPORTERS: Registry[Importer] = Registry(
    "importer",
    "transfer.importers",
    {
        "lm-eval": "compute.importers.lm_eval:read",
        "donors-recipients": "compute.importers.donors_recipients:read",
        "bli": "compute.importers.bli:read",
    },
    "collections.abc:Callable",
)
"""By name on the command line, and `origin` in the warehouse."""


def import_results(
    name: str,
    files: Sequence[Path],
    map_file: Path | None,
    study: str | None,
    warehouse: Warehouse,
    landing: Path,
    say: Say,
    harm_threshold_pp: float | None = None,
) -> None:
    """Land and load what `files` hold as the study `study` (by default called after the importer).

    What the study had from earlier imports stays, save scores that are imported anew.

    Args:
        harm_threshold_pp: the study's, in percentage points; None: its map's, else what an earlier import said.

    Raises:
        UserError: no such importer; damaged files; a study of that name that was not imported by it.
    """
    read = IMPORTERS.load(name)
    study = study or name
    imports = read(files, map_file, say)
    found = imports.jobs
    jobs = {imported.job.key: imported.job for imported in found}
    config = {"study": study, "importer": name, "files": [file.name for file in files], **imports.settings}
    if harm_threshold_pp is not None:
        config["harm_threshold_pp"] = harm_threshold_pp
    with exclusive(landing, warehouse.wait, say):
        earlier = warehouse.registered(study)
        if earlier is not None and earlier.origin != name:
            raise UserError(f"study {study!r} is there already, with origin {earlier.origin!r}; choose another --study")
        store = Landing(landing)
        _land(found, store)
        kept = _kept(earlier, jobs.values(), say)
        if earlier is not None:
            config = {**_lasting_settings(earlier), **config}
        tasks = [row for imported in found for row in imported.tables.get("tasks", ())]
        loaded = warehouse.load(RegisteredStudy(study, canonical_json(config), name, kept | jobs, tasks), store)
    for line in without_baseline((kept | jobs).values()):
        say(line)
    say(f"{warehouse.path}: study {study}: {len(jobs)} jobs imported, {loaded.rows:,} rows loaded")


_JOBS_A_SEGMENT = 250
_ROWS_A_SEGMENT = 500_000


def _land(found: Iterable[Imported], landing: Landing) -> None:
    """Land the jobs that have not landed yet. Raises UserError for rows that do not fit, and where the disk refuses."""
    there = landing.landed_keys()
    segment = landing.open_segment()
    with writing(landing.root):
        for imported in found:
            job = imported.job
            if job.key in there:
                continue
            try:
                segment.add(job.key, imported.tables, _record(job))
            except JobError as error:
                raise UserError(f"{job.label}: {error}") from None
            if len(segment.jobs) >= _JOBS_A_SEGMENT or segment.rows >= _ROWS_A_SEGMENT:
                segment.commit()
                segment = landing.open_segment()
        segment.commit()


def _kept(earlier: RegisteredStudy | None, jobs: Iterable[Job], say: Say) -> dict[str, Job | RegisteredJob]:
    """Return the jobs of earlier imports, less those whose scores have now been imported anew."""
    if earlier is None:
        return {}
    keys = {job.key for job in jobs}
    cells = {cell for job in jobs if (cell := score_cell(job)) is not None}
    kept = {key: job for key, job in earlier.jobs.items() if key in keys or score_cell(job) not in cells}
    if len(kept) < len(earlier.jobs):
        say(f"{len(earlier.jobs) - len(kept)} scores of earlier imports are replaced")
    return kept


def _lasting_settings(earlier: RegisteredStudy) -> dict[str, Any]:
    settings = json.loads(earlier.config)
    return {key: settings[key] for key in ("harm_threshold_pp",) if key in settings}


def file_digest(path: Path) -> str:
    """sha256 of a file; UserError if it cannot be read."""
    with reading(path):
        return sha256_of(path)


def read_text(path: Path) -> str:
    """Return a file's text with its own line ends, without a byte order mark; UserError if it cannot be read or is not
    UTF-8."""
    try:
        with reading(path):
            content = path.read_bytes()
            refuse_other_kind(content[:512])
            return content.decode("utf-8-sig")
    except ValueError as error:
        raise UserError(f"{path}: {error}") from None


def _record(job: Job) -> dict[str, Any]:
    now = datetime.now(UTC).replace(tzinfo=None)
    return {
        "job_key": job.key,
        "plugin": job.plugin,
        "plugin_version": job.version,
        "config": canonical_json(job.values),
        "state": "landed",
        "error": None,
        "attempts": 1,
        "started_at": now,
        "finished_at": now,
        "seconds": 0.0,
        "host": socket.gethostname(),
        "device": "import",
        "peak_memory_bytes": None,
        "versions": canonical_json({"python": platform.python_version()}),
        "label": job.label,
        "inputs": canonical_json(list(job.inputs.values())),
    }
