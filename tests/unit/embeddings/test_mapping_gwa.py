from __future__ import annotations

import numpy as np
import pytest
import torch

from compute.embeddings.mappings import load_method
from compute.embeddings.vectors import Vectors, preprocess
from tests.helpers.clustered import NO_SEEDS, clustered
from tests.helpers.rotated import Rotated, share_found, vectors


def normalized(problem: Rotated) -> Rotated:
    source, target = (preprocess(side, "unit-centre-unit") for side in (problem.source, problem.target))
    return problem._replace(source=source, target=target)


@pytest.mark.parametrize("noise", [0.0, 0.05])
def test_a_planted_rotation_of_unequal_vocabularies_is_recovered(noise: float) -> None:
    problem = normalized(clustered(0, n=200, noise=noise, only_source=5, only_target=15))
    mapping = load_method("gwa")().fit(*problem[:2], NO_SEEDS)
    assert share_found(mapping, problem, problem.pairs) > 0.97
    assert mapping.source_map is not None
    np.testing.assert_allclose(mapping.source_map.T @ mapping.source_map, np.eye(10), atol=1e-5)
    assert mapping.target_map is None


def test_where_all_words_have_a_translation_the_rotation_is_exact() -> None:
    problem = clustered(1, n=150, only_source=0, only_target=0)
    mapping = load_method("gwa")().fit(*problem[:2], NO_SEEDS)
    np.testing.assert_allclose(mapping.source_map, problem.rotation, atol=1e-4)


def test_only_the_most_frequent_words_are_matched() -> None:
    problem = clustered(2, n=120, only_source=0, only_target=0)
    source, target = (
        Vectors(side.words, side.matrix[rows])
        for side, rows in ((problem.source, problem.pairs[:, 0]), (problem.target, problem.pairs[:, 1]))
    )
    rng = np.random.default_rng(0)
    spoilt = [
        vectors(np.vstack([side.matrix, rng.normal(size=(80, 10))]), prefix)
        for side, prefix in ((source, "s"), (target, "t"))
    ]
    alone, among = (load_method("gwa")(words=120).fit(*sides, NO_SEEDS) for sides in ((source, target), spoilt))
    np.testing.assert_array_equal(alone.source_map, among.source_map)


@pytest.mark.parametrize("first_epsilon", [1e-9, 4e-3], ids=["doubled at first", "halved no further"])
def test_too_little_entropy_is_avoided(first_epsilon: float) -> None:
    problem = clustered(3, n=60, only_source=0, only_target=0)
    mapping = load_method("gwa")(epsilon=1e-9, first_epsilon=first_epsilon).fit(*problem[:2], NO_SEEDS)
    assert share_found(mapping, problem, problem.pairs) == 1.0


def test_words_that_do_not_differ_are_said() -> None:
    same = vectors(np.ones((20, 4)), "w")
    with pytest.raises(ValueError, match="no coupling was found"):
        load_method("gwa")().fit(same, same, NO_SEEDS)


def test_two_dimensions_are_said() -> None:
    rng = np.random.default_rng(4)
    source, target = vectors(rng.normal(size=(30, 4)), "s"), vectors(rng.normal(size=(30, 3)), "t")
    with pytest.raises(ValueError, match=r"4 \(source\) and 3 \(target\)"):
        load_method("gwa")().fit(source, target, NO_SEEDS)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_finds_the_same() -> None:
    problem = clustered(1, n=150, only_source=0, only_target=0)
    mapping = load_method("gwa")().fit(*problem[:2], NO_SEEDS, device="cuda")
    np.testing.assert_allclose(mapping.source_map, problem.rotation, atol=1e-4)
