"""What the golden tests of the methods without training pairs share: all are on it-fr."""

from __future__ import annotations

import os
from typing import Any

import pytest

from compute.embeddings.mappings import Seeds, load_method
from tests.helpers.clustered import NO_SEEDS
from tests.helpers.golden import Row, Steps, both, golden_rows, measure, ranked

PAIR = "it-fr"
LESS = 0.02
"""How far below the reference MAP may be: it is of one seed, on 201 test pairs."""

slow = pytest.mark.skipif(
    os.environ.get("TRANSFER_SLOW_TESTS") != "1", reason="takes minutes; set TRANSFER_SLOW_TESTS=1 to run it"
)


def assert_reaches(
    method: str,
    steps: Steps,
    reference: list[Row],
    seed: int = 0,
    pairs: Seeds = NO_SEEDS,
    less: float = LESS,
    **settings: Any,
) -> None:
    """That the method, fitted so, has at least the MAP of the `reference` rows (one a retrieval), less `less`."""
    mapping = load_method(method)(**settings).fit(*both(PAIR, steps), pairs, seed=seed)
    rows = ranked(PAIR, mapping, steps)
    assert len(reference) == 2
    found = {row["retrieval"]: (measure(rows, row["retrieval"], "MAP"), float(row["value"])) for row in reference}
    assert all(value >= golden - less for value, golden in found.values()), found


def reference(peer: str, variant: str) -> list[Row]:
    """MAP of a peer by cosine and by CSLS."""
    return golden_rows(peer, variant, ["MAP"])
