"""PROC against what independent implementations gave on the same vectors (../shared/golden/README.md)."""

from __future__ import annotations

import pytest

from tests.helpers.golden import (
    Row,
    all_pairs_rows,
    covered_ranks,
    fitted_rows,
    golden_rows,
    label,
    measure,
    needs_golden,
)

TOLERANCE = 1e-4

pytestmark = needs_golden


@pytest.mark.parametrize("golden", golden_rows("reference.py", "proc"), ids=label)
def test_proc_gives_the_reference_number(golden: Row) -> None:
    rows = fitted_rows("proc", golden["pair"], golden["train_size"])
    found = measure(rows, golden["retrieval"], golden["metric"])
    assert found == pytest.approx(float(golden["value"]), abs=TOLERANCE)
    if golden["metric"] == "MAP":
        assert len(covered_ranks(rows, golden["retrieval"])) == int(golden["n_pairs_evaluated"])


# The larger dictionary only, since a pair costs a second.
@pytest.mark.parametrize("golden", all_pairs_rows("proc", "5k"), ids=lambda row: row["pair"])
def test_proc_on_every_pair(golden: Row) -> None:
    rows = fitted_rows("proc", golden["pair"], golden["train_size"])
    for retrieval in ("cosine", "csls"):
        assert measure(rows, retrieval, "MAP") == pytest.approx(float(golden[f"map_{retrieval}"]), abs=TOLERANCE)
        assert len(covered_ranks(rows, retrieval)) == int(golden["n_pairs_evaluated"])
