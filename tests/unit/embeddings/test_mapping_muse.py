from __future__ import annotations

import numpy as np
import pytest
import torch

from compute.embeddings.mappings import load_method
from compute.embeddings.mappings.muse import Muse
from compute.embeddings.mappings.muse_adversary import adversarial_epochs
from compute.embeddings.mappings.muse_refinement import Sides, best_of, refined
from tests.helpers.clustered import NO_SEEDS, clustered
from tests.helpers.rotated import Rotated, random_rotation, rotated, share_found, vectors

SMALL = {"epochs": 3, "epoch_samples": 20_000, "batch": 128, "discriminator_width": 64, "beta": 0.01}
ONE_RADIAN = 1.0


def turned(seed: int, n: int = 400, noise: float = 0.0, only_source: int = 20, only_target: int = 40) -> Rotated:
    """`n` translations and, on either side, words that translate nothing. The target is the source turned by one
    radian in two planes at right angles; words are spread unevenly about their mean in every direction.

    An adversary follows the slope from where it begins, the identity. In four dimensions most rotations are behind a
    ridge (a reflection always is), which with hundreds of dimensions and a large vocabulary matters little.
    """
    rng = np.random.default_rng(seed)
    scales = np.linspace(1.5, 0.4, 4)

    def words(count: int) -> np.ndarray:
        return scales * (rng.gamma(0.5, size=(count, 4)) / 0.5**0.5 - 0.5**0.5)

    plane = np.array([[np.cos(ONE_RADIAN), np.sin(ONE_RADIAN)], [-np.sin(ONE_RADIAN), np.cos(ONE_RADIAN)]])
    axes = random_rotation(rng, 4)
    rotation = axes @ np.kron(np.eye(2), plane) @ axes.T
    common = words(n)
    other = common @ rotation + noise * scales[-1] * rng.normal(size=(n, 4))
    source = vectors(np.vstack([common, words(only_source)]), "s")
    target = vectors(np.vstack([other, words(only_target) @ rotation]), "t")
    return Rotated(source, target, rotation, np.stack([np.arange(n)] * 2, axis=1))


@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_supervised_recovers_a_planted_rotation(noise: float) -> None:
    problem = rotated(1, noise=noise)
    mapping = load_method("muse_supervised")().fit(*problem[:2], problem.pairs[:30])
    assert share_found(mapping, problem, problem.pairs) == 1.0
    assert mapping.target_map is None


def test_refinement_helps_where_pairs_are_few() -> None:
    problem = rotated(2, n_source=600, n_target=1_000, noise=0.5)
    few = problem.pairs[:20]
    shares = [
        share_found(load_method("muse_supervised")(refinements=n).fit(*problem[:2], few), problem, problem.pairs)
        for n in (0, 1, 5)
    ]
    alone = share_found(load_method("proc")().fit(*problem[:2], few), problem, problem.pairs)
    assert shares[0] == alone
    assert alone + 0.05 < shares[1] < shares[2]


def test_unsupervised_recovers_a_planted_rotation_of_unequal_vocabularies() -> None:
    problem = turned(0)
    mapping = load_method("muse")(**SMALL).fit(*problem[:2], NO_SEEDS)
    assert share_found(mapping, problem, problem.pairs) > 0.97
    np.testing.assert_allclose(mapping.source_map, problem.rotation, atol=0.01)


def test_unsupervised_comes_near_a_planted_rotation_with_noise() -> None:
    problem = turned(1, noise=0.05)
    mapping = load_method("muse")(**SMALL).fit(*problem[:2], NO_SEEDS)
    np.testing.assert_allclose(mapping.source_map, problem.rotation, atol=0.05)


def test_refinement_alone_does_not_find_it() -> None:
    problem = turned(0)
    sides = Sides(*problem[:2], 10_000, "cpu")
    alone = list(refined(sides, sides.judged(torch.eye(4)), 5))[-1].w.numpy()
    assert np.abs(alone - problem.rotation).max() > 0.3


def test_the_same_seed_gives_the_same_map_and_leaves_the_global_state_alone() -> None:
    problem = clustered(1)
    settings = {"epochs": 1, "epoch_samples": 500, "discriminator_width": 8, "refinements": 0}
    torch.manual_seed(123)
    expected = torch.rand(3)
    torch.manual_seed(123)
    maps = [load_method("muse")(**settings).fit(*problem[:2], NO_SEEDS, seed=seed).source_map for seed in (0, 0, 1)]
    assert torch.equal(torch.rand(3), expected)
    np.testing.assert_array_equal(maps[0], maps[1])
    assert not np.array_equal(maps[0], maps[2])


def test_of_restarts_and_epochs_the_best_criterion_is_kept() -> None:
    problem = clustered(2)
    method = Muse(epochs=2, epoch_samples=600, discriminator_width=8, refinements=0, restarts=3)
    sides = Sides(*problem[:2], method.dictionary_words, "cpu")
    judged = [epoch for seed in range(3) for epoch in adversarial_epochs(sides, method, seed)]
    best = max(judged, key=lambda epoch: epoch.criterion)
    np.testing.assert_array_equal(method.fit(*problem[:2], NO_SEEDS, seed=0).source_map, best.w.numpy())
    assert len({epoch.criterion for epoch in judged}) == 6


def test_the_orthogonality_step_keeps_the_map_near_a_rotation() -> None:
    problem = clustered(3)
    distances = []
    for beta in (0.0, 0.05):
        method = Muse(epochs=1, epoch_samples=4_000, discriminator_width=16, beta=beta)
        sides = Sides(*problem[:2], method.dictionary_words, "cpu")
        (epoch,) = adversarial_epochs(sides, method, seed=0)
        distances.append((epoch.w @ epoch.w.T - torch.eye(10)).norm().item())
    assert distances[1] < 0.5 * distances[0]


def test_the_criterion_and_the_dictionary_are_what_the_paper_says() -> None:
    problem = rotated(4, n_source=70, n_target=60, d=6, noise=1.0)
    x, z = (side.matrix.astype(np.float64) for side in problem[:2])
    w = np.linalg.qr(np.random.default_rng(0).normal(size=(6, 6)))[0]
    x = x @ w
    x, z = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (x, z))
    cosines = x @ z.T
    r_x, r_z = (-np.sort(-matrix, axis=1)[:, :10].mean(axis=1) for matrix in (cosines, cosines.T))
    csls = 2 * cosines - r_x[:, None] - r_z
    forth, back = csls.argmax(1), csls.argmax(0)
    words = 40
    expected = [(i, j) for i, j in enumerate(forth[:words]) if j < words and back[j] == i]
    judged = Sides(*problem[:2], words, "cpu").judged(torch.from_numpy(w).float())
    assert [tuple(pair) for pair in judged.pairs.tolist()] == expected
    assert judged.criterion == pytest.approx(cosines[np.arange(70), forth].mean(), abs=1e-5)


def test_the_best_of_the_refinements_is_returned_not_the_last() -> None:
    problem = rotated(5, n_source=80, n_target=80, d=12, noise=3.0)
    pairs = problem.pairs[:20]
    sides = Sides(*problem[:2], 10_000, "cpu")
    start = sides.judged(torch.from_numpy(load_method("proc")().fit(*problem[:2], pairs).source_map))
    seen = [start, *refined(sides, start, 6)]
    best = best_of(seen)
    assert best is not seen[-1] and len({judged.criterion for judged in seen}) > 3
    found = load_method("muse_supervised")(refinements=6).fit(*problem[:2], pairs).source_map
    np.testing.assert_allclose(found, best.w.numpy(), atol=1e-6)


def test_a_run_that_diverges_is_said() -> None:
    problem = clustered(6)
    with pytest.raises(ValueError, match="diverged"):
        load_method("muse")(**(SMALL | {"epoch_samples": 2_000}), learning_rate=1e6).fit(*problem[:2], NO_SEEDS)


@pytest.mark.parametrize("method", ["muse", "muse_supervised"])
def test_what_cannot_be_learnt_from_is_said(method: str) -> None:
    rng = np.random.default_rng(7)
    source, target = vectors(rng.normal(size=(30, 4)), "s"), vectors(rng.normal(size=(30, 3)), "t")
    with pytest.raises(ValueError, match=r"4 \(source\) and 3 \(target\)"):
        load_method(method)().fit(source, target, np.array([[0, 0]]))
    if method == "muse_supervised":
        with pytest.raises(ValueError, match="there is none"):
            load_method(method)().fit(source, source, NO_SEEDS)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_finds_the_same() -> None:
    problem = turned(0)
    mapping = load_method("muse")(**SMALL).fit(*problem[:2], NO_SEEDS, device="cuda")
    assert share_found(mapping, problem, problem.pairs) > 0.97
