from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from compute.embeddings import neighbours
from compute.embeddings.mappings import load_method
from compute.embeddings.mappings.proc_b import frequent_mutual
from tests.helpers.rotated import rotated, share_found, vectors


@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_a_planted_rotation_is_recovered(noise: float) -> None:
    problem = rotated(1, noise=noise)
    mapping = load_method("proc_b")().fit(*problem[:2], problem.pairs[:30])
    assert share_found(mapping, problem, problem.pairs) == 1.0


def test_where_all_words_have_a_translation_the_rotation_is_exact() -> None:
    problem = rotated(1, share=1.0)
    mapping = load_method("proc_b")().fit(*problem[:2], problem.pairs[:30])
    np.testing.assert_allclose(mapping.source_map, problem.rotation, atol=1e-5)


def test_found_pairs_help_where_given_ones_are_few() -> None:
    problem = rotated(2, n_source=600, n_target=1_000, noise=0.5)
    few = problem.pairs[:20]
    shares = {
        rounds: share_found(load_method("proc_b")(rounds=rounds).fit(*problem[:2], few), problem, problem.pairs)
        for rounds in (1, 5)
    }
    alone = share_found(load_method("proc")().fit(*problem[:2], few), problem, problem.pairs)
    assert alone + 0.05 < shares[1] < shares[5]


def test_the_second_dictionary_is_what_the_paper_says() -> None:
    problem = rotated(3, n_source=90, n_target=80, d=6, noise=1.5)
    seeds = problem.pairs[:10]
    first = load_method("proc")().fit(*problem[:2], seeds)
    x, y = (side.matrix.astype(np.float64) for side in first.apply(*problem[:2]))
    cosines = (x @ y.T) / np.linalg.norm(x, axis=1)[:, None] / np.linalg.norm(y, axis=1)
    to_target, to_source = cosines.argmax(axis=1), cosines.argmax(axis=0)
    mutual = sorted(
        ((i, int(j)) for i, j in enumerate(to_target) if to_source[j] == i), key=lambda pair: pair[0] + pair[1]
    )
    assert len(mutual) > 20
    for limit in (5, 10, 17, 10_000):
        dictionary = np.array([*seeds.tolist(), *mutual[: max(0, limit - 10)]])
        expected = load_method("proc")().fit(*problem[:2], dictionary).source_map
        found = load_method("proc_b")(limit=limit).fit(*problem[:2], seeds).source_map
        np.testing.assert_allclose(found, expected, atol=1e-6)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    shape=st.tuples(st.integers(1, 400), st.integers(1, 400)),
    noise=st.sampled_from([0.0, 0.5, 2.0, 50.0]),
    limit=st.sampled_from([0, 1, 3, 10, 40, 500]),
)
def test_the_most_frequent_mutual_neighbours_are_found_without_the_others(
    seed: int, shape: tuple[int, int], noise: float, limit: int
) -> None:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(shape[0], 8))
    y = x[rng.permutation(np.arange(shape[1]) % shape[0])] + noise * rng.normal(size=(shape[1], 8))
    tensors = [torch.tensor(side, dtype=torch.float32) for side in (x, y)]
    products = tensors[0].double() @ tensors[1].double().T
    to_y, to_x = products.argmax(1).tolist(), products.argmax(0).tolist()
    mutual = sorted(((i, j) for i, j in enumerate(to_y) if to_x[j] == i), key=lambda pair: (sum(pair), pair[0]))
    assert [tuple(pair) for pair in frequent_mutual(*tensors, limit).tolist()] == mutual[:limit]


def test_a_small_part_of_the_product_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where words are about as frequent as their translations."""
    rng = np.random.default_rng(6)
    x = rng.normal(size=(2_000, 16))
    y = x[(np.arange(2_000) + rng.normal(scale=50, size=2_000)).argsort()] + 0.3 * rng.normal(size=x.shape)
    cells = 0

    def counted(scores: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
        nonlocal cells
        cells += scores.numel()
        return largest(scores, k)

    largest = neighbours.largest
    monkeypatch.setattr(neighbours, "largest", counted)
    assert len(frequent_mutual(torch.tensor(x), torch.tensor(y), 100)) == 100
    assert 0 < cells < 0.3 * len(x) * len(y)


def test_blocks_do_not_change_the_map(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = rotated(4, noise=0.7)
    whole = load_method("proc_b")().fit(*problem[:2], problem.pairs[:20]).source_map
    monkeypatch.setattr(neighbours, "BLOCK_CELLS", 1_000)
    monkeypatch.setattr(neighbours, "BLOCK_ROWS", 1)
    np.testing.assert_allclose(
        load_method("proc_b")().fit(*problem[:2], problem.pairs[:20]).source_map, whole, atol=1e-6
    )


def test_what_cannot_be_learnt_from_is_said() -> None:
    problem = rotated(5)
    with pytest.raises(ValueError, match=r"16 \(source\) and 15 \(target\)"):
        load_method("proc_b")().fit(problem.source, vectors(problem.target.matrix[:, 1:], "t"), problem.pairs)
    with pytest.raises(ValueError, match="there is none"):
        load_method("proc_b")().fit(*problem[:2], problem.pairs[:0])
