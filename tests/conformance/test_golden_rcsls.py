"""RCSLS against fastText's align.py with its default step (1.0) on the same vectors.

align.py counts its last, unseen step in and writes four decimals: so, at least as good less .005.
"""

from __future__ import annotations

import pytest

from tests.helpers.golden import Row, fitted_rows, golden_rows, label, measure, needs_golden

TOLERANCE = 5e-3

pytestmark = needs_golden


@pytest.mark.parametrize("golden", golden_rows("fastText RCSLS", "default", ["MAP"]), ids=label)
def test_rcsls_is_as_good_as_the_reference(golden: Row) -> None:
    rows = fitted_rows("rcsls", golden["pair"], golden["train_size"])
    assert measure(rows, golden["retrieval"], "MAP") >= float(golden["value"]) - TOLERANCE
