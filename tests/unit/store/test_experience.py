"""What earlier runs took is read by device and host; a calibration is a file that keeps what it measured before."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from compute.errors import UserError
from compute.store.experience import CalibrationFile, Measured, calibrations, earlier_runs, landed_runs
from compute.store.landing import Landing
from compute.store.warehouse import Warehouse


def landed(tmp_path: Path, key: str, **facts: object) -> None:
    record = {
        "job_key": key, "plugin": "bli", "state": "landed", "seconds": 2.0, "cpu_seconds": 1.0, "host": "here",
        "device": "cpu", "peak_memory_bytes": 5, "cost": 3.0, "work": "w", "batch": "b", "artifact_bytes": 7,
        "is_first": False,
    }  # fmt: skip
    rows = [{"measure": f"m{number}"} for number in range(4)]
    Landing(tmp_path / "landing").write(key, {"isometry": rows}, record | facts)


def warehouse_of(tmp_path: Path) -> Warehouse:
    warehouse = Warehouse(tmp_path / "w.duckdb")
    warehouse.prepare()
    with warehouse.connect() as connection:
        files = str(tmp_path / "landing" / "jobs" / "*.parquet")
        connection.execute("insert into raw.jobs by name select * from read_parquet(?)", [files])
    return warehouse


def test_only_the_device_and_the_hosts_asked_for_count(tmp_path: Path) -> None:
    landed(tmp_path, "a" * 64)
    landed(tmp_path, "b" * 64, seconds=4.0, cost=1.0, is_first=True)
    landed(tmp_path, "c" * 64, host="node17", seconds=9.0)
    landed(tmp_path, "d" * 64, device="cuda", seconds=0.1)
    landed(tmp_path, "e" * 64, cost=None)  # of an earlier version
    warehouse, landing = warehouse_of(tmp_path), Landing(tmp_path / "landing")
    own = Measured("bli", "w", 2, 4.0, 6.0, 2.0, 1.0, 3.0, 5, 14, 8, True)
    found = earlier_runs(warehouse, landing, "cpu", "here")
    assert list(found.measured) == [own]
    assert found.hosts == {"here": 2, "node17": 1}
    assert found.bytes_a_row is None  # too few to tell
    assert [one.seconds for one in earlier_runs(warehouse, landing, "cpu", "node*").measured] == [9.0]
    assert [one.jobs for one in earlier_runs(warehouse, landing, "cpu", "*").measured] == [3]
    assert [one.seconds for one in earlier_runs(warehouse, landing, "cuda", "here").measured] == [0.1]
    assert sum(one.jobs for one in landed_runs(landing, "cpu")) == 3


def test_a_warehouse_without_anything_and_one_of_an_earlier_version_say_nothing(tmp_path: Path) -> None:
    landing = Landing(tmp_path / "landing")
    assert not earlier_runs(Warehouse(tmp_path / "none.duckdb"), landing, "cpu", "*").measured
    with duckdb.connect(str(tmp_path / "old.duckdb")) as connection:
        connection.execute("create schema raw")
        connection.execute("create table raw.jobs (job_key varchar, plugin varchar, seconds double, host varchar)")
    assert not earlier_runs(Warehouse(tmp_path / "old.duckdb"), landing, "cpu", "*").measured
    assert landed_runs(landing, "cpu") == []


def test_a_calibration_replaces_what_it_measured_and_keeps_the_rest(tmp_path: Path) -> None:
    def measured(work: str, seconds: float) -> Measured:
        return Measured("bli", work, 1, 1.0, seconds, None, 1.0, 1.0, 0, 0, 0)

    for values in ([measured("a", 1.0), measured("b", 2.0)], [measured("b", 3.0)]):
        CalibrationFile("here", "cpu", "2026-01-01", 1.5, values).write(tmp_path)
    CalibrationFile("here", "cuda", "2026-01-01", 9.0, [measured("a", 8.0)]).write(tmp_path)
    [found] = calibrations(tmp_path, "cpu", "he*")
    assert list(found.measured) == [measured("a", 1.0), measured("b", 3.0)]
    assert found.start_seconds == 1.5
    assert calibrations(tmp_path, "cpu", "there") == []


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"measured": [{"seconds": 1}]}', "\xff", '{"measured": 3}'])
def test_what_is_no_calibration_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "here.cpu.json").write_bytes(content.encode("latin-1"))
    with pytest.raises(UserError, match=r"here\.cpu\.json: is no calibration"):
        calibrations(tmp_path, "cpu", "*")
