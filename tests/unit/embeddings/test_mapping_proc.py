from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from compute.embeddings.dictionary import GoldPair, seed_rows
from compute.embeddings.mappings import METHODS, Mapping, load_method
from compute.embeddings.vectors import Vectors
from compute.names import UnknownName


def random_vectors(rng: np.random.Generator, n: int, d: int, prefix: str) -> Vectors:
    return Vectors([f"{prefix}{i}" for i in range(n)], rng.normal(size=(n, d)).astype(np.float32))


def random_rotation(rng: np.random.Generator, d: int) -> NDArray[Any]:
    return np.linalg.qr(rng.normal(size=(d, d)))[0].astype(np.float32)


def diagonal(m: int) -> NDArray[Any]:
    return np.stack([np.arange(m), np.arange(m)], axis=1)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), d=st.integers(1, 20))
def test_a_planted_rotation_is_recovered(seed: int, d: int) -> None:
    rng = np.random.default_rng(seed)
    source = random_vectors(rng, 3 * d + 20, d, "s")
    planted = random_rotation(rng, d)
    target = Vectors([f"t{i}" for i in range(2 * d + 10)], source.matrix[: 2 * d + 10] @ planted)
    mapping = load_method("proc")().fit(source, target, diagonal(2 * d + 5))
    assert mapping.source_map is not None
    np.testing.assert_allclose(mapping.source_map, planted, atol=2e-5)
    assert mapping.target_map is None


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_the_map_is_orthogonal_and_no_other_is_better_under_noise(seed: int) -> None:
    rng = np.random.default_rng(seed)
    source, target = random_vectors(rng, 60, 6, "s"), random_vectors(rng, 50, 6, "t")
    w = load_method("proc")().fit(source, target, diagonal(40)).source_map
    assert w is not None
    np.testing.assert_allclose(w @ w.T, np.eye(6), atol=1e-5)
    other = random_rotation(rng, 6)
    x, y = source.matrix[:40], target.matrix[:40]
    assert np.linalg.norm(x @ w - y) <= np.linalg.norm(x @ other - y) + 1e-4


def test_noise_moves_the_map_a_little_only() -> None:
    rng = np.random.default_rng(3)
    source = random_vectors(rng, 500, 20, "s")
    planted = random_rotation(rng, 20)
    noisy = source.matrix[:400] @ planted + rng.normal(scale=0.05, size=(400, 20)).astype(np.float32)
    target = Vectors([f"t{i}" for i in range(400)], noisy)
    mapping = load_method("proc")().fit(source, target, diagonal(300))
    mapped, same = mapping.apply(source, target)
    assert same is target
    nearest = (mapped.matrix[300:400] @ noisy.T).argmax(axis=1)
    assert (nearest == np.arange(300, 400)).mean() > 0.95
    assert mapping.source_map is not None
    np.testing.assert_allclose(mapping.source_map, planted, atol=0.05)


def test_fewer_pairs_than_dimensions_still_give_an_orthogonal_map() -> None:
    rng = np.random.default_rng(4)
    source, target = random_vectors(rng, 30, 10, "s"), random_vectors(rng, 30, 10, "t")
    w = load_method("proc")().fit(source, target, diagonal(3)).source_map
    assert w is not None
    np.testing.assert_allclose(w.T @ w, np.eye(10), atol=1e-5)


def test_what_cannot_be_learnt_from_is_said() -> None:
    rng = np.random.default_rng(5)
    source, target = random_vectors(rng, 5, 4, "s"), random_vectors(rng, 5, 3, "t")
    with pytest.raises(ValueError, match=r"4 \(source\) and 3 \(target\)"):
        load_method("proc")().fit(source, target, diagonal(3))
    with pytest.raises(ValueError, match="there is none"):
        load_method("proc")().fit(source, source, diagonal(0))


def test_names_and_settings_are_checked() -> None:
    with pytest.raises(UnknownName, match="did you mean 'proc'"):
        load_method("prok")
    with pytest.raises(ValueError, match="Extra inputs"):
        load_method("proc").model_validate({"rounds": 2})
    assert all(load_method(name) for name in METHODS)


def test_both_sides_may_be_mapped() -> None:
    rng = np.random.default_rng(6)
    source, target = random_vectors(rng, 4, 3, "s"), random_vectors(rng, 5, 3, "t")
    w = random_rotation(rng, 3)
    x, y = Mapping(w, w).apply(source, target)
    np.testing.assert_allclose(x.matrix @ y.matrix.T, source.matrix @ target.matrix.T, atol=1e-5)


def test_seed_rows_keep_order_and_repeats_and_skip_unknown_words() -> None:
    source = Vectors(["a", "b"], np.eye(2, dtype=np.float32))
    target = Vectors(["x", "y"], np.eye(2, dtype=np.float32))
    pairs = [GoldPair("1", s, t) for s, t in [("b", "x"), ("a", "?"), ("?", "x"), ("b", "x"), ("a", "y")]]
    assert seed_rows(source, target, pairs).tolist() == [[1, 0], [1, 0], [0, 1]]
    with pytest.raises(ValueError, match="of 2 pairs, 1 source words and 1 target words"):
        seed_rows(source, target, pairs[1:3])
