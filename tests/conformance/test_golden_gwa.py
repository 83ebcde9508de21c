"""GWA against its authors' code on the same vectors. That centres and scales the matched words and the rest apart,
which is not a preprocessing one would choose: here all words are brought to unit-centre-unit together."""

from __future__ import annotations

import pytest

from tests.conformance.golden import needs_golden
from tests.conformance.unsupervised import assert_reaches, reference, slow

STEPS = ("unit-centre-unit",)

pytestmark = needs_golden


def test_half_of_the_words_and_of_the_iterations_reach_the_reference() -> None:
    """The reference has 2,000 words and 60 iterations; it is above that of 1,000 words by both retrievals."""
    assert_reaches("gwa", STEPS, reference("GWA", "first 2000 words"), words=1_000, iterations=30)


@slow
@pytest.mark.parametrize(("variant", "words"), [("first 1000 words", 1_000), ("first 2000 words", 2_000)])
def test_as_many_words_and_iterations_reach_the_reference(variant: str, words: int) -> None:
    assert_reaches("gwa", STEPS, reference("GWA", variant), words=words, iterations=60)
