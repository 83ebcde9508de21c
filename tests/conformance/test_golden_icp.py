"""ICP against its authors' code on the same vectors, as they are."""

from __future__ import annotations

import pytest

from tests.helpers.golden import needs_golden
from tests.helpers.unsupervised import assert_reaches, reference, slow

pytestmark = needs_golden


def test_one_run_of_fewer_epochs_reaches_the_reference() -> None:
    """Seed 0; the reference has two runs, and 100, 50 and 50 epochs."""
    epochs = {"restart_epochs": 30, "training_epochs": 20, "fine_tuning_epochs": 20}
    assert_reaches("icp", (), reference("ICP", "2 restarts"), restarts=1, **epochs)


@slow
@pytest.mark.parametrize("restarts", [2, 6])
def test_as_many_restarts_reach_the_reference(restarts: int) -> None:
    assert_reaches("icp", (), reference("ICP", f"{restarts} restarts"), restarts=restarts)
