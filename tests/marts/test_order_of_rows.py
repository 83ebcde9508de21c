"""The same raw rows give the same marts to the last digit, in whatever order they lie."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable

import duckdb
import pytest

from tests.helpers.warehouse_fixture import RawRows, derive
from tests.marts.compared.rows import FAMILIES, ROOT, SOURCES, TARGETS
from tests.marts.compared.rows import raw_rows as compared
from tests.marts.scored.rows import raw_rows as scored

MARTS = sorted(path.stem for path in (ROOT / "models" / "marts").glob("*.sql"))


def predicted() -> RawRows:
    """Return the compared studies with what two predictors say of one of them, as `transfer predict` adds it."""
    raw = compared()
    for number, (predictor, model, source, target) in enumerate(
        itertools.product(("random", "uriel"), FAMILIES, SOURCES, TARGETS)
    ):
        raw.add(
            "predictor_values", study="grid", variant="default", prompt="plain@1", predictor=predictor, model=model,
            source_task=source[0], source_language=source[1], target_task=target[0], target_language=target[1],
            value=math.sin(number) if predictor == "uriel" else 0.0,
        )  # fmt: skip
    return raw


def _marts(raw: RawRows, threads: int) -> dict[str, list[tuple[object, ...]]]:
    with duckdb.connect() as connection:
        connection.execute(f"set threads = {threads}; set preserve_insertion_order = false")
        raw.read(connection)
        derive(connection, *MARTS)
        return {mart: connection.execute(f"from {mart} order by all").fetchall() for mart in MARTS}


@pytest.mark.parametrize("raw_rows", [scored, predicted], ids=["scored", "compared"])
def test_marts_do_not_depend_on_the_order_of_raw_rows(raw_rows: Callable[[], RawRows]) -> None:
    found = _marts(raw_rows(), 1)
    shuffled = raw_rows()
    for number, rows in enumerate(shuffled.rows.values()):
        random.Random(number).shuffle(rows)
    of_shuffled = _marts(shuffled, 4)
    assert not (raw_rows is predicted and not found["rpt_predictors"])
    assert [mart for mart in MARTS if found[mart] != of_shuffled[mart]] == []
