"""What dbt sets on every connection can be set again after a build has spilled to disk."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest
import yaml

PROFILE = Path(__file__).parents[3] / "profiles.yml"


def test_settings_can_be_set_again_after_a_spill(tmp_path: Path) -> None:
    settings = yaml.safe_load(PROFILE.read_text(encoding="utf-8"))["transfer_warehouse"]["outputs"]["local"]["settings"]
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as connection:
        connection.execute("set memory_limit = '60MB'; set threads = 1")
        connection.execute("create table t as select hash(i) as h from range(3000000) r(i) order by h")
        assert (tmp_path / "warehouse.duckdb.tmp").exists()
        with pytest.raises(duckdb.NotImplementedException, match="temporary directory"):
            connection.execute(f"set temp_directory = '{tmp_path}/elsewhere'")
        for name, value in settings.items():
            connection.cursor().execute(f"set {name} = '{value}'")
