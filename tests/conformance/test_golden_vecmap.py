"""VecMap against its authors' script on the same vectors, brought to unit-centre-unit as it does.

Supervised, nothing is drawn: the same MAP. Self-learning is random, and the script's draws cannot be repeated.
"""

from __future__ import annotations

import pytest

from tests.conformance.golden import Row, fitted_rows, golden_rows, label, measure, needs_golden, seeds
from tests.conformance.unsupervised import assert_reaches, reference, slow

STEPS = ("unit-centre-unit",)
EXACT = 1e-4

SEMI_SUPERVISED_LESS = 0.01
"""The reference is one run, .4219 by cosine and .4558 by CSLS. Ours with the same cut-off, and a patience of 10, has
.4142 to .4166 and .4458 to .4502 with the seeds 0 to 3. The script's own seed 1 ends at .4168 and .4528."""

pytestmark = needs_golden


@pytest.mark.parametrize("golden", golden_rows("VecMap", "supervised", ["MAP", "P@1", "P@10"]), ids=label)
def test_supervised_gives_the_reference_number(golden: Row) -> None:
    rows = fitted_rows("vecmap_supervised", golden["pair"], golden["train_size"], STEPS)
    assert measure(rows, golden["retrieval"], golden["metric"]) == pytest.approx(float(golden["value"]), abs=EXACT)


def test_unsupervised_reaches_the_reference_with_half_its_words_and_less_patience() -> None:
    """Seed 0, one run; the reference has the cut-off 4,000 and the patience 50."""
    wanted = reference("VecMap", "unsupervised, cutoff 4000")
    assert_reaches("vecmap", STEPS, wanted, vocabulary_cutoff=2_000, initial_vocabulary=2_000, patience=10)


def test_semi_supervised_reaches_the_reference_with_half_its_words_and_less_patience() -> None:
    wanted = reference("VecMap", "semi-supervised, cutoff 4000")
    settings = {"vocabulary_cutoff": 2_000, "patience": 10}
    assert_reaches("vecmap_semi_supervised", STEPS, wanted, 0, seeds("it-fr", "1k"), SEMI_SUPERVISED_LESS, **settings)


@slow
def test_semi_supervised_reaches_the_reference() -> None:
    wanted = reference("VecMap", "semi-supervised, cutoff 4000")
    settings = {"vocabulary_cutoff": 4_000}
    assert_reaches("vecmap_semi_supervised", STEPS, wanted, 0, seeds("it-fr", "1k"), SEMI_SUPERVISED_LESS, **settings)


@slow
@pytest.mark.parametrize("seed", [0, 1])
def test_unsupervised_reaches_the_reference(seed: int) -> None:
    wanted = reference("VecMap", "unsupervised, cutoff 4000")
    assert_reaches("vecmap", STEPS, wanted, seed, vocabulary_cutoff=4_000)
