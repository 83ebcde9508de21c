from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from compute.embeddings.mappings import load_method
from compute.embeddings.mappings.vecmap import VecMap, initial_pairs
from compute.embeddings.mappings.vecmap_induction import StochasticInduction, largest
from compute.embeddings.vectors import preprocess
from tests.helpers.clustered import NO_SEEDS, clustered
from tests.helpers.rotated import Rotated, rotated, share_found, vectors

SMALL = {"initial_keep": 0.4, "patience": 10}


def normalized(problem: Rotated) -> Rotated:
    source, target = (preprocess(side, "unit-centre-unit") for side in (problem.source, problem.target))
    return problem._replace(source=source, target=target)


@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_supervised_recovers_a_planted_rotation(noise: float) -> None:
    problem = rotated(1, noise=noise)
    mapping = load_method("vecmap_supervised")().fit(*problem[:2], problem.pairs[:60])
    assert share_found(mapping, problem, problem.pairs) == 1.0


def test_without_noise_both_sides_are_mapped_onto_each_other_exactly() -> None:
    problem = rotated(2)
    source, target = load_method("vecmap_supervised")().fit(*problem[:2], problem.pairs[:50]).apply(*problem[:2])
    left, right = source.matrix[problem.pairs[:, 0]], target.matrix[problem.pairs[:, 1]]
    np.testing.assert_allclose(left, right, atol=1e-3 * np.abs(left).max())


def test_reweighting_lengthens_directions_that_agree() -> None:
    """Four directions are the same on both sides, the others noise: only the four should decide."""
    rng = np.random.default_rng(3)
    shared = rng.normal(size=(400, 4))
    source, target = (vectors(np.hstack([shared, rng.normal(size=(400, 8))]), prefix) for prefix in "st")
    pairs = np.stack([np.arange(400)] * 2, axis=1)
    problem = Rotated(source, target, np.eye(12), pairs)
    found = {
        power: share_found(
            load_method("vecmap_supervised")(reweight=power).fit(source, target, pairs[:300]), problem, pairs[300:]
        )
        for power in (0.0, 0.5, 1.0)
    }
    assert 2 * found[0.0] < found[0.5] < found[1.0]


def test_fewer_pairs_than_dimensions_map_what_the_pairs_span() -> None:
    problem = rotated(4, d=20)
    few = problem.pairs[:12]
    source, target = load_method("vecmap_supervised")().fit(*problem[:2], few).apply(*problem[:2])
    assert np.linalg.matrix_rank(source.matrix.astype(np.float64), tol=1e-3) == 12
    left, right = source.matrix[few[:, 0]], target.matrix[few[:, 1]]
    np.testing.assert_allclose(left, right, atol=1e-3 * np.abs(left).max())


@pytest.mark.parametrize("noise", [0.0, 0.05])
def test_unsupervised_recovers_a_planted_rotation_of_unequal_vocabularies(noise: float) -> None:
    problem = normalized(clustered(0, noise=noise))
    assert len(problem.source) != len(problem.target)
    mapping = load_method("vecmap")(**SMALL).fit(*problem[:2], NO_SEEDS)
    assert share_found(mapping, problem, problem.pairs) > 0.97


def test_semi_supervised_learns_the_rest_from_a_few_pairs() -> None:
    problem = normalized(clustered(1, noise=0.2))
    few = problem.pairs[::80]
    alone = share_found(load_method("proc")().fit(*problem[:2], few), problem, problem.pairs)
    mapping = load_method("vecmap_semi_supervised")(**SMALL).fit(*problem[:2], few)
    assert alone + 0.2 < share_found(mapping, problem, problem.pairs) > 0.9


def test_only_words_within_the_cutoff_are_learnt_from() -> None:
    problem = normalized(clustered(0))
    method = VecMap(vocabulary_cutoff=50, **SMALL)
    first = initial_pairs(*problem[:2], 50, 10, "cpu")
    for induced in method.iterations(*problem[:2], first, "cpu", 0):
        assert induced.pairs.shape == (100, 2)
        assert int(induced.pairs.max()) < 50


def test_the_same_seed_gives_the_same_map_and_another_seed_other_draws() -> None:
    problem = normalized(clustered(2, noise=0.3))
    method = VecMap(initial_keep=0.4, keep_growth=2.5, patience=3)
    maps = [method.fit(*problem[:2], NO_SEEDS, seed=seed) for seed in (0, 0)]
    np.testing.assert_array_equal(maps[0].source_map, maps[1].source_map)
    first = initial_pairs(*problem[:2], 4_000, 10, "cpu")
    one, other = (next(method.iterations(*problem[:2], first, "cpu", seed)).pairs for seed in (0, 1))
    assert not torch.equal(one, other)


def test_of_restarts_the_highest_objective_is_kept() -> None:
    problem = normalized(clustered(3, noise=0.5))
    settings = {"initial_keep": 0.2, "keep_growth": 5, "patience": 1}
    first = initial_pairs(*problem[:2], 4_000, 10, "cpu")
    single = VecMap(**settings)
    objectives = {
        seed: max(step.objective for step in single.iterations(*problem[:2], first, "cpu", seed)) for seed in range(3)
    }
    best = max(objectives, key=lambda seed: objectives[seed])
    kept = VecMap(restarts=3, **settings).fit(*problem[:2], NO_SEEDS, seed=0)
    np.testing.assert_array_equal(kept.source_map, single.fit(*problem[:2], NO_SEEDS, seed=best).source_map)
    assert len(set(objectives.values())) == 3


def csls_choices(x: np.ndarray, z: np.ndarray, k: int) -> list[tuple[int, int]]:
    """Word pairs by the definition, source words' choices first."""
    cosines = x.astype(np.float64) @ z.T.astype(np.float64)
    r_x, r_z = (-np.sort(-matrix, axis=1)[:, :k].mean(axis=1) for matrix in (cosines, cosines.T))
    csls = 2 * cosines - r_x[:, None] - r_z
    return [(i, int(j)) for i, j in enumerate(csls.argmax(1))] + [(int(i), j) for j, i in enumerate(csls.argmax(0))]


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1_000), n=st.integers(2, 90), m=st.integers(2, 150))
def test_with_nothing_dropped_the_dictionary_is_csls_in_both_directions(seed: int, n: int, m: int) -> None:
    torch.manual_seed(seed)
    x, z = (torch.nn.functional.normalize(torch.randn(rows, 8), dim=1) for rows in (n, m))
    induced = StochasticInduction(n, m, 10, "cpu", seed)(x, z, keep=1)
    assert [tuple(pair) for pair in induced.pairs.tolist()] == csls_choices(x.numpy(), z.numpy(), 10)
    cosines = x @ z.T
    expected = (cosines.amax(1).mean() + cosines.amax(0).mean()) / 2
    assert induced.objective == pytest.approx(expected.item(), abs=1e-6)


def test_places_are_as_if_a_mask_were_drawn() -> None:
    """The place of the chosen word in falling order of CSLS is geometric, independent from word to word."""
    torch.manual_seed(0)
    n, m, keep = 3_000, 40, 0.3
    x, z = (torch.nn.functional.normalize(torch.randn(rows, 6), dim=1) for rows in (n, m))
    pairs = StochasticInduction(n, m, 10, "cpu", 7)(x, z, keep).pairs[:n]
    penalty = (z @ x.T).topk(10, dim=1).values.mean(1) / 2
    order = (x @ z.T - penalty).argsort(dim=1, descending=True)
    places = (order == pairs[:, 1:]).float().argmax(1)
    given_one = 1 - (1 - keep) ** m
    for place in range(6):
        share, expected = (places == place).float().mean().item(), keep * (1 - keep) ** place / given_one
        assert share == pytest.approx(expected, abs=4 * (expected * (1 - expected) / n) ** 0.5)
    above = (places > 2).float()
    assert abs(torch.corrcoef(torch.stack([above[:-1], above[1:]]))[0, 1].item()) < 4 / n**0.5


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 1_000), rows=st.integers(1, 9), columns=st.integers(1, 700), data=st.data())
def test_largest_is_topk_of_either_orientation(seed: int, rows: int, columns: int, data: st.DataObject) -> None:
    k = data.draw(st.integers(1, min(columns, 70)))
    torch.manual_seed(seed)
    scores = torch.randperm(rows * columns).float().view(rows, columns)
    expected = scores.topk(k, dim=1)
    for view in (scores, scores.T.contiguous().T):
        values, indices = largest(view, k)
        assert torch.equal(values, expected.values)
        assert torch.equal(indices, expected.indices)


def test_unlike_vocabularies_still_end_with_a_map() -> None:
    rng = np.random.default_rng(5)
    source, target = vectors(rng.normal(size=(60, 5)), "s"), vectors(rng.normal(size=(90, 5)), "t")
    mapping = load_method("vecmap")(**SMALL).fit(source, target, NO_SEEDS)
    mapping.apply(source, target)


@pytest.mark.parametrize("method", ["vecmap", "vecmap_semi_supervised", "vecmap_supervised"])
def test_what_cannot_be_learnt_from_is_said(method: str) -> None:
    rng = np.random.default_rng(6)
    source, target = vectors(rng.normal(size=(30, 4)), "s"), vectors(rng.normal(size=(30, 3)), "t")
    with pytest.raises(ValueError, match=r"4 \(source\) and 3 \(target\)"):
        load_method(method)().fit(source, target, np.array([[0, 0]]))
    if method != "vecmap":
        with pytest.raises(ValueError, match="there is none"):
            load_method(method)().fit(source, source, NO_SEEDS)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_finds_the_same() -> None:
    problem = normalized(clustered(0))
    mapping = load_method("vecmap")(**SMALL).fit(*problem[:2], NO_SEEDS, device="cuda")
    assert share_found(mapping, problem, problem.pairs) > 0.97
