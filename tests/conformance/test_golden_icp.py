"""ICP against its authors' code on the same vectors, as they are."""

from __future__ import annotations

import pytest

from tests.conformance.golden import needs_golden
from tests.conformance.unsupervised import assert_reaches, reference, slow

pytestmark = needs_golden


@slow
@pytest.mark.parametrize("restarts", [2, 6])
def test_as_many_restarts_reach_the_reference(restarts: int) -> None:
    assert_reaches("icp", (), reference("ICP", f"{restarts} restarts"), restarts=restarts)
