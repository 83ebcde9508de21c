from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from compute.embeddings.mappings import load_method
from compute.embeddings.mappings.dlv import _matching
from compute.embeddings.vectors import preprocess
from tests.helpers.rotated import rotated, share_found, vectors


@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_a_planted_rotation_is_recovered(noise: float) -> None:
    problem = rotated(1, noise=noise)
    mapping = load_method("dlv")().fit(*problem[:2], problem.pairs[:30])
    assert share_found(mapping, problem, problem.pairs) == 1.0
    assert mapping.source_map is not None
    np.testing.assert_allclose(mapping.source_map @ mapping.source_map.T, np.eye(16), atol=1e-5)


def test_matched_words_help_where_given_pairs_are_few() -> None:
    problem = rotated(2, n_source=600, n_target=600, noise=0.5, share=0.9)
    few, sides = problem.pairs[:20], [preprocess(side, "unit") for side in problem[:2]]
    alone = share_found(load_method("proc")().fit(*sides, few), problem, problem.pairs)
    assert share_found(load_method("dlv")().fit(*sides, few), problem, problem.pairs) > alone + 0.05


def test_only_the_most_frequent_words_are_matched() -> None:
    problem = rotated(3, noise=0.3)
    settings = load_method("dlv")(vocabulary=100)
    cut = (vectors(problem.source.matrix[:100], "s"), vectors(problem.target.matrix[:100], "t"))
    inside = problem.pairs[(problem.pairs < 100).all(axis=1)][:30]
    whole = settings.fit(*problem[:2], inside).source_map
    np.testing.assert_allclose(whole, load_method("dlv")().fit(*cut, inside).source_map, atol=1e-6)
    assert not np.allclose(whole, load_method("dlv")().fit(*problem[:2], inside).source_map, atol=1e-4)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000), n=st.integers(1, 12), m=st.integers(1, 12), c=st.integers(1, 4), whole=st.booleans()
)
def test_the_matching_has_the_greatest_weight(seed: int, n: int, m: int, c: int, whole: bool) -> None:
    rng = np.random.default_rng(seed)
    c = min(c, m)
    weights = rng.integers(-3, 4, size=(n, c)).astype(np.float32) if whole else rng.normal(size=(n, c))
    columns = np.argsort(rng.random((n, m)), axis=1)[:, :c]
    rows, matched, total = _matching(torch.from_numpy(weights), torch.from_numpy(columns), m)
    assert len(set(rows.tolist())) == len(rows) and len(set(matched.tolist())) == len(matched)
    dense = np.zeros((n, m + n))  # a column of its own for every row: to leave it unmatched
    dense[:, :m] = -1e6
    np.put_along_axis(dense, columns, weights, axis=1)
    assert total == pytest.approx(dense[rows, matched].sum(), abs=1e-6)
    best = linear_sum_assignment(dense, maximize=True)
    assert total == pytest.approx(dense[best].sum(), abs=1e-6)


def test_what_cannot_be_learnt_from_is_said() -> None:
    problem = rotated(4)
    with pytest.raises(ValueError, match=r"16 \(source\) and 15 \(target\)"):
        load_method("dlv")().fit(problem.source, vectors(problem.target.matrix[:, 1:], "t"), problem.pairs)
    with pytest.raises(ValueError, match="there is none"):
        load_method("dlv")().fit(*problem[:2], problem.pairs[:0])
