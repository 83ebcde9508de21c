"""Sums that do not depend on the order of rows, against `math.fsum`."""

from __future__ import annotations

import math
from collections.abc import Sequence

import duckdb
import numpy as np
import pytest

from tests.helpers.warehouse_fixture import rendered

AGGREGATES = {
    "exact": "{{ exact_sum('x') }}", "average": "{{ exact_avg('x') }}", "part": "{{ exact_sum('x', 'i % 3 = 0') }}",
    "sorted": "{{ in_order('sum', 'x') }}", "spread": "{{ in_order('var_samp', 'x') }}",
    "windowed": "any_value(over_all)",
}  # fmt: skip


def _found(values: np.ndarray, order: np.ndarray, asked: Sequence[str] = tuple(AGGREGATES)) -> dict[str, float | None]:
    listed = ", ".join(f"{AGGREGATES[name]} as {name}" for name in asked)
    with duckdb.connect() as connection:
        connection.execute("create table unsorted (i integer, x double)")
        for i in order:
            connection.execute("insert into unsorted values (?, ?)", [int(i), float(values[i])])
        sql = "select *, {{ in_order_over('sum', 'x', '()') }} as over_all from unsorted"
        connection.execute(f"create table numbers as {rendered(sql)}")
        row = connection.execute(rendered(f"select {listed} from numbers")).fetchone()
        assert row is not None
        return dict(zip(asked, row, strict=True))


@pytest.mark.parametrize("scale", [1.0, 1e-6, 1e6])
def test_sums_are_exact_or_in_order(scale: float) -> None:
    rng = np.random.default_rng(3)
    values = scale * rng.normal(size=400) * np.exp(rng.normal(0, 3, 400)) / 3
    values = values[abs(values) < 1e7]
    found = _found(values, np.arange(len(values)))
    assert found == _found(values, rng.permutation(len(values)))
    assert found["exact"] == pytest.approx(math.fsum(values), rel=1e-15, abs=1e-21)
    assert found["average"] == pytest.approx(math.fsum(values) / len(values), rel=1e-15, abs=1e-21)
    assert found["part"] == pytest.approx(math.fsum(values[::3]), rel=1e-15, abs=1e-21)
    assert found["sorted"] == found["windowed"] == pytest.approx(math.fsum(values), rel=1e-11)
    assert found["spread"] == pytest.approx(values.var(ddof=1), rel=1e-11)


@pytest.mark.parametrize("odd", [math.nan, math.inf, 1e30])
def test_what_is_not_finite_or_far_too_large_stops_no_build(odd: float) -> None:
    found = _found(np.array([1.0, odd, 2.0]), np.arange(3), ["exact", "sorted"])
    assert found["exact"] == pytest.approx(odd, nan_ok=True)
    assert found["sorted"] == pytest.approx(odd, nan_ok=True)


def test_nothing_adds_up_to_nothing() -> None:
    assert set(_found(np.array([]), np.arange(0)).values()) == {None}
