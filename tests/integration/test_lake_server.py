"""A lake whose catalog is in PostgreSQL: several load and read it at once, and nobody sees a job twice or in part."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from compute.cli import main
from compute.errors import UserError
from compute.store import loading
from compute.store.building import only_builder
from compute.store.database import GATE, read_place
from compute.store.landing import Landing
from compute.store.registration import RegisteredStudy
from compute.store.warehouse import Warehouse
from tests.helpers.postgres import PASSWORD, Server, postgres
from tests.unit.store.test_warehouse import JOBS, ask, land, record

pytest.importorskip("duckdb_extension_postgres_scanner", reason="lakes need the extra `lake`")

ROOT = Path(__file__).parents[2]
PLAN = RegisteredStudy("tiny", "{}", "computed", {job.key: job for job in JOBS})

LOADER = """
import sys
from pathlib import Path
from compute.store import loading
from compute.store.database import read_place
from compute.store.landing import Landing
from compute.store.warehouse import Warehouse
from tests.integration.test_lake_server import PLAN
loading._JOBS_A_TRANSACTION = 1
Warehouse(read_place(sys.argv[1])).load(PLAN, Landing(Path(sys.argv[2])))
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with postgres() as server:
        yield server


@pytest.fixture
def address(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    monkeypatch.setenv("LAKE_DATA", str(tmp_path / "lake"))
    monkeypatch.setenv("PGPASSWORD", "")
    return server.database(request.node.name[:60])


def landing_of(folder: Path) -> Landing:
    """What each of several people has computed: the same jobs."""
    landing = Landing(folder)
    for job in JOBS:
        land(landing, job)
    return landing


def whole(warehouse: Warehouse) -> bool:
    """Whether each job that is there is there once and with all its rows, seen at one time."""
    counts = (
        "select (select count(*) from raw.jobs), (select count(distinct job_key) from raw.jobs), count(*) / 2, "
        "count(distinct job_key) from raw.isometry"
    )
    return len({*ask(warehouse, counts)[0]}) == 1


def test_a_job_that_another_loads_meanwhile_is_loaded_once(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other commits after the first has looked what is there, and before it commits itself."""
    warehouse, inserts, others = Warehouse(read_place(address)), loading._insert, []

    def insert(*arguments: object) -> None:
        if not others:
            others.append(0)
            others[0] = Warehouse(read_place(address)).load(PLAN, landing_of(tmp_path / "other")).jobs
        inserts(*arguments)  # type: ignore[arg-type]

    warehouse.prepare()
    monkeypatch.setattr(loading, "_insert", insert)
    assert warehouse.load(PLAN, landing_of(tmp_path / "landing")).jobs == 0
    assert others == [len(JOBS)]
    assert ask(warehouse, "select count(*) from raw.jobs") == [(len(JOBS),)]
    assert whole(warehouse)


def test_a_failure_does_not_replace_what_another_has_landed(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing = Landing(tmp_path / "failing")
    segment = failing.open_segment()
    segment.add_failure(JOBS[0].key, record(JOBS[0], "failed"))
    segment.commit()
    warehouse, finish = Warehouse(read_place(address)), loading._finish

    def land_first(*arguments: object) -> None:
        if loading._finish is land_first:
            monkeypatch.setattr(loading, "_finish", finish)
            Warehouse(read_place(address)).load(PLAN, landing_of(tmp_path / "landing"))
        finish(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(loading, "_finish", land_first)
    warehouse.load(PLAN, failing)
    assert ask(warehouse, "select distinct state from raw.jobs") == [("landed",)]


def test_several_load_and_read_at_once(address: str, tmp_path: Path) -> None:
    """On an empty server: they make the lake together too."""
    loaders = []
    for number in range(3):
        landing_of(tmp_path / str(number))
        command = [sys.executable, "-c", LOADER, address, str(tmp_path / str(number))]
        loaders.append(subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE))
    warehouse, reads = Warehouse(read_place(address)), 0
    while any(loader.poll() is None for loader in loaders):
        if warehouse.asked_keys():
            assert whole(warehouse)
            reads += 1
        time.sleep(0.2)
    assert [(loader.wait(), loader.communicate()[1]) for loader in loaders] == [(0, b"")] * 3
    assert reads
    assert ask(warehouse, "select count(*) from raw.jobs") == [(len(JOBS),)]
    assert whole(warehouse)
    assert ask(warehouse, f"select count(*) from {GATE}") == [(1,)]


def test_one_builds_at_a_time(address: str) -> None:
    said: list[str] = []
    lake = read_place(address)
    with only_builder(lake, 0.0, said.append):
        busy = r"PostgreSQL's process \d+ for 127\.0\.0\.1/32 builds here; wait for it"
        with pytest.raises(UserError, match=busy), only_builder(lake, 0.1, said.append):
            pytest.fail("two build at once")
        assert len(said) == 1 and "waiting up to" in said[0] and PASSWORD not in said[0]
        Warehouse(lake).prepare()  # who does not build is not held up
    with only_builder(lake, 0.0, said.append):
        assert len(said) == 1


def test_who_reads_sees_one_state(address: str, tmp_path: Path) -> None:
    warehouse = Warehouse(read_place(address))
    warehouse.prepare()
    with warehouse.connect(read_only=True) as connection:
        before = connection.execute("select count(*) from raw.jobs").fetchall()
        Warehouse(read_place(address)).load(PLAN, landing_of(tmp_path / "landing"))
        assert connection.execute("select count(*) from raw.jobs").fetchall() == before == [(0,)]
    assert ask(warehouse, "select count(*) from raw.jobs") == [(len(JOBS),)]


def test_a_killed_loader_leaves_whole_jobs_and_holds_nobody_up(address: str, tmp_path: Path) -> None:
    landing = landing_of(tmp_path / "landing")
    kill = "import os; loading._load_failures = lambda *_: os.kill(os.getpid(), 9)\n"
    program = LOADER.replace("loading._JOBS_A", f"{kill}loading._JOBS_A")
    done = subprocess.run([sys.executable, "-c", program, address, str(landing.root)], cwd=ROOT, check=False)
    assert done.returncode == -9
    warehouse = Warehouse(read_place(address))
    assert whole(warehouse)
    warehouse.load(PLAN, landing)
    assert ask(warehouse, "select count(*) from raw.jobs") == [(len(JOBS),)] and whole(warehouse)


def test_verbs_work_and_the_password_is_nowhere(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    cells = ROOT / "examples" / "import" / "results" / "cells.csv"
    wrong = address.replace("hush", "wrong")
    unreachable = address.replace(" port=", " port=1 hostaddr=127.0.0.1 application_name=")
    said = ""
    for warehouse, words, code, expected in (
        (address, ["import", "donors-recipients", str(cells), "--study", "published"], 0, "195 rows loaded"),
        (address, ["ls", "studies"], 0, "published (ducklake:postgres:dbname="),
        (address, ["sql", "select study from raw.studies"], 0, "published"),
        (address, ["prune"], 0, "0 landed jobs are asked for by no study"),
        (address, ["report", "--study", "published"], 2, "run `transfer build`"),
        (address, ["rm", "published"], 0, "published removed"),
        (wrong, ["ls", "studies"], 2, "password authentication failed"),
        (unreachable, ["build"], 2, "Connection refused"),
    ):
        monkeypatch.setenv("WAREHOUSE", warehouse)
        assert main(words) == code, words
        told = "".join(capfd.readouterr())
        assert expected in told
        assert code == 0 or told.count("\n") == 1, told
        said += told
    assert "hush" in PASSWORD and "hush" not in said
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and b"hush" in path.read_bytes()]


def test_a_new_lake_needs_a_place_for_its_data(address: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("LAKE_DATA")
    with pytest.raises(UserError, match="set LAKE_DATA to the folder"):
        Warehouse(read_place(address), wait=0.0).prepare()
    monkeypatch.setenv("LAKE_DATA", str(tmp_path / "lake"))
    Warehouse(read_place(address), wait=0.0).prepare()
    monkeypatch.setenv("LAKE_DATA", str(tmp_path / "elsewhere"))
    with pytest.raises(UserError, match=r"set LAKE_DATA to the folder .* does not match existing data path"):
        Warehouse(read_place(address), wait=0.0).prepare()
