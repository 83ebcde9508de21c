from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from compute.embeddings import coarse, neighbours, retrieval
from compute.embeddings.bli import bli_rows
from compute.embeddings.dictionary import GoldPair
from compute.embeddings.neighbours import NEIGHBOURS, unit_tensor
from compute.embeddings.retrieval import Ranker, Retrieval
from compute.embeddings.vectors import Vectors
from compute.names import UnknownName


def naive_scores(source: NDArray[Any], target: NDArray[Any], how: Retrieval) -> NDArray[Any]:
    """[n, m], the definition written out in float64, on the float32 unit vectors."""
    x, y = (unit_tensor(matrix).double().numpy() for matrix in (source, target))
    cosines = x @ y.T
    if how == "cosine":
        return cosines
    to_target = np.sort(cosines, axis=1)[:, -NEIGHBOURS:].mean(axis=1, keepdims=True)
    to_source = np.sort(cosines, axis=0)[-NEIGHBOURS:].mean(axis=0, keepdims=True)
    return 2 * cosines - to_target - to_source


def naive_ranks(scores: NDArray[Any], queries: NDArray[Any], gold: NDArray[Any]) -> list[float]:
    ranks = []
    for q, g in zip(queries, gold, strict=True):
        lead = np.delete(scores[q], g) - scores[q, g]
        ranks.append(1 + (lead > 1e-12).sum() + (np.abs(lead) <= 1e-12).sum() / 2)
    return ranks


def problem(seed: int, n: int = 80, m: int = 60, d: int = 12) -> tuple[NDArray[Any], ...]:
    rng = np.random.default_rng(seed)
    return (
        rng.normal(size=(n, d)).astype(np.float32),
        rng.normal(size=(m, d)).astype(np.float32),
        rng.integers(0, n, size=40),
        rng.integers(0, m, size=40),
    )


@pytest.mark.parametrize("how", ["cosine", "csls"])
@pytest.mark.parametrize("cells", [1, 333, 1 << 25])
@pytest.mark.parametrize("shape", [(80, 60), (7, 60), (80, 5), (3, 2)])
def test_ranks_are_those_of_the_definition(
    how: Retrieval, cells: int, shape: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(neighbours, "BLOCK_CELLS", cells)
    monkeypatch.setattr(neighbours, "BLOCK_ROWS", 1)
    source, target, queries, gold = problem(1, *shape)
    expected = naive_ranks(naive_scores(source, target, how), queries, gold)
    assert Ranker(source, target).ranks(queries, gold, how).tolist() == expected


def test_half_of_the_ties_count() -> None:
    # Exact in float32: target words 0, 1, 2 are the same vector; 3 is nearer to the query, 4 is farther.
    source = np.array([[1, 0]], dtype=np.float32)
    target = np.array([[0, 1], [0, 1], [0, 1], [1, 0], [-1, 0]], dtype=np.float32)
    ranks = Ranker(source, target).ranks(np.zeros(5, dtype=np.int64), np.arange(5), "cosine")
    assert ranks.tolist() == [3, 3, 3, 1, 5]
    all_the_same = Ranker(source, np.ones((9, 2), dtype=np.float32))
    for how in ("cosine", "csls"):
        assert all_the_same.ranks(np.array([0]), np.array([4]), how).tolist() == [5]


def translations(seed: int, noise: float, equal: float, n: int, m: int, d: int) -> tuple[NDArray[Any], ...]:
    """Target words are noisy source words, so that ranks are small where the noise is; a share `equal` of the
    words of each side repeats an earlier word of it."""
    rng = np.random.default_rng(seed)
    source = rng.normal(size=(n, d)).astype(np.float32)
    target = (source[np.arange(m) % n] + noise * rng.normal(size=(m, d))).astype(np.float32)
    for words in (source, target):
        repeats = np.flatnonzero(rng.random(len(words)) < equal)
        words[repeats] = words[rng.integers(0, len(words), size=len(repeats))]
    gold = rng.integers(0, m, size=30)
    return source, target, gold % n, gold


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    noise=st.sampled_from([0.1, 0.5, 1.0, 5.0]),
    equal=st.sampled_from([0.0, 0.1, 0.9]),
    shape=st.tuples(st.integers(1, 700), st.integers(1, 700), st.integers(1, 20)),
    how=st.sampled_from(["cosine", "csls"]),
    quick=st.booleans(),
)
def test_nothing_that_is_skipped_changes_a_rank(
    seed: int, noise: float, equal: float, shape: tuple[int, int, int], how: Retrieval, quick: bool
) -> None:
    source, target, queries, gold = translations(seed, noise, equal, *shape)
    expected = naive_ranks(naive_scores(source, target, how), queries, gold)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(retrieval, "FIRST_PART", 30)
        patch.setattr(coarse, "key_level", lambda device: min(coarse.KEY_LEVELS) if quick else None)
        patch.setattr(coarse, "FEWEST_KEYS", 40)
        assert Ranker(source, target).ranks(queries, gold, how).tolist() == expected


def test_where_ranks_are_small_most_of_the_product_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    source, target, queries, gold = translations(7, 0.5, 0.0, 3_000, 2_500, 40)
    cells = 0

    def counted(x: torch.Tensor, y: torch.Tensor, k: int, rows: torch.Tensor) -> Iterator[tuple[torch.Tensor, ...]]:
        nonlocal cells
        cells += len(rows) * len(y)
        return neighbours.nearest_blocks(x, y, k, rows)

    monkeypatch.setattr(retrieval, "nearest_blocks", counted)
    monkeypatch.setattr(retrieval, "FIRST_PART", 200)
    ranks = Ranker(source, target).ranks(queries, gold, "csls")
    assert ranks.tolist() == naive_ranks(naive_scores(source, target, "csls"), queries, gold)
    assert cells < 0.2 * len(source) * len(target)


@pytest.mark.parametrize("alike_sources", [False, True])
def test_scores_that_float32_cannot_tell_apart_are_compared_in_float64(alike_sources: bool) -> None:
    rng = np.random.default_rng(8)

    def alike(n: int) -> NDArray[Any]:
        return (rng.normal(size=300) + 1e-7 * rng.normal(size=(n, 300))).astype(np.float32)

    # With alike sources every target word has more nearest ones than are remembered of it.
    source = alike(200) if alike_sources else rng.normal(size=(200, 300)).astype(np.float32)
    target = alike(500)
    queries, gold = rng.integers(0, 200, size=100), np.arange(100)
    in_float32 = unit_tensor(source).numpy()[queries] @ unit_tensor(target).numpy().T
    assert any(len(np.unique(row)) < 500 for row in in_float32), "float32 should see ties here"
    for how in ("cosine", "csls"):
        expected = naive_ranks(naive_scores(source, target, how), queries, gold)
        assert Ranker(source, target).ranks(queries, gold, how).tolist() == expected
        assert len(set(expected)) > 20


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), how=st.sampled_from(["cosine", "csls"]))
def test_a_common_rotation_and_lengths_change_nothing(seed: int, how: Retrieval) -> None:
    source, target, queries, gold = problem(seed)
    rng = np.random.default_rng(seed)
    turned = np.linalg.qr(rng.normal(size=(12, 12)))[0].astype(np.float32)
    lengths = rng.uniform(0.5, 2, size=(60, 1))
    plain = Ranker(source, target).ranks(queries, gold, how)
    moved = Ranker(3 * source @ turned, (lengths * (target @ turned)).astype(np.float32)).ranks(queries, gold, how)
    # Rounding may swap two neighbours whose scores differ by less than a float32 can hold.
    assert np.abs(plain - moved).max() <= 1
    assert (plain == moved).mean() > 0.9


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), how=st.sampled_from(["cosine", "csls"]))
def test_the_order_of_the_target_words_changes_nothing(seed: int, how: Retrieval) -> None:
    source, target, queries, gold = problem(seed)
    order = np.random.default_rng(seed).permutation(len(target))
    place = np.argsort(order)
    plain = Ranker(source, target).ranks(queries, gold, how)
    shuffled = Ranker(source, target[order]).ranks(queries, place[gold], how)
    assert np.abs(plain - shuffled).max() <= 1
    assert (plain == shuffled).mean() > 0.9


def test_bad_input_is_refused() -> None:
    source, target, queries, gold = problem(2)
    with pytest.raises(ValueError, match="12 dimensions, target 11"):
        Ranker(source, target[:, 1:])
    with pytest.raises(UnknownName, match="did you mean 'csls'"):
        Ranker(source, target).ranks(queries, gold, "cslss")  # type: ignore[arg-type]
    source[3, 3] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        Ranker(source, target)


def test_bli_rows_say_what_is_covered_leaked_repeated_and_identical() -> None:
    source = Vectors(["ein", "zwei", "taxi"], np.eye(3, dtype=np.float32))
    target = Vectors(["one", "taxi", "two"], np.eye(3, dtype=np.float32)[[0, 2, 1]])
    train = [GoldPair("1", "ein", "one")]
    test = [
        GoldPair("1", "ein", "one"),
        GoldPair("2", "zwei", "two"),
        GoldPair("t", "taxi", "taxi"),
        GoldPair("2", "zwei", "two"),
        GoldPair("3", "drei", "three"),
        GoldPair("4", "ein", "two"),
    ]
    rows = bli_rows(source, target, train, test)
    assert [row["retrieval"] for row in rows] == ["cosine"] * 6 + ["csls"] * 6
    first = rows[:6]
    assert [row["pair_number"] for row in first] == [0, 1, 2, 3, 4, 5]
    assert [row["concept_id"] for row in first] == ["1", "2", "t", "2", "3", "4"]
    assert [row["rank"] for row in first] == [1, 1, 1, 1, None, 2.5]
    assert [row["is_leaked"] for row in first] == [True, False, False, False, False, False]
    assert [row["is_duplicate"] for row in first] == [False, False, False, True, False, False]
    assert [row["is_identical"] for row in first] == [False, False, True, False, False, False]


def test_bli_rows_without_any_covered_pair() -> None:
    vectors = Vectors(["a", "b"], np.eye(2, dtype=np.float32))
    with pytest.raises(ValueError, match="0 source words and 1 target words"):
        bli_rows(vectors, vectors, [], [GoldPair("1", "?", "a")])
