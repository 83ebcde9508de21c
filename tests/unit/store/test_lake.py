"""A lake is named by a line, loaded like a file, and told from one; its password stays nowhere."""

from __future__ import annotations

import os
from pathlib import Path

import duckdb
import pytest

from compute.cli import main
from compute.errors import UserError
from compute.store import lake as lakes
from compute.store.database import read_place
from compute.store.lake import Lake
from compute.store.landing import Landing
from compute.store.raw_schema import TABLES
from compute.store.registration import RegisteredStudy
from compute.store.removal import remove_study
from compute.store.warehouse import Warehouse
from compute.tasks.numerals import PARITY
from tests.unit.store.test_warehouse import JOBS, ask, land, record

pytest.importorskip("duckdb_extension_ducklake", reason="lakes need the extra `lake`")


@pytest.fixture(autouse=True)
def no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", "none")
    monkeypatch.delenv("LAKE_DATA", raising=False)


@pytest.mark.parametrize(
    ("text", "password", "shown"),
    [
        ("dbname=lab user=me password=geheim", "geheim", "dbname=lab user=me"),
        (r"password = 'it\'s \\ hard' host='a b'", r"it's \ hard", "host='a b'"),
        (r"PASSWORD=a\ b dbname=lab", "a b", "dbname=lab"),
        ("postgresql://me:ge%2Fheim@host:1/lab", "ge/heim", "postgresql://me@host:1/lab"),
        ("postgres://host/lab?user=me&password=ge%2Bh+m", "ge+h+m", "postgresql://host/lab?user=me"),
        ("postgresql:///lab?host=/run/a+b", "none", "postgresql:///lab?host=/run/a+b"),
        ("postgresql://me:a?b#c@host/lab", "a?b#c", "postgresql://me@host/lab"),
        ("dbname=lab", "none", "dbname=lab"),
    ],
)
def test_a_password_moves_to_where_postgresql_looks_for_it(text: str, password: str, shown: str) -> None:
    lake = read_place(f"DuckLake:postgres:{text}")
    assert isinstance(lake, Lake)
    assert os.environ["PGPASSWORD"] == password
    assert (str(lake), lake.address) == (f"ducklake:postgres:{shown}",) * 2
    assert password == "none" or password not in repr(lake)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("ducklake:", "expected a catalog's file or PostgreSQL .* found nothing"),
        ("ducklake:sqlite:x", "found the kind 'sqlite'"),
        ("ducklake:dbname=x password=geheim", "expected ducklake:postgres: before a connection string"),
        ("postgres:dbname=x password=geheim", "WAREHOUSE: expected ducklake:postgres: before"),
        ("postgresql://me:geheim@host/x", "WAREHOUSE: expected ducklake:postgres: before"),
        ("ducklake:postgres:dbname=x pasword=geheim", "unknown key 'pasword' .* did you mean 'password'"),
        ("ducklake:postgres:dbname=x password='geheim", "expected key=value pairs"),
        ("ducklake:postgres:geheim", "expected key=value pairs"),
        ("ducklake:postgres:postgresql://host/x?sslpasword=geheim", "unknown key 'sslpasword'"),
        ("ducklake:postgres:postgresql://me:ge@heim@host/x", "expected postgresql://user@host.* as %40"),
        ("ducklake:postgres:postgresql://me:geheim/x@host/x", "expected postgresql://user@host.* as %40"),
        ("ducklake:postgres:dbname='postgresql://me:geheim@host/x'", "dbname: expected a name"),
    ],
)
def test_a_line_that_names_no_lake_is_refused_and_not_repeated(text: str, told: str) -> None:
    with pytest.raises(UserError, match=told) as refused:
        read_place(text)
    assert "geheim" not in str(refused.value)


def test_a_lake_s_data_lies_on_a_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAKE_DATA", "s3://bucket/lake")
    with pytest.raises(UserError, match="LAKE_DATA=s3://bucket/lake: expected a folder"):
        read_place("ducklake:postgres:dbname=x")


def test_a_file_is_named_from_where_it_was_typed(tmp_path: Path) -> None:
    (tmp_path / "studies").mkdir()
    assert str(read_place("ducklake:../a.ducklake", tmp_path / "studies", tmp_path)) == "ducklake:studies/../a.ducklake"
    assert read_place("ducklake:~/a.ducklake") == Lake(Path.home() / "a.ducklake")


@pytest.fixture
def lake(tmp_path: Path) -> Warehouse:
    return Warehouse(Lake(tmp_path / "it's 50%.ducklake"), wait=0.0)


def test_a_lake_is_loaded_as_a_file_is(lake: Warehouse, tmp_path: Path) -> None:
    """What primary keys and `insert or replace` do in a file, done without them."""
    landing = Landing(tmp_path / "landing")
    plan = RegisteredStudy("tiny", "{}", "computed", {job.key: job for job in JOBS}, (PARITY.facts,))
    assert not lake.exists()
    assert (lake.studies(), lake.landed_keys()) == ([], set())
    segment = landing.open_segment()
    segment.add_failure(JOBS[2].key, record(JOBS[2], "failed"))
    segment.commit()
    for job in JOBS[:2]:
        land(landing, job)
    assert lake.load(plan, landing).jobs == 2
    assert ask(lake, "select state from raw.jobs order by 1") == [("failed",), ("landed",), ("landed",)]
    land(landing, JOBS[2])
    assert lake.load(plan, landing).jobs == 1
    assert lake.load(plan, landing).jobs == 0
    assert ask(lake, "select count(*), count(distinct job_key) from raw.jobs where state = 'landed'") == [(3, 3)]
    assert ask(lake, "select count(*), count(distinct job_key) from raw.isometry") == [(6, 3)]
    assert ask(lake, "select task, chance from raw.tasks") == [("parity", 0.5)]
    assert ask(lake, "select count(*) from raw.study_jobs") == [(3,)]
    assert lake.landed_keys() == lake.asked_keys() == {job.key for job in JOBS}
    found = lake.registered("tiny")
    assert found is not None and {key: job.label for key, job in found.jobs.items()} == {j.key: j.label for j in JOBS}
    comments = "select comment from duckdb_tables() where schema_name = 'raw' and table_name = 'jobs'"
    assert ask(lake, comments) == [(TABLES["jobs"].grain_text,)]
    assert remove_study(lake, "tiny") == (3, 14)
    assert ask(lake, "select count(*) from raw.isometry") == [(0,)]


def test_a_lake_and_a_file_are_not_taken_for_each_other(lake: Warehouse, tmp_path: Path) -> None:
    file = Warehouse(tmp_path / "w.duckdb", wait=0.0)
    file.prepare()
    lake.prepare()
    assert isinstance(lake.path, Lake) and lake.path.file
    with pytest.raises(UserError, match="the catalog of a lake; expected ducklake:"):
        Warehouse(lake.path.file, wait=0.0).prepare()
    with pytest.raises(UserError, match=r"w.duckdb is no catalog of a lake; expected .*w.duckdb"):
        Warehouse(Lake(tmp_path / "w.duckdb"), wait=0.0).prepare()
    (tmp_path / "text.ducklake").write_text("text" * 1000)
    with pytest.raises(UserError, match=r"text.ducklake: cannot be opened as a DuckDB \S+ lake"):
        Warehouse(Lake(tmp_path / "text.ducklake"), wait=0.0).studies()
    with pytest.raises(UserError, match="its directory does not exist"):
        Warehouse(Lake(tmp_path / "no" / "w.ducklake"), wait=0.0).prepare()


@pytest.mark.parametrize("missing", ["package", "version"])
def test_an_extension_that_is_not_installed_is_one_line(
    missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    if missing == "package":
        monkeypatch.setattr(lakes, "find_spec", lambda name: None)
    else:
        monkeypatch.setattr(duckdb, "__version__", "1.5.99")
    monkeypatch.setenv("STUDY", "x")
    (tmp_path / "lab.ducklake").touch()
    for verb in (["ls", "studies"], ["build"], ["check"], ["sql", "select 1"], ["docs"], ["doctor"]):
        code = main([*verb, "--warehouse", "ducklake:lab.ducklake"])
        told = capsys.readouterr()
        [line] = [line for line in (told.out + told.err).splitlines() if "DuckDB's extension" in line] or [told.err]
        assert "pip install 'transfer-warehouse[lake]'" in line, verb
        assert code == (1 if verb == ["doctor"] else 2), verb


def test_nothing_is_downloaded(lake: Warehouse) -> None:
    setting = "select current_setting('autoinstall_known_extensions')"
    lake.prepare()
    assert ask(lake, setting) == [(False,)]
