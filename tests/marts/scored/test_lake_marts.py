"""A lake's marts are a file's: the same rows from the same raw tables, checked and published alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest

from compute.dbt import run_dbt
from compute.store.audit import audit
from compute.store.database import Place, literal, open_database
from compute.store.lake import Lake
from compute.store.publish import publish
from compute.store.raw_schema import TABLES
from compute.store.warehouse import Warehouse

pytest.importorskip("duckdb_extension_ducklake", reason="lakes need the extra `lake`")

Rows = list[tuple[Any, ...]]

MARTS = "select table_name from duckdb_tables() where schema_name = 'marts' order by all"


@pytest.fixture(scope="module")
def lake(warehouse: Path, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """The raw rows of the file, and marts that dbt has built from them."""
    folder = tmp_path_factory.mktemp("lake")
    place = Lake(folder / "lab.ducklake")
    Warehouse(place).prepare()
    with open_database(place) as connection:
        connection.execute(f"attach {literal(warehouse)} as file (read_only)")
        for table in TABLES:
            connection.execute(f"insert into raw.{table} by name from file.raw.{table}")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert run_dbt("run", "--quiet", warehouse=place) == 0
    return place


def rows(connection: duckdb.DuckDBPyConnection, mart: str) -> tuple[list[str], Rows]:
    """A mart's columns with their types, and its rows by what is no measured number."""
    described = connection.execute(f"describe marts.{mart}").fetchall()
    exact = [name for name, kind, *_ in described if kind not in ("DOUBLE", "FLOAT")]
    found = connection.execute(f"from marts.{mart} order by {', '.join(exact)}").fetchall()
    return [f"{name} {kind}" for name, kind, *_ in described], found


def equal(found: object, expected: object) -> bool:
    if isinstance(found, float) and isinstance(expected, float):
        return found == pytest.approx(expected, rel=1e-7, abs=1e-9, nan_ok=True)
    return found == expected


def test_marts_are_those_of_a_file(warehouse: Path, lake: Place) -> None:
    """To the last bits of a sum, which depend on the order of rows."""
    with open_database(warehouse, read_only=True) as file, open_database(lake, read_only=True) as other:
        marts = file.execute(MARTS).fetchall()
        assert len(marts) > 30 and other.execute(MARTS).fetchall() == marts
        for (mart,) in marts:
            columns, expected = rows(file, mart)
            found = rows(other, mart)
            assert found[0] == columns, mart
            assert len(found[1]) == len(expected), mart
            for row, same in zip(found[1], expected, strict=True):
                assert all(map(equal, row, same)), (mart, row, same)


def test_it_is_checked_and_published_as_a_file_is(
    warehouse: Path, lake: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said: list[str] = []
    audit("grid", Warehouse(lake), said.append)
    counts = "select count(*), count(distinct expectation) from checks.results where study = 'grid'"
    with open_database(lake, read_only=True) as connection:
        [(stored, names)] = connection.execute(counts).fetchall()
    assert stored == names > 30
    assert f"checks: {stored}" in said[-1]
    tables = {}
    for name, place in (("file", warehouse), ("lake", lake)):
        published = tmp_path / name / "warehouse.duckdb"
        assert publish("grid", Warehouse(place), published) > 0
        with duckdb.connect(str(published), read_only=True) as connection:
            tables[name] = connection.execute(
                "select schema_name, table_name, estimated_size, comment from duckdb_tables() "
                "where schema_name = 'marts' order by all"
            ).fetchall()
    assert tables["lake"] == tables["file"]
