"""What holds for every mart, and the sources file."""

from __future__ import annotations

import json
import shutil
from collections import defaultdict
from pathlib import Path

import duckdb

from compute.store.raw_schema import dbt_sources
from tests.marts.scored.rows import ROOT, query, run_dbt


def test_every_mart_leads_with_study_and_says_origin_and_variant(warehouse: Path) -> None:
    columns = defaultdict(list)
    for row in query(
        warehouse,
        "select table_name, column_name from information_schema.columns where table_schema = 'marts'"
        " order by table_name, ordinal_position",
    ):
        columns[row["table_name"]].append(row["column_name"])
    assert columns.keys() == {path.stem for path in (ROOT / "models" / "marts").glob("*.sql")}
    for names in columns.values():
        assert names[:2] == ["study", "origin"]
        assert "variant" in names


def test_sources_are_the_raw_schema() -> None:
    written = (ROOT / "models" / "staging" / "_sources.yml").read_text(encoding="utf-8")
    assert written == dbt_sources(), "python -m compute.store.raw_schema > models/staging/_sources.yml"


def test_data_tests_can_fail(warehouse: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.duckdb"
    shutil.copy(warehouse, broken)
    with duckdb.connect(str(broken)) as connection:
        for statement in (
            "insert into raw.item_scores from raw.item_scores limit 1",
            "insert into marts.rpt_asymmetry from marts.rpt_asymmetry where study = 'published'",
            "update marts.fct_scores set score = 1.5 where rowid = 0",
            "update marts.fct_transfer set regime = 'XX-XX' where rowid = 0",
            "update marts.fct_transfer set delta_pp = delta_pp + 1e-6 where rowid = 1 and study = 'grid'",
            "update marts.fct_bli set p_at_1 = 1.1 where rowid = 0",
            "update marts.rpt_roles set axis = 'family' where rowid = 0",
        ):
            connection.execute(statement)
    broken_nodes = "source:raw.item_scores fct_bli fct_scores fct_transfer rpt_asymmetry rpt_roles"
    code, _ = run_dbt("test", broken, "--select", *broken_nodes.split(), "--exclude-resource-type", "unit_test")
    assert code == 1
    results = json.loads((tmp_path / "target" / "run_results.json").read_text())["results"]
    failed = {result["unique_id"].split(".")[2] for result in results if result["status"] == "fail"}
    expected = (
        "source_unique_grain_raw_item_scores", "unique_grain_rpt_asymmetry", "fct_scores_score_is_a_proportion",
        "fct_transfer_regime_is_known", "fct_transfer_delta_is_the_difference_of_scores",
        "fct_transfer_delta_is_gain_less_loss", "fct_bli_is_ordered", "rpt_roles_axis_is_known",
    )  # fmt: skip
    assert {next((name for name in expected if test.startswith(name)), test) for test in failed} == set(expected)
