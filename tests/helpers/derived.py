"""Small warehouses whose models are derived in memory, without dbt: for tests that build many."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import duckdb
import numpy as np

from tests.helpers.warehouse_fixture import RawRows, derive

Row = dict[str, Any]


def as_rows(connection: duckdb.DuckDBPyConnection, sql: str) -> list[Row]:
    cursor = connection.execute(sql)
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def derived(raw: RawRows, *models: str) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    raw.read(connection)
    derive(connection, *models)
    return connection


def add_cells(raw: RawRows, study: str, before: np.ndarray, after: Sequence[np.ndarray]) -> None:
    """One baseline and a source for each array of `after`, [seeds, items], on one target."""
    raw.study(study)
    raw.scores(study, model="m@1", variant=study, target=("t", "en"), correct=before.tolist())
    for number, seeds in enumerate(after):
        for seed, right in enumerate(seeds):
            raw.scores(
                study, model="m@1", variant=study, source=("u", f"s{number:03d}"), seed=seed, target=("t", "en"),
                correct=right.tolist(),
            )  # fmt: skip


def transfer_cells(raw: RawRows, order: str = "study, source_language") -> list[Row]:
    raw.task("t")
    return as_rows(derived(raw, "fct_transfer"), f"select * from fct_transfer order by {order}")
