from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from compute.embeddings.mappings import load_method
from compute.embeddings.mappings.rcsls import _loss
from compute.embeddings.neighbours import unit_tensor
from tests.helpers.rotated import Rotated, random_rotation, rotated, share_found, vectors


def loss_by_definition(problem: Rotated, w: NDArray[Any], pairs: NDArray[Any], k: int) -> float:
    x, y = (side.matrix.astype(np.float64) for side in problem[:2])
    x, y = (side / np.linalg.norm(side, axis=1, keepdims=True) for side in (x, y))
    products = (x @ w) @ y.T
    total = 0.0
    for i, j in pairs:
        total += -2 * products[i, j] + np.sort(products[i])[-k:].mean() + np.sort(products[:, j])[-k:].mean()
    return total / len(pairs)


@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_a_planted_rotation_is_recovered(noise: float) -> None:
    problem = rotated(1, noise=noise)
    mapping = load_method("rcsls")().fit(*problem[:2], problem.pairs[:80])
    assert share_found(mapping, problem, problem.pairs) == 1.0


def test_the_loss_and_its_gradient_are_those_of_the_definition() -> None:
    problem = rotated(2, d=5, noise=0.5)
    rng = np.random.default_rng(2)
    w, direction = random_rotation(rng, 5) * 0.9, rng.normal(size=(5, 5))
    x, y = (unit_tensor(side.matrix) for side in problem[:2])
    pairs = problem.pairs[:40]
    loss, gradient = _loss(x, y, torch.from_numpy(pairs), torch.from_numpy(w), 7)
    assert loss == pytest.approx(loss_by_definition(problem, w, pairs, 7), abs=1e-6)
    h = 1e-5
    ahead, behind = (loss_by_definition(problem, w + s * h * direction, pairs, 7) for s in (1, -1))
    assert (gradient.numpy() * direction).sum() == pytest.approx((ahead - behind) / (2 * h), rel=1e-3)


@pytest.mark.parametrize("step", [0.1, 1.0, 25.0, 1_000.0])
def test_no_step_ends_above_where_it_began(step: float) -> None:
    problem = rotated(3, noise=0.8)
    pairs = problem.pairs[:60]

    def loss(method: str, **settings: Any) -> float:
        w = load_method(method)(**settings).fit(*unit, pairs).source_map
        assert w is not None
        return loss_by_definition(problem, w, pairs, 10)

    unit = [vectors(unit_tensor(side.matrix).numpy(), "w") for side in problem[:2]]
    begun = loss("proc")
    losses = [loss("rcsls", step=step, iterations=n) for n in (1, 3, 12, 30)]
    assert all(later <= earlier + 1e-6 for earlier, later in zip([begun, *losses], losses, strict=False))
    # An undone step is tried again, shorter, from where the last good one ended: so it does get somewhere.
    assert losses[-1] < begun - 0.01


def test_the_spectral_constraint_holds() -> None:
    problem = rotated(4, noise=0.8)
    free, bound = (
        load_method("rcsls")(spectral=spectral, step=5.0).fit(*problem[:2], problem.pairs[:60]).source_map
        for spectral in (False, True)
    )
    assert np.linalg.norm(free, 2) > 1.01
    assert np.linalg.norm(bound, 2) < 1 + 1e-5


def test_lengths_do_not_matter() -> None:
    problem = rotated(5, noise=0.5)
    lengths = np.random.default_rng(5).uniform(0.1, 9, size=(len(problem.source), 1))
    longer = vectors(lengths * problem.source.matrix, "s")
    pairs = problem.pairs[:60]
    plain = load_method("rcsls")().fit(*problem[:2], pairs).source_map
    np.testing.assert_allclose(load_method("rcsls")().fit(longer, problem.target, pairs).source_map, plain, atol=1e-4)


def test_what_cannot_be_learnt_from_is_said() -> None:
    problem = rotated(6)
    with pytest.raises(ValueError, match=r"16 \(source\) and 15 \(target\)"):
        load_method("rcsls")().fit(problem.source, vectors(problem.target.matrix[:, 1:], "t"), problem.pairs)
    with pytest.raises(ValueError, match="there is none"):
        load_method("rcsls")().fit(*problem[:2], problem.pairs[:0])
