"""GWA against its authors' code on the same vectors. That centres and scales the matched words and the rest apart,
which is not a preprocessing one would choose: here all words are brought to unit-centre-unit together."""

from __future__ import annotations

import pytest

from tests.conformance.golden import needs_golden
from tests.conformance.unsupervised import assert_reaches, reference, slow

STEPS = ("unit-centre-unit",)

pytestmark = needs_golden


def test_half_of_the_words_reach_the_reference() -> None:
    assert_reaches("gwa", STEPS, reference("GWA", "first 1000 words"), words=500)


@slow
@pytest.mark.parametrize("variant", ["first 1000 words", "first 2000 words"])
def test_a_thousand_words_reach_the_reference(variant: str) -> None:
    assert_reaches("gwa", STEPS, reference("GWA", variant), words=1_000)
