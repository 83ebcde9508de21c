from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compute.embeddings.mappings import load_method
from tests.helpers.rotated import Rotated, rotated, share_found, vectors


@pytest.mark.parametrize("method", ["cca", "cca_projection"])
@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_a_planted_rotation_is_recovered(method: str, noise: float) -> None:
    problem = rotated(1, noise=noise)
    mapping = load_method(method)().fit(problem.source, problem.target, problem.pairs[:80])
    assert share_found(mapping, problem, problem.pairs[80:]) == 1.0


def test_without_noise_the_mapped_sides_are_one() -> None:
    problem = rotated(2)
    source, target = load_method("cca")().fit(*problem[:2], problem.pairs[:80]).apply(*problem[:2])
    i, j = problem.pairs.T
    np.testing.assert_allclose(source.matrix[i], target.matrix[j], atol=1e-4)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), centred=st.booleans(), dimensions=st.tuples(st.integers(2, 9), st.integers(2, 9)))
def test_canonical_variates_are_white_and_uncorrelated_across(
    seed: int, centred: bool, dimensions: tuple[int, int]
) -> None:
    rng = np.random.default_rng(seed)
    mixed = rng.normal(size=(4, sum(dimensions)))
    both = rng.normal(size=(90, 4)) @ mixed + rng.normal(size=(90, sum(dimensions))) + 3
    source, target = vectors(both[:, : dimensions[0]], "s"), vectors(both[:, dimensions[0] :], "t")
    pairs = np.stack([np.arange(70), np.arange(70)], axis=1)
    mapping = load_method("cca")(centred=centred).fit(source, target, pairs)
    x, y = (side.matrix[:70].astype(np.float64) for side in mapping.apply(source, target))
    assert x.shape == y.shape == (70, min(dimensions))
    for side in (x, y):
        np.testing.assert_allclose(side.T @ side / 70, np.eye(min(dimensions)), atol=2e-3)
        if centred:
            np.testing.assert_allclose(side.mean(axis=0), 0, atol=1e-4)
    across = x.T @ y / 70
    correlations = np.diagonal(across)
    np.testing.assert_allclose(across, np.diag(correlations), atol=2e-3)
    assert (np.diff(correlations) < 1e-3).all() and (correlations > -1e-3).all() and correlations[0] < 1.001


def test_the_first_correlation_is_the_largest_there_is() -> None:
    rng = np.random.default_rng(4)
    hidden = rng.normal(size=(200, 1))
    source = vectors(np.hstack([hidden, rng.normal(size=(200, 3))]) @ rng.normal(size=(4, 4)), "s")
    target = vectors(np.hstack([rng.normal(size=(200, 2)), hidden]) @ rng.normal(size=(3, 3)), "t")
    pairs = np.stack([np.arange(200), np.arange(200)], axis=1)
    x, y = load_method("cca")().fit(source, target, pairs).apply(source, target)
    assert abs(np.corrcoef(x.matrix[:, 0], hidden[:, 0])[0, 1]) > 0.999
    assert np.corrcoef(x.matrix[:, 0], y.matrix[:, 0])[0, 1] > 0.999


def test_the_projection_turns_and_nothing_else() -> None:
    problem = rotated(5, noise=0.3)
    mapping = load_method("cca_projection")().fit(*problem[:2], problem.pairs)
    for learnt in (mapping.source_map, mapping.target_map):
        assert learnt is not None
        np.testing.assert_allclose(learnt.T @ learnt, np.eye(16), atol=1e-5)


def test_few_pairs_need_a_ridge() -> None:
    problem = rotated(6)
    few = problem.pairs[:15]
    for method in ("cca", "cca_projection"):
        with pytest.raises(ValueError, match="15 training pairs do not span its 16 dimensions"):
            load_method(method)().fit(*problem[:2], few)
        mapping = load_method(method)(ridge=0.01).fit(*problem[:2], few)
        assert share_found(mapping, problem, few) == 1.0


def test_more_ridge_shrinks_the_variates() -> None:
    problem: Rotated = rotated(7)
    sizes = []
    for ridge in (0.0, 0.1, 1.0):
        mapped = load_method("cca")(ridge=ridge).fit(*problem[:2], problem.pairs).apply(*problem[:2])
        sizes.append(np.linalg.norm(mapped[0].matrix))
    assert sizes[0] > sizes[1] > sizes[2]


def test_without_pairs_there_is_nothing_to_learn_from() -> None:
    problem = rotated(8)
    with pytest.raises(ValueError, match="there is none"):
        load_method("cca")().fit(*problem[:2], problem.pairs[:0])
