"""One `dbt build` for the tests of this folder; what needs many draws runs the compiled SQL of single models."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import duckdb
import numpy as np
import polars as pl
import pytest

from tests.helpers.warehouse_fixture import RawRows
from tests.marts.compared.rows import (
    FAMILIES,
    ROOT,
    SOURCES,
    TARGETS,
    Evaluate,
    Row,
    as_rows,
    query,
    raw_rows,
)

MARTS = (
    "fct_downstream", "rpt_advice_eval", "rpt_bli_downstream", "rpt_bli_method_pairs", "rpt_bli_methods",
    "rpt_consistency", "rpt_language_pairs", "rpt_pair_correlations", "rpt_variance", "rpt_advice",
    "fct_transfer", "rpt_source_effects_held_out", "rpt_advice_worth", "rpt_source_risks", "rpt_agreement",
    "rpt_baselines", "rpt_advice_coverage", "rpt_stops",
)  # fmt: skip


@pytest.fixture(scope="session")
def raw() -> RawRows:
    return raw_rows()


@pytest.fixture(scope="session")
def warehouse(raw: RawRows, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = raw.write(tmp_path_factory.mktemp("more") / "warehouse.duckdb")
    run = subprocess.run(
        [
            str(Path(sys.executable).with_name("dbt")), "build",
            "--target-path", str(path.parent / "target"), "--log-path", str(path.parent / "logs"),
            "--exclude-resource-type", "unit_test", "--select", *(f"+{mart}" for mart in MARTS),
            "--exclude", "cells_are_their_tuned_jobs",
        ],
        cwd=ROOT, env=os.environ | {"WAREHOUSE": str(path)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout[-6_000:]
    return path


@pytest.fixture(scope="session")
def evaluate(warehouse: Path, tmp_path_factory: pytest.TempPathFactory) -> Evaluate:
    compiled = {path.stem: path.read_text() for path in (warehouse.parent / "target" / "compiled").rglob("*.sql")}
    folder = tmp_path_factory.mktemp("tables")

    def run(model: str, **tables: Sequence[Row]) -> list[Row]:
        with duckdb.connect() as connection:
            for schema in ("staging", "intermediate", "marts"):
                connection.execute(f"create schema {schema}")
            for name, rows in tables.items():
                schema = {"stg": "staging", "int": "intermediate"}.get(name[:3], "marts")
                pl.DataFrame(rows, infer_schema_length=None).write_parquet(folder / f"{name}.parquet")
                connection.execute(f"create table {schema}.{name} as from '{folder / name}.parquet'")
            return as_rows(connection.execute(compiled[model]))

    return run


@pytest.fixture(scope="session")
def deltas(warehouse: Path) -> np.ndarray:
    """delta_pp of study grid, [models, sources, targets]; NaN for MT-ML."""
    found = np.full((len(FAMILIES), len(SOURCES), len(TARGETS)), np.nan)
    for row in query(warehouse, "select * from marts.fct_transfer where study = 'grid' and control is null"):
        source, target = (
            tuple(row[f"{side}_{part}"] for part in ("task", "language")) for side in ("source", "target")
        )
        if source != target:
            found[list(FAMILIES).index(row["model"]), SOURCES.index(source), TARGETS.index(target)] = row["delta_pp"]
    assert np.isnan(found).sum() == len(FAMILIES) * len(SOURCES)
    return found
