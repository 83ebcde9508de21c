"""What jobs that ran took, by kind of work: from `raw.jobs`, and from the landed files of a calibration."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path

import duckdb

from compute.errors import UserError, writing
from compute.store.database import literal
from compute.store.files import folder_size, write_whole
from compute.store.landing import Landing
from compute.store.segments import JOBS
from compute.store.warehouse import Warehouse

_MEASURED = """
select
    plugin, coalesce(work, ''), count(*), sum(cost), sum(seconds),
    case when count(cpu_seconds) = count(*) then sum(cpu_seconds) end,
    min(cost), max(cost), coalesce(max(peak_memory_bytes), 0), coalesce(sum(artifact_bytes), 0),
    coalesce(sum(list_sum(map_values(cast(cast(rows as json) as map(varchar, bigint))))), 0),
    coalesce(bool_or(is_first), false)
from {jobs}
where state = 'landed' and device = $device and host glob $host and cost is not null and seconds is not null
group by plugin, coalesce(work, ''), batch
order by all
"""

_HOSTS = """
select host, count(*)
from raw.jobs
where state = 'landed' and device = $device and cost is not null and seconds is not null
group by host
order by count(*) desc, host
"""

_ROWS_TO_TELL = 50_000
"""An empty warehouse has its size too."""


@dataclass(frozen=True)
class Measured:
    """Jobs of one kind of work that ran in one visit, together.

    Attributes:
        plugin: that ran them.
        work: what they did, as `Job.work`.
        jobs: how many.
        cost: of all, as declared.
        seconds: of all, wall time.
        cpu_seconds: of all, computed by the process; None where that was not measured.
        smallest: cost of the smallest job.
        largest: cost of the largest.
        peak_memory_bytes: of the process.
        artifact_bytes: of all.
        rows: landed by all.
        is_first: whether the process had run nothing of the plugin before: it imported what that needs.
    """

    plugin: str
    work: str
    jobs: int
    cost: float
    seconds: float
    cpu_seconds: float | None
    smallest: float
    largest: float
    peak_memory_bytes: int
    artifact_bytes: int
    rows: int
    is_first: bool = False


@dataclass(frozen=True)
class Experience:
    """What earlier runs took on one device of some hosts.

    Attributes:
        measured: by kind of work and visit.
        hosts: of that device, each with how many jobs say what they took, whether asked for or not.
        bytes_a_row: on the disk, of a landed row: in its file, and in the warehouse as it is; None where too few are
            there to tell.
    """

    measured: Sequence[Measured]
    hosts: dict[str, int]
    bytes_a_row: float | None


def earlier_runs(warehouse: Warehouse, landing: Landing, device: str, host: str) -> Experience:
    """Return what is known of a device (`cpu`, `cuda`) of the hosts whose names fit a pattern (`node*`)."""
    nothing = Experience((), {}, None)
    if not warehouse.exists():
        return nothing
    with warehouse.connect(read_only=True) as connection:
        try:
            measured = _ask(connection, "raw.jobs", device, host)
            hosts = dict(connection.execute(_HOSTS, {"device": device}).fetchall())
            rows = _raw_rows(connection)
        except (duckdb.CatalogException, duckdb.BinderException):  # none yet, or of an earlier version
            return nothing
    a_row = None
    if rows >= _ROWS_TO_TELL and isinstance(warehouse.path, Path):  # a lake's data may lie on a server
        a_row = (warehouse.path.stat().st_size + folder_size(landing.root)) / rows
    return Experience(measured, hosts, a_row)


def landed_runs(landing: Landing, device: str) -> list[Measured]:
    """Return what the jobs of a landing directory took on a device."""
    files = [str(segment.path(landing.root, JOBS)) for segment in landing.segments() if segment.jobs]
    if not files:
        return []
    with duckdb.connect() as connection:
        jobs = f"read_parquet([{', '.join(map(literal, files))}], union_by_name => true)"
        return _ask(connection, jobs, device, "*")


@dataclass(frozen=True)
class CalibrationFile:
    """What `transfer calibrate` measured on one device of one host.

    Attributes:
        host: its name.
        device: `cpu` or `cuda`.
        measured_at: when it was last measured (UTC).
        start_seconds: that a worker takes to start.
        measured: by kind of work and visit.
    """

    host: str
    device: str
    measured_at: str
    start_seconds: float
    measured: Sequence[Measured]

    def write(self, folder: Path) -> Path:
        """Write it, with what an earlier one says of other work. Raises UserError if the folder cannot be written."""
        path = folder / f"{self.host.replace('/', '-')}.{self.device}.json"
        anew = {(one.plugin, one.work) for one in self.measured}
        kept = [one for one in (_read(path).measured if path.exists() else ()) if (one.plugin, one.work) not in anew]
        content = asdict(replace(self, measured=[*kept, *self.measured]))
        with writing(path):
            write_whole(path, json.dumps(content, indent=1).encode())
        return path


def calibrations(folder: Path, device: str, host: str) -> list[CalibrationFile]:
    """Return the calibrations of a device of hosts whose names fit a pattern. Raises UserError for a damaged file."""
    found = [_read(path) for path in sorted(folder.glob("*.json"))]
    return [one for one in found if one.device == device and fnmatchcase(one.host, host)]


def _read(path: Path) -> CalibrationFile:
    try:
        content = json.loads(path.read_bytes())
        measured = [Measured(**one) for one in content.pop("measured")]
        return CalibrationFile(**content, measured=measured)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        raise UserError(f"{path}: is no calibration; remove it, and run `transfer calibrate` again") from None


def _ask(connection: duckdb.DuckDBPyConnection, jobs: str, device: str, host: str) -> list[Measured]:
    found = connection.execute(_MEASURED.format(jobs=jobs), {"device": device, "host": host}).fetchall()
    return [Measured(*row) for row in found]


def _raw_rows(connection: duckdb.DuckDBPyConnection) -> int:
    found = connection.execute("select sum(estimated_size) from duckdb_tables() where schema_name = 'raw'").fetchall()
    return int(found[0][0] or 0)
