from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.csgraph import minimum_spanning_tree
from scipy.spatial.distance import cdist
from scipy.stats import pearsonr

from compute.embeddings.isometry import (
    MEASURES,
    _bottleneck,
    _component_deaths,
    effective_condition,
    eigenvector_similarity,
    gromov_hausdorff,
    relational_similarity,
)
from compute.embeddings.vectors import Vectors, unit_rows


def cloud(seed: int, n: int = 120, d: int = 8, stretch: float = 1.0) -> Vectors:
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(n, d)) * np.linspace(1, stretch, d)
    return Vectors([f"w{i}" for i in range(n)], matrix.astype(np.float32))


def turned(vectors: Vectors, seed: int) -> Vectors:
    d = vectors.dimension
    rotation = np.linalg.qr(np.random.default_rng(seed).normal(size=(d, d)))[0]
    return Vectors(vectors.words, (vectors.matrix @ rotation).astype(np.float32))


DIAGONAL = np.stack([np.arange(50), np.arange(50)], axis=1)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_a_rotated_copy_is_isometric(seed: int) -> None:
    one = cloud(seed)
    same = turned(one, seed + 1)
    assert eigenvector_similarity(one, same, DIAGONAL) == pytest.approx(0, abs=1e-6)
    assert relational_similarity(one, same, DIAGONAL) == pytest.approx(1, abs=1e-5)
    assert gromov_hausdorff(one, same, DIAGONAL) == pytest.approx(0, abs=1e-3)
    assert effective_condition(one, same, DIAGONAL) == pytest.approx(effective_condition(one, one, DIAGONAL), rel=1e-4)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_all_but_rsim_are_symmetric_and_so_is_rsim_with_its_pairs_turned(seed: int) -> None:
    one, other = cloud(seed), cloud(seed + 1, stretch=4)
    for name, measure in MEASURES.items():
        assert measure(one, other, DIAGONAL) == pytest.approx(measure(other, one, DIAGONAL[:, ::-1]), rel=1e-6), name


def test_unlike_spaces_are_told_apart() -> None:
    one, near, far = cloud(1), cloud(2), cloud(3, stretch=30)
    assert eigenvector_similarity(one, far, DIAGONAL) > eigenvector_similarity(one, near, DIAGONAL)
    assert gromov_hausdorff(one, far, DIAGONAL) > gromov_hausdorff(one, near, DIAGONAL)
    assert effective_condition(one, far, DIAGONAL) > effective_condition(one, near, DIAGONAL)
    assert abs(relational_similarity(one, near, DIAGONAL)) < 0.2


def test_rsim_is_the_pearson_correlation_over_distinct_training_pairs() -> None:
    one, other = cloud(4), cloud(5)
    pairs = np.array([[3, 7], [10, 2], [4, 4], [3, 7], [20, 90], [4, 5]])
    distinct = pairs[[0, 1, 2, 4, 5]]
    x, y = unit_rows(one.matrix[distinct[:, 0]]), unit_rows(other.matrix[distinct[:, 1]])
    above = np.triu_indices(5, k=1)
    expected = pearsonr((x @ x.T)[above], (y @ y.T)[above]).statistic
    assert relational_similarity(one, other, pairs) == pytest.approx(expected, abs=1e-6)
    with pytest.raises(ValueError, match="found 2"):
        relational_similarity(one, other, pairs[[0, 1, 3]])
    flat = Vectors(one.words, np.ones_like(one.matrix))
    with pytest.raises(ValueError, match="equal"):
        relational_similarity(one, flat, pairs)


def test_component_deaths_are_the_minimum_spanning_tree() -> None:
    vectors = cloud(6)
    unit = unit_rows(vectors.matrix)
    expected = np.sort(minimum_spanning_tree(cdist(unit, unit)).data)[::-1]
    np.testing.assert_allclose(_component_deaths(vectors.matrix), expected, atol=1e-6)
    repeated = np.repeat(vectors.matrix, 2, axis=0)
    np.testing.assert_allclose(_component_deaths(repeated)[: len(expected)], expected, atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(
    one=st.lists(st.floats(0, 2), max_size=4),
    other=st.lists(st.floats(0, 2), max_size=4),
)
def test_bottleneck_against_every_matching(one: list[float], other: list[float]) -> None:
    # Each point is matched with one of the other diagram, or with the diagonal (None).
    slots = [*other, *[None] * len(one)]
    best = min(
        max(
            [abs(a - b) if b is not None else a / 2 for a, b in zip(one, chosen, strict=False)]
            + [b / 2 for b in chosen[len(one) :] if b is not None],
            default=0,
        )
        for chosen in permutations(slots)
    )
    found = _bottleneck(np.sort(one)[::-1], np.sort(other)[::-1])
    assert found == pytest.approx(best, abs=1e-12)


def test_two_words_are_half_the_difference_of_their_distances_apart() -> None:
    # The Gromov-Hausdorff distance of two spaces of two points each, which the bound reaches here.
    right = Vectors(["a", "b"], np.array([[1, 0], [0, 3]], dtype=np.float32))
    narrow = Vectors(["a", "b"], np.array([[2, 0], [1, np.sqrt(3)]], dtype=np.float32))
    assert gromov_hausdorff(right, narrow, DIAGONAL) == pytest.approx((np.sqrt(2) - 1) / 2, abs=1e-6)


def test_eigenvector_similarity_is_over_as_many_eigenvalues_as_the_graph_that_needs_fewer() -> None:
    clouds, needed, spectra = (cloud(7, n=60), cloud(8, n=90, stretch=8)), [], []
    for vectors in clouds:
        matrix = vectors.matrix[:60].astype(np.float64)
        near = cdist(matrix, matrix, "cosine").argsort(axis=1)[:, 1:11]
        joined = np.zeros((60, 60))
        for word, others in enumerate(near):
            joined[word, others] = joined[others, word] = 1
        spectrum = np.sort(np.linalg.eigvalsh(np.diag(joined.sum(axis=1)) - joined))[::-1]
        needed.append(next(k for k in range(1, 61) if spectrum[:k].sum() >= 0.9 * joined.sum()))
        spectra.append(spectrum)
    assert needed[0] != needed[1]
    expected = ((spectra[0] - spectra[1])[: min(needed)] ** 2).sum()
    assert eigenvector_similarity(*clouds, DIAGONAL) == pytest.approx(expected, rel=1e-9)


def test_effective_condition_of_known_spectra() -> None:
    # Three equal singular values: effective rank 3, condition 1. One direction only: rank 1, condition 1.
    equal = Vectors(list("abc"), np.eye(3, dtype=np.float32))
    assert effective_condition(equal, equal, DIAGONAL) == pytest.approx(1)
    # Singular values 4, 1, 1: entropy rank 2.38, so 4 / 1; harmonic mean with 1 is 1.6.
    uneven = Vectors(list("abc"), np.diag([4, 1, 1]).astype(np.float32))
    assert effective_condition(uneven, uneven, DIAGONAL) == pytest.approx(4)
    assert effective_condition(uneven, equal, DIAGONAL) == pytest.approx(1.6)
    zero = Vectors(list("abc"), np.zeros((3, 3), dtype=np.float32))
    with pytest.raises(ValueError, match="zero"):
        effective_condition(zero, equal, DIAGONAL)


def test_one_word_is_not_a_space() -> None:
    word = Vectors(["w"], np.ones((1, 8), dtype=np.float32))
    for measure in (eigenvector_similarity, gromov_hausdorff):
        with pytest.raises(ValueError, match="found 1"):
            measure(word, cloud(1), DIAGONAL)
