"""The loader: one transaction, idempotent, and clear about files it cannot use."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import duckdb
import polars as pl
import pytest

from compute.errors import UserError
from compute.plugin import Job, canonical_json
from compute.store.landing import Landing
from compute.store.lock import exclusive
from compute.store.warehouse import RegisteredStudy, Warehouse
from compute.tasks.numerals import COMPARE, PARITY
from tests.helpers.any_config import AnyConfig

JOBS = [Job("p", "1", AnyConfig(number=number), label=f"job {number}") for number in range(3)]


@pytest.fixture
def plan() -> RegisteredStudy:
    return RegisteredStudy("tiny", "{}", "computed", {job.key: job for job in JOBS})


@pytest.fixture
def landing(tmp_path: Path) -> Landing:
    return Landing(tmp_path / "landing")


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    return Warehouse(tmp_path / "w.duckdb", wait=0.0)


def record(job: Job, state: str = "landed") -> dict[str, object]:
    return {
        "job_key": job.key,
        "plugin": job.plugin,
        "plugin_version": job.version,
        "config": canonical_json(job.config.identity()),
        "state": state,
        "error": None if state == "landed" else "it broke",
        "attempts": 1,
        "finished_at": datetime(2026, 1, 1),
        "label": job.label,
    }


def land(landing: Landing, job: Job, rows: int = 2) -> None:
    task = {"task": "parity", "kind": "choice", "primary_metric": "acc", "chance": 0.5}
    isometry = [{"vectors": "v", "measure": f"m{number}", "value": float(number)} for number in range(rows)]
    landing.write(job.key, {"tasks": [task], "isometry": isometry}, record(job))


def ask(warehouse: Warehouse, sql: str) -> list[tuple[object, ...]]:
    with warehouse.connect(read_only=True) as connection:
        return connection.execute(sql).fetchall()


def test_loading_twice_changes_nothing(plan: RegisteredStudy, landing: Landing, warehouse: Warehouse) -> None:
    for job in JOBS:
        land(landing, job)
    first = warehouse.load(plan, landing)
    assert (first.jobs, first.rows) == (3, 3 * 3)
    again = warehouse.load(plan, landing)
    assert (again.jobs, again.rows) == (0, 0)
    assert ask(warehouse, "select count(*) from raw.isometry") == [(6,)]
    assert ask(warehouse, "select task, chance from raw.tasks") == [("parity", 0.5)]
    assert ask(warehouse, "select count(*) from raw.study_jobs where study = 'tiny'") == [(3,)]
    assert warehouse.landed_keys() == {job.key for job in JOBS}


def test_a_job_of_another_study_is_not_loaded(plan: RegisteredStudy, landing: Landing, warehouse: Warehouse) -> None:
    land(landing, Job("p", "1", AnyConfig(number=99)))
    assert warehouse.load(plan, landing).jobs == 0


def test_a_failure_is_recorded_and_then_replaced(plan: RegisteredStudy, landing: Landing, warehouse: Warehouse) -> None:
    landing.write_failure(JOBS[0].key, record(JOBS[0], "failed"))
    warehouse.load(plan, landing)
    assert ask(warehouse, "select state, error from raw.jobs") == [("failed", "it broke")]
    land(landing, JOBS[0])
    warehouse.load(plan, landing)
    assert ask(warehouse, "select state, error from raw.jobs") == [("landed", None)]


def test_what_a_study_says_of_its_tasks_holds_without_computing_again(
    plan: RegisteredStudy, landing: Landing, warehouse: Warehouse
) -> None:
    land(landing, JOBS[0])
    warehouse.load(plan, landing)
    now = RegisteredStudy("tiny", "{}", "computed", plan.jobs, (COMPARE.facts, replace(PARITY, chance=0.25).facts))
    assert warehouse.load(now, landing).jobs == 0
    assert ask(warehouse, "select task, primary_metric, chance from raw.tasks") == [("parity", "acc", 0.25)]


def test_another_study_s_task_of_the_same_name_is_told(
    plan: RegisteredStudy, landing: Landing, warehouse: Warehouse
) -> None:
    land(landing, JOBS[0])

    def load(name: str, chance: float, config: str) -> tuple[tuple[str, str], ...]:
        facts = replace(PARITY, chance=chance).facts
        return warehouse.load(RegisteredStudy(name, config, "computed", plan.jobs, (facts,)), landing).redeclared

    own = '{"tasks": {"parity": {"folder": "p"}}}'
    assert load("one", 0.5, own) == ()
    assert load("two", 0.25, own) == (("parity", "one"),)
    assert load("two", 0.25, own) == ()
    assert load("two", 0.125, '{"tasks": {}}') == (("parity", "one"),)
    assert load("one", 0.5, own) == ()


def test_jobs_no_longer_asked_for_leave_the_study(
    plan: RegisteredStudy, landing: Landing, warehouse: Warehouse
) -> None:
    warehouse.load(plan, landing)
    smaller = RegisteredStudy("tiny", "{}", "computed", {JOBS[0].key: JOBS[0]})
    warehouse.load(smaller, landing)
    assert ask(warehouse, "select job_key from raw.study_jobs") == [(JOBS[0].key,)]


@pytest.mark.parametrize("table", ["isometry", "jobs"])
@pytest.mark.parametrize("damage", ["truncated", "garbage"])
def test_a_damaged_shard_withdraws_its_job_only(
    table: str, damage: str, plan: RegisteredStudy, landing: Landing, warehouse: Warehouse
) -> None:
    for job in JOBS:
        land(landing, job)
    shard = landing.shard(table, JOBS[1].key)
    content = shard.read_bytes()
    shard.write_bytes(content[: len(content) // 2] if damage == "truncated" else b"x" * len(content))
    loaded = warehouse.load(plan, landing)
    assert loaded.damaged == (JOBS[1].key,)
    assert loaded.jobs == 2
    assert ask(warehouse, "select count(*) from raw.isometry") == [(4,)]
    assert JOBS[1].key not in landing.landed_keys()


def test_a_shard_that_vanished_or_lost_rows_withdraws_its_job(
    plan: RegisteredStudy, landing: Landing, warehouse: Warehouse
) -> None:
    for job in JOBS:
        land(landing, job)
    landing.shard("isometry", JOBS[0].key).unlink()
    landing.shard("isometry", JOBS[1].key).write_bytes(_one_row(landing, JOBS[1]))
    loaded = warehouse.load(plan, landing)
    assert set(loaded.damaged) == {JOBS[0].key, JOBS[1].key}
    assert ask(warehouse, "select count(*) from raw.isometry") == [(2,)]


def _one_row(landing: Landing, job: Job) -> bytes:
    import io

    import polars as pl

    buffer = io.BytesIO()
    pl.read_parquet(landing.shard("isometry", job.key)).head(1).write_parquet(buffer)
    return buffer.getvalue()


@pytest.mark.parametrize("content", [b"not a database" * 1000, b"", b"\0" * 20000])
def test_a_file_that_is_no_database_is_left_as_it_is(
    content: bytes, plan: RegisteredStudy, landing: Landing, tmp_path: Path
) -> None:
    path = tmp_path / "w.duckdb"
    path.write_bytes(content)
    warehouse = Warehouse(path, wait=0.0)
    with pytest.raises(UserError, match="cannot be opened as a DuckDB") as caught:
        warehouse.load(plan, landing)
    assert len(str(caught.value).splitlines()) == 1
    assert path.read_bytes() == content


def test_a_directory_that_is_not_there(plan: RegisteredStudy, landing: Landing, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="its directory does not exist"):
        Warehouse(tmp_path / "no" / "w.duckdb", wait=0.0).load(plan, landing)


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    path = str(tmp_path / "w.duckdb")
    code = f"import duckdb, sys; c = duckdb.connect({path!r}); print('held', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_lock_is_waited_for_and_its_holder_named(
    plan: RegisteredStudy, landing: Landing, tmp_path: Path, holder: subprocess.Popen[str]
) -> None:
    said: list[str] = []
    with pytest.raises(UserError, match=f"process {holder.pid}"):
        Warehouse(tmp_path / "w.duckdb", wait=1.0, say=said.append).load(plan, landing)
    assert len(said) == 1
    assert str(holder.pid) in said[0]


def test_an_error_half_way_rolls_everything_back(
    plan: RegisteredStudy, landing: Landing, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    land(landing, JOBS[0])
    warehouse.load(plan, landing)
    land(landing, JOBS[1])
    with monkeypatch.context() as patch:
        patch.setattr("compute.store.warehouse._insert_files", _insert_then_break)
        with pytest.raises(duckdb.Error):
            warehouse.load(plan, landing)
    assert ask(warehouse, "select count(*) from raw.isometry") == [(2,)]
    assert warehouse.load(plan, landing).jobs == 1


def _insert_then_break(connection: duckdb.DuckDBPyConnection, table: str, paths: list[Path]) -> None:
    if table == "jobs":
        connection.execute("select no_such_function()")
    for path in paths:
        connection.execute(f"insert or ignore into raw.{table} by name select * from read_parquet(?)", [str(path)])


def test_a_warehouse_and_shards_of_an_earlier_version_gain_the_columns_added_since(
    plan: RegisteredStudy, landing: Landing, warehouse: Warehouse
) -> None:
    for job in JOBS:
        landing.write(job.key, {"training_log": [{"step": 1, "loss": 0.5, "truncated": 3}]}, record(job))
    old = landing.shard("training_log", JOBS[0].key)
    pl.read_parquet(old).drop("truncated").write_parquet(old)
    warehouse.prepare()
    with warehouse.connect() as connection:
        connection.execute("alter table raw.training_log drop column truncated")
    assert warehouse.load(plan, landing).rows == 3
    assert ask(warehouse, "select truncated from raw.training_log order by truncated nulls first") == [
        (None,),
        (3,),
        (3,),
    ]


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_file_system_without_locks_is_named(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not as another process, whose end would be waited for; DuckDB says `PID 0`."""

    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    def conflict(*_: object, **__: object) -> None:
        raise duckdb.IOException('IO Error: Could not set lock on file "w": Conflicting lock is held in PID 0.')

    monkeypatch.setattr(fcntl, "lockf", refuse)
    monkeypatch.setattr(fcntl, "flock", refuse)
    with (
        pytest.raises(UserError, match=r"landing: its file system has no locks \(.*local disk"),
        exclusive(tmp_path / "landing", 60.0, print),
    ):
        pass
    monkeypatch.setattr(duckdb, "connect", conflict)
    with pytest.raises(UserError, match=r"w\.duckdb: its file system has no locks \(.*WAREHOUSE=.*"):
        Warehouse(tmp_path / "w.duckdb", wait=60.0).prepare()


def test_a_lock_of_an_unknown_process_is_still_a_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As one in another container, which has no number here."""

    def conflict(*_: object, **__: object) -> None:
        raise duckdb.IOException('IO Error: Could not set lock on file "w": Conflicting lock is held in PID 0.')

    monkeypatch.setattr(duckdb, "connect", conflict)
    with pytest.raises(UserError, match=r"w\.duckdb: locked by another process; close it and run again"):
        Warehouse(tmp_path / "w.duckdb", wait=0.0).prepare()
