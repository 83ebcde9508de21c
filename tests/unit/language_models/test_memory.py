"""Batches: of like length, within the limits, and no more padding than another batch would cost."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from compute.language_models.memory import PADDING_SHARE, Limits, Load, run_in_batches


@given(
    st.lists(st.integers(1, 300), min_size=1, max_size=80), st.integers(1, 600), st.integers(1, 40), st.integers(0, 400)
)
def test_every_text_is_in_one_batch_within_its_limits(lengths: list[int], tokens: int, logits: int, full: int) -> None:
    batches: list[list[int]] = []
    run_in_batches([Load(n, 1 + n % 3, "") for n in lengths], Limits(tokens, logits, full), batches.append)
    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))
    for batch in batches:
        padded = len(batch) * max(lengths[i] for i in batch)
        assert len(batch) == 1 or padded <= tokens
        assert len(batch) == 1 or sum(1 + lengths[i] % 3 for i in batch) <= logits
        assert len(batch) == 1 or padded <= full or padded - sum(lengths[i] for i in batch) <= PADDING_SHARE * padded


def test_small_batches_are_not_split_for_their_padding() -> None:
    batches: list[list[int]] = []
    run_in_batches([Load(n, 1, "") for n in (100, 10, 10)], Limits(2048, 100, 300), batches.append)
    assert batches == [[0, 1, 2]]
    batches.clear()
    run_in_batches([Load(n, 1, "") for n in (100, 10, 10)], Limits(2048, 100, 256), batches.append)
    assert batches == [[0, 1], [2]]
