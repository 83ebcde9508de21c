"""The loader: bounded transactions, idempotent, and clear about files it cannot use."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from itertools import product
from pathlib import Path

import duckdb
import polars as pl
import pytest

from compute.errors import UserError
from compute.plugin import Job, canonical_json
from compute.store import first_layout as old_layout
from compute.store import loading
from compute.store.landing import Landing
from compute.store.lock import exclusive
from compute.store.raw_schema import FITTED_TABLES, TABLES
from compute.store.registration import RegisteredStudy
from compute.store.warehouse import Warehouse
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
    segment = landing.open_segment()
    for error in ("it broke", "it broke again"):
        segment.add_failure(JOBS[0].key, record(JOBS[0], "failed") | {"error": error})
        segment.commit()
        segment = landing.open_segment()
    warehouse.load(plan, landing)
    assert ask(warehouse, "select state, error from raw.jobs") == [("failed", "it broke again")]
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


def land_together(landing: Landing, *jobs: Job) -> None:
    segment = landing.open_segment()
    for job in jobs:
        tables = {"isometry": [{"measure": f"m{number}"} for number in range(2)]}
        segment.add(job.key, tables | ({"models": [{"model": "m"}]} if job is JOBS[0] else {}), record(job))
    segment.commit()


@pytest.mark.parametrize(
    ("table", "damage"),
    [
        *product(["isometry", "jobs", "segments"], ["truncated", "garbage", "one bit"]),
        *product(["isometry", "jobs"], ["gone"]),  # without its record a segment has not landed
    ],
)
def test_a_damaged_file_withdraws_its_jobs_only(
    table: str, damage: str, plan: RegisteredStudy, landing: Landing, warehouse: Warehouse
) -> None:
    land_together(landing, JOBS[0], JOBS[1])
    damaged = next((landing.root / table).iterdir())
    content = damaged.read_bytes()
    damaged.write_bytes(
        {
            "truncated": content[: len(content) // 2],
            "garbage": b"x" * len(content),
            "one bit": content[:40] + bytes([content[40] ^ 1]) + content[41:],
        }.get(damage, b"")
    )
    if damage == "gone":
        damaged.unlink()
    land_together(landing, JOBS[2])
    loaded = warehouse.load(plan, landing)
    [found] = loaded.damaged
    assert found.file == damaged
    assert set(found.job_keys) == {JOBS[0].key, JOBS[1].key}
    assert loaded.jobs == 1
    assert ask(warehouse, "select count(*) from raw.isometry") == [(2,)]
    assert landing.landed_keys() == {JOBS[2].key}
    land_together(landing, JOBS[0], JOBS[1])
    assert warehouse.load(plan, landing).jobs == 2
    assert ask(warehouse, "select count(*) from raw.isometry") == [(6,)]


def test_damage_to_one_table_leaves_the_jobs_without_rows_in_it(
    plan: RegisteredStudy, landing: Landing, warehouse: Warehouse
) -> None:
    land_together(landing, JOBS[0], JOBS[1])
    next((landing.root / "models").iterdir()).write_bytes(b"")
    loaded = warehouse.load(plan, landing)
    assert [damage.job_keys for damage in loaded.damaged] == [(JOBS[0].key,)]
    assert ask(warehouse, "select job_key, count(*) from raw.isometry group by all") == [(JOBS[1].key, 2)]


def test_of_a_segment_only_the_study_s_own_jobs_are_loaded(
    plan: RegisteredStudy, landing: Landing, warehouse: Warehouse
) -> None:
    """Two studies share what they share; what the second brings is loaded then, and nothing twice."""
    land_together(landing, *JOBS)
    smaller = RegisteredStudy("small", "{}", "computed", {JOBS[1].key: JOBS[1]})
    assert warehouse.load(smaller, landing).rows == 2
    assert ask(warehouse, "select job_key, count(*) from raw.isometry group by all") == [(JOBS[1].key, 2)]
    assert warehouse.load(plan, landing).jobs == 2
    assert ask(warehouse, "select count(*), count(distinct job_key) from raw.isometry") == [(6, 3)]
    assert ask(warehouse, "select count(*) from raw.models") == [(1,)]


def test_a_job_that_landed_twice_is_loaded_once(plan: RegisteredStudy, landing: Landing, warehouse: Warehouse) -> None:
    land_together(landing, JOBS[0], JOBS[1])
    land_together(landing, JOBS[1], JOBS[2])
    assert warehouse.load(plan, landing).jobs == 3
    assert ask(warehouse, "select count(*), count(distinct job_key) from raw.isometry") == [(6, 3)]


def test_a_load_killed_between_transactions_is_finished_by_the_next(
    plan: RegisteredStudy, landing: Landing, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    for job in JOBS:
        land_together(landing, job)
    monkeypatch.setattr("compute.store.loading._JOBS_A_TRANSACTION", 1)
    whole, left = loading._insert, [5]

    def kill(*arguments: object) -> None:
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt
        whole(*arguments)  # type: ignore[arg-type]

    for _ in range(3):
        left[0] = 5
        with monkeypatch.context() as patch, suppress(KeyboardInterrupt):
            patch.setattr(loading, "_insert", kill)
            warehouse.load(plan, landing)
        rows = "select count(*) from raw.isometry group by job_key"
        assert set(ask(warehouse, rows)) <= {(2,)}
    assert ask(warehouse, "select count(*), count(distinct job_key) from raw.isometry") == [(6, 3)]
    assert ask(warehouse, "select count(*) from raw.jobs") == [(3,)]


@pytest.fixture
def first_layout(tmp_path: Path) -> Path:
    """A landing and a warehouse as the first layout left them: `tests/studies/tiny.yml`, computed then."""
    with tarfile.open(Path(__file__).with_name("first_layout.tar.xz")) as archive:
        archive.extractall(tmp_path / "old", filter="data")
    return tmp_path / "old"


Tables = dict[str, list[tuple[object, ...]]]


def are_alike(fresh: Path, old: Path) -> bool:
    """Compare all rows of two warehouses, in the columns that the old one has."""
    columns: dict[str, str] = {}
    with duckdb.connect(str(old), read_only=True) as connection:
        for name in [name for name in TABLES if name not in ("studies", "decisions", *FITTED_TABLES)]:
            names = [row[0] for row in connection.execute(f"describe raw.{name}").fetchall()]
            # The job of a task is that of any of those that bring it.
            columns[name] = ", ".join(one for one in names if (name, one) != ("tasks", "job_key"))
    found: list[Tables] = []
    for path in (fresh, old):
        with duckdb.connect(str(path), read_only=True) as connection:
            queries = {name: f"select {listed} from raw.{name} order by all" for name, listed in columns.items()}
            found.append({name: connection.execute(query).fetchall() for name, query in queries.items()})
    return found[0] == found[1]


def registered(path: Path) -> RegisteredStudy:
    found = Warehouse(path, wait=0.0).registered("tiny")
    assert found is not None
    return found


def test_what_the_first_layout_landed_is_loaded(first_layout: Path, tmp_path: Path) -> None:
    old = first_layout / "warehouse.duckdb"
    study, landing = registered(old), Landing(first_layout / "landing")
    before = landing.landed_keys()
    assert before == set(study.jobs)
    labels = {(job.plugin, job.label) for job in study.jobs.values()}
    assert landing.latest_by_label(labels).keys() == labels
    fresh = Warehouse(tmp_path / "w.duckdb", wait=0.0)
    loaded = fresh.load(study, landing)
    assert (loaded.jobs, loaded.damaged) == (39, ())
    assert are_alike(fresh.path, old)
    assert landing.landed_keys() == before
    assert len([path for path in landing.root.rglob("*") if path.is_file()]) < 12
    assert Warehouse(old, wait=0.0).load(study, landing).jobs == 0


@pytest.mark.parametrize("damage", ["truncated", "row lost", "gone"])
@pytest.mark.parametrize("table", ["jobs", "item_scores"])
def test_damage_in_the_first_layout_withdraws_its_job(
    table: str, damage: str, first_layout: Path, tmp_path: Path
) -> None:
    study, landing = registered(first_layout / "warehouse.duckdb"), Landing(first_layout / "landing")
    key = min(path.stem for path in (landing.root / "item_scores").iterdir())
    file = landing.root / table / f"{key}.parquet"
    if damage == "truncated":
        file.write_bytes(file.read_bytes()[:100])
    elif damage == "row lost":
        frame = pl.read_parquet(file)
        frame.head(frame.height - 1).write_parquet(file)
    else:
        file.unlink()
    loaded = Warehouse(tmp_path / "w.duckdb", wait=0.0).load(study, landing)
    if (table, damage) != ("jobs", "gone"):  # that is a job that has not landed
        assert [(found.file, found.job_keys) for found in loaded.damaged] == [(file, (key,))]
    assert loaded.jobs == 38
    assert landing.landed_keys() == study.jobs.keys() - {key}


def test_killed_while_segments_are_made_of_the_first_layout(
    first_layout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study, landing = registered(first_layout / "warehouse.duckdb"), Landing(first_layout / "landing")
    monkeypatch.setattr("compute.store.first_layout._JOBS_A_SEGMENT", 10)
    remove, left = old_layout._remove, [7]

    def kill(root: Path, folder: str, keys: list[str]) -> None:
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt
        remove(root, folder, keys)

    fresh = Warehouse(tmp_path / "w.duckdb", wait=0.0)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(old_layout, "_remove", kill)
        fresh.load(study, landing)
    assert landing.landed_keys() == set(study.jobs)
    assert fresh.load(study, landing).jobs == 39
    assert are_alike(fresh.path, first_layout / "warehouse.duckdb")


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
    whole = loading._insert

    def insert_then_break(connection: duckdb.DuckDBPyConnection, table: str, *rest: object) -> None:
        whole(connection, table, *rest)  # type: ignore[arg-type]
        if table == "isometry":
            connection.execute("select no_such_function()")

    with monkeypatch.context() as patch:
        patch.setattr(loading, "_insert", insert_then_break)
        with pytest.raises(duckdb.Error):
            warehouse.load(plan, landing)
    assert ask(warehouse, "select count(*) from raw.isometry") == [(2,)]
    assert warehouse.load(plan, landing).jobs == 1


def test_a_warehouse_and_segments_of_an_earlier_version_gain_the_columns_added_since(
    plan: RegisteredStudy, landing: Landing, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as earlier:
        columns = tuple(column for column in TABLES["training_log"].columns if column.name != "truncated")
        earlier.setitem(TABLES, "training_log", replace(TABLES["training_log"], columns=columns))
        landing.write(JOBS[0].key, {"training_log": [{"step": 1, "loss": 0.5}]}, record(JOBS[0]))
        warehouse.prepare()
    for job in JOBS[1:]:
        landing.write(job.key, {"training_log": [{"step": 1, "loss": 0.5, "truncated": 3}]}, record(job))
    assert warehouse.load(plan, landing).rows == 3
    truncated = ask(warehouse, "select truncated from raw.training_log order by truncated nulls first")
    assert truncated == [(None,), (3,), (3,)]


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
