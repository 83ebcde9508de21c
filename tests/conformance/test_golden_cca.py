"""CCA and the projection of the paper's code against an independent implementation on the same vectors."""

from __future__ import annotations

from typing import Any

import pytest

from tests.helpers.golden import Row, fitted_rows, golden_rows, label, measure, needs_golden

TOLERANCE = 1e-4

METRICS = ("MAP", "P@1", "P@10", "acc_src")

VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "cca_textbook": ("cca", {}),
    "cca_centred": ("cca", {"centred": True}),
    "cca_repo": ("cca_projection", {}),
}

pytestmark = needs_golden


@pytest.mark.parametrize(
    "golden", [row for v in VARIANTS for row in golden_rows("reference.py", v, METRICS)], ids=label
)
def test_cca_gives_the_reference_number(golden: Row) -> None:
    method, settings = VARIANTS[golden["variant"]]
    rows = fitted_rows(method, golden["pair"], golden["train_size"], **settings)
    found = measure(rows, golden["retrieval"], golden["metric"])
    assert found == pytest.approx(float(golden["value"]), abs=TOLERANCE)


@pytest.mark.parametrize("golden", golden_rows("xling-eval", "-m c", ["MAP"]), ids=label)
def test_the_projection_gives_what_the_paper_s_code_gives(golden: Row) -> None:
    rows = fitted_rows("cca_projection", golden["pair"], golden["train_size"])
    assert measure(rows, golden["retrieval"], "MAP") == pytest.approx(float(golden["value"]), abs=TOLERANCE)
