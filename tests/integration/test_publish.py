"""What readers open is replaced whole, study by study, and only by what passed."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import duckdb
import pytest

from compute.errors import UserError
from compute.store.publish import publish
from compute.store.warehouse import Warehouse

READER = """
import sys, duckdb
connection = duckdb.connect(sys.argv[1], read_only=True)
print("open", flush=True)
input()
print(connection.execute("select delta_pp from marts.fct_transfer").fetchall())
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    Warehouse(tmp_path / "w.duckdb", wait=0.0).prepare()
    return tmp_path


def fill(place: Path, delta: float) -> None:
    """Studies a and b, each with one cell of `delta`."""
    with duckdb.connect(str(place / "w.duckdb")) as connection:
        connection.execute("create schema if not exists marts")
        rows = f"(values ('a', {delta}::double), ('b', {delta}::double)) t(study, delta_pp)"
        connection.execute(f"create or replace table marts.fct_transfer as select * from {rows}")
        connection.execute("delete from raw.studies")
        connection.execute("insert into raw.studies (study, origin) values ('a', 'computed'), ('b', 'computed')")


def warehouse(place: Path) -> Warehouse:
    return Warehouse(place / "w.duckdb", wait=0.0)


def read(
    path: Path, sql: str = "select study, delta_pp from marts.fct_transfer order by 1"
) -> list[tuple[object, ...]]:
    with duckdb.connect(str(path), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def test_a_study_that_does_not_pass_keeps_its_published_rows(place: Path) -> None:
    published = place / "published" / "warehouse.duckdb"
    fill(place, 1.0)
    assert publish("a", warehouse(place), published) == 1
    assert read(published) == [("a", 1.0)]
    fill(place, 2.0)
    publish("b", warehouse(place), published)  # a has changed too, but only b passed
    assert read(published) == [("a", 1.0), ("b", 2.0)]
    assert read(published, "select study from raw.studies order by 1") == [("a",), ("b",)]
    assert [path.name for path in published.parent.iterdir()] == ["warehouse.duckdb"]


def test_a_reader_keeps_what_it_opened(place: Path) -> None:
    published = place / "published" / "warehouse.duckdb"
    fill(place, 1.0)
    publish("a", warehouse(place), published)
    reader = subprocess.Popen([sys.executable, "-c", READER, str(published)], stdin=-1, stdout=-1, text=True)
    assert reader.stdout is not None and reader.stdout.readline() == "open\n"
    fill(place, 2.0)
    publish("a", warehouse(place), published)
    assert reader.communicate("\n")[0].strip() == "[(1.0,)]"
    assert read(published) == [("a", 2.0)]


def test_columns_that_came_since_are_null_in_older_studies(place: Path) -> None:
    published = place / "published" / "warehouse.duckdb"
    fill(place, 1.0)
    publish("a", warehouse(place), published)
    with duckdb.connect(str(place / "w.duckdb")) as connection:
        connection.execute("alter table marts.fct_transfer add column q_value double default 0.5")
    publish("b", warehouse(place), published)
    assert read(published, "select study, q_value from marts.fct_transfer order by 1") == [("a", None), ("b", 0.5)]


def test_a_half_made_file_is_never_seen(place: Path) -> None:
    published = place / "published" / "warehouse.duckdb"
    fill(place, 1.0)
    publish("a", warehouse(place), published)
    with duckdb.connect(str(place / "w.duckdb")) as connection:
        connection.execute("create table marts.bad as select 'b' as study, 'text' as column")
    publish("b", warehouse(place), published)
    before = published.stat().st_ino
    with duckdb.connect(str(place / "w.duckdb")) as connection:  # what b has published does not fit any more
        connection.execute("create or replace table marts.bad as select 'a' as study, 1 as column")
    with pytest.raises(UserError, match="cannot be published"):
        publish("a", warehouse(place), published)
    assert published.stat().st_ino == before and read(published) == [("a", 1.0), ("b", 1.0)]
    assert sorted(path.name for path in published.parent.iterdir()) == ["warehouse.duckdb"]


HOLDER = """
import sys
from pathlib import Path
from compute.store.lock import only_publisher
with only_publisher(Path(sys.argv[1]), 0.0, print):
    print("held", flush=True)
    input()
"""


def test_one_publishes_at_a_time_and_the_other_names_it(place: Path) -> None:
    published = place / "published" / "warehouse.duckdb"
    fill(place, 1.0)
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(published.parent)], stdin=-1, stdout=-1, text=True)
    assert holder.stdout is not None and holder.stdout.readline() == "held\n"
    with pytest.raises(UserError, match=f"published: process {holder.pid} is publishing here"):
        publish("a", warehouse(place), published)
    said: list[str] = []
    waiting = threading.Timer(0.7, lambda: holder.communicate("\n"))
    waiting.start()
    assert publish("a", Warehouse(place / "w.duckdb", wait=20.0, say=said.append), published) == 1
    assert said == [f"process {holder.pid} is publishing in {published.parent}; waiting up to 20 s"]
    waiting.join()


def test_what_a_killed_publisher_left_is_swept(place: Path) -> None:
    published = place / "published" / "warehouse.duckdb"
    fill(place, 1.0)
    publish("a", warehouse(place), published)
    for name in (".warehouse.duckdb.0123", ".warehouse.duckdb.0123.wal", "notes.txt"):
        (published.parent / name).write_bytes(b"x")
    publish("b", warehouse(place), published)
    assert sorted(path.name for path in published.parent.iterdir()) == ["notes.txt", "warehouse.duckdb"]
    assert read(published) == [("a", 1.0), ("b", 1.0)]
