from __future__ import annotations

import numpy as np
import pytest
import torch

from compute.embeddings.mappings import load_method
from compute.embeddings.mappings.icp_matching import Descent, Matching, Pairs, best_start, principal_components
from tests.helpers.clustered import NO_SEEDS, clustered
from tests.helpers.rotated import share_found, vectors

SMALL = {
    "restarts": 3,
    "components": 6,
    "batch": 32,
    **dict.fromkeys(("restart_epochs", "training_epochs", "fine_tuning_epochs"), 40),
}

DESCENT = Descent(batch=32, learning_rate=0.01, cycle_weight=0.01)


@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_a_planted_rotation_of_unequal_vocabularies_is_recovered(noise: float) -> None:
    problem = clustered(0, noise=noise)
    mapping = load_method("icp")(**SMALL).fit(*problem[:2], NO_SEEDS)
    assert share_found(mapping, problem, problem.pairs) > 0.95


def test_where_all_words_have_a_translation_the_rotation_is_nearly_exact() -> None:
    problem = clustered(1, only_source=0, only_target=0)
    mapping = load_method("icp")(**SMALL).fit(*problem[:2], NO_SEEDS)
    np.testing.assert_allclose(mapping.source_map, problem.rotation, atol=0.05)
    assert mapping.target_map is None


def test_the_same_seed_gives_the_same_map_and_another_seed_another() -> None:
    problem = clustered(2, n=100, noise=0.2)
    maps = [load_method("icp")(**SMALL).fit(*problem[:2], NO_SEEDS, seed=seed).source_map for seed in (0, 0, 1)]
    np.testing.assert_array_equal(maps[0], maps[1])
    assert not np.array_equal(maps[0], maps[2])


def test_components_do_not_depend_on_how_the_space_is_turned() -> None:
    problem = clustered(3, only_source=0, only_target=0)
    source = torch.from_numpy(problem.source.matrix[problem.pairs[:, 0]])
    turned = source @ torch.from_numpy(problem.rotation).float() + 3
    left, right = principal_components(source, 4), principal_components(turned, 4)
    assert left.shape == (400, 4)
    torch.testing.assert_close(left, right, atol=1e-3, rtol=0)
    assert (left.pow(3).sum(0) > 0).all()
    assert left.square().mean().item() == pytest.approx(1, abs=1e-4)
    assert (left.var(0).diff() < 0).all()


def test_the_gradient_is_that_of_the_loss() -> None:
    """One batch of one epoch at a tiny rate: Adam's first step has the sign of the gradient."""
    torch.manual_seed(0)
    x, z = torch.randn(40, 5), torch.randn(50, 5)
    pairs = Pairs(torch.randint(50, (40,)), torch.randint(40, (50,)))
    descent = Descent(batch=40, learning_rate=1e-6, cycle_weight=0.7)
    matching = Matching(x, z, descent, torch.Generator().manual_seed(3))
    start = torch.randn(2, 5, 5, dtype=torch.float64)
    matching.forth, matching.back = start[0].float(), start[1].float()
    same_draws = torch.Generator().manual_seed(3)
    x_rows = torch.randperm(40, generator=same_draws)
    z_rows = torch.randperm(50, generator=same_draws)[:40]
    matching.train(1, pairs)
    a, b = start.requires_grad_(True)
    x_batch, z_batch = x[x_rows].double(), z[z_rows].double()
    squares = (
        (x_batch @ a - z[pairs.of_x[x_rows]]).square().sum()
        + (z_batch @ b - x[pairs.of_z[z_rows]]).square().sum()
        + 0.7 * (x_batch @ a @ b - x_batch).square().sum()
        + 0.7 * (z_batch @ b @ a - z_batch).square().sum()
    )
    gradient = torch.autograd.grad(squares, start)[0]
    moved = torch.stack([matching.forth, matching.back]).double() - start.detach().float().double()
    assert (moved.sign() == -gradient.sign()).all()


def test_the_run_with_the_nearest_pairs_is_kept() -> None:
    problem = clustered(4, n=150, noise=0.3)
    x, z = (principal_components(torch.from_numpy(side.matrix), 3) for side in problem[:2])
    z[:, 0] *= -1  # so that the first run, which turns no sign, has the wrong ones
    apart = [best_start(x, z, DESCENT, 15, range(restarts)).apart for restarts in range(1, 9)]
    assert apart == sorted(apart, reverse=True)
    assert apart[-1] < apart[0]


def test_only_mutual_pairs_are_learnt_from_in_fine_tuning() -> None:
    x, z = torch.eye(4)[:3], torch.eye(4)
    matching = Matching(x, z, DESCENT, torch.Generator().manual_seed(0))
    # Row 0 of x and row 0 of z have each other; rows 1 and 2 of x both take row 0 too.
    pairs = Pairs(torch.zeros(3, dtype=torch.int64), torch.tensor([0, 0, 0, 0]))
    matching.train(1, pairs, mutual_only=True)
    moved = (matching.forth - torch.eye(4)).abs().sum(1)
    assert moved[1] == moved[2] == 0


def test_a_map_that_diverges_is_said() -> None:
    problem = clustered(5, n=60)
    with pytest.raises(ValueError, match="learning_rate"):
        load_method("icp")(**SMALL, learning_rate=1e30).fit(*problem[:2], NO_SEEDS)


def test_two_dimensions_are_said() -> None:
    rng = np.random.default_rng(6)
    source, target = vectors(rng.normal(size=(30, 4)), "s"), vectors(rng.normal(size=(30, 3)), "t")
    with pytest.raises(ValueError, match=r"4 \(source\) and 3 \(target\)"):
        load_method("icp")().fit(source, target, NO_SEEDS)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_finds_the_same() -> None:
    problem = clustered(0)
    mapping = load_method("icp")(**SMALL).fit(*problem[:2], NO_SEEDS, device="cuda")
    assert share_found(mapping, problem, problem.pairs) > 0.95
