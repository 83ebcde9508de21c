from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from compute.embeddings import neighbours
from compute.embeddings.neighbours import (
    any_largest,
    blocks,
    csls_penalty,
    largest,
    mean_similarity_to_nearest,
    mutual_nearest,
    nearest_both_ways,
    top_k,
    unit_tensor,
)

# Small integers: every inner product is exact in float32, in whatever order it is summed, and ties abound.
integer_problems = st.tuples(
    st.integers(0, 10_000), st.integers(1, 60), st.integers(1, 400), st.integers(1, 4), st.integers(1, 3)
)


def integers(seed: int, n: int, m: int, d: int, spread: int) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(seed)
    x, y = (rng.integers(-spread, spread + 1, size=(rows, d)).astype(np.float32) for rows in (n, m))
    return torch.from_numpy(x), torch.from_numpy(y)


def penalties(seed: int, n: int, m: int) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(seed + 1)
    x, y = (rng.integers(-2, 3, size=rows).astype(np.float32) / 2 for rows in (n, m))
    return torch.from_numpy(x), torch.from_numpy(y)


def ordered(scores: NDArray[Any]) -> NDArray[Any]:
    """Columns by falling score, ties by rising column: the definition."""
    return np.argsort(-scores, axis=1, kind="stable")


@settings(max_examples=80, deadline=None)
@given(problem=integer_problems, k=st.integers(1, 20), cells=st.sampled_from([1, 777, 1 << 24]), penal=st.booleans())
def test_top_k_is_a_stable_sort_cut_off(problem: tuple[int, ...], k: int, cells: int, penal: bool) -> None:
    x, y = integers(*problem)
    penalty = penalties(problem[0], len(x), len(y))[1] if penal else None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(neighbours, "BLOCK_CELLS", cells)
        patch.setattr(neighbours, "BLOCK_ROWS", 1)
        values, indices = top_k(x, y, k, penalty)
    scores = (x @ y.T - (0 if penalty is None else penalty)).numpy()
    expected = ordered(scores)[:, :k]
    assert indices.tolist() == expected.tolist()
    assert values.tolist() == np.take_along_axis(scores, expected, axis=1).tolist()


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000), m=st.integers(1, 3_000), k=st.integers(1, 12), levels=st.sampled_from([1, 3, 10**6])
)
def test_largest_on_wide_rows(seed: int, m: int, k: int, levels: int) -> None:
    scores = np.random.default_rng(seed).integers(0, levels, size=(5, m)).astype(np.float32)
    values, columns = largest(torch.from_numpy(scores), k)
    assert columns.tolist() == ordered(scores)[:, :k].tolist()
    any_values, any_columns = any_largest(torch.from_numpy(scores), k)
    assert any_values.tolist() == values.tolist() == np.take_along_axis(scores, any_columns.numpy(), axis=1).tolist()
    assert all(len(set(row)) == len(row) for row in any_columns.tolist())


@settings(max_examples=60, deadline=None)
@given(problem=integer_problems, cells=st.sampled_from([1, 777, 1 << 24]))
def test_one_product_serves_both_directions(problem: tuple[int, ...], cells: int) -> None:
    x, y = integers(*problem)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(neighbours, "BLOCK_CELLS", cells)
        patch.setattr(neighbours, "BLOCK_ROWS", 1)
        to_y, to_x = nearest_both_ways(x, y)
        pairs = mutual_nearest(x, y)
    assert to_y.tolist() == top_k(x, y, 1)[1][:, 0].tolist()
    assert to_x.tolist() == top_k(y, x, 1)[1][:, 0].tolist()
    expected = [[i, j] for i, j in enumerate(to_y.tolist()) if to_x[j] == i]
    assert pairs.tolist() == expected


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 900), cells=st.sampled_from([1, 5_000, 1 << 24]))
def test_the_nearest_less_its_penalty_maximizes_csls(seed: int, n: int, cells: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = (unit_tensor(rng.normal(size=(rows, 8)).astype(np.float32)) for rows in (n, 70))
    cosines = x.double().numpy() @ y.double().numpy().T
    r_target = np.sort(cosines, axis=1)[:, -10:].mean(axis=1)
    r_source = np.sort(cosines, axis=0)[-10:].mean(axis=0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(neighbours, "BLOCK_CELLS", cells)
        patch.setattr(neighbours, "BLOCK_ROWS", 1)
        np.testing.assert_allclose(mean_similarity_to_nearest(y, x).numpy(), r_source, atol=1e-6)
        np.testing.assert_allclose(csls_penalty(y, x).numpy(), r_source / 2, atol=1e-6)
        chosen = top_k(x, y, 1, csls_penalty(y, x))[1][:, 0].numpy()
    csls = 2 * cosines - r_target[:, None] - r_source
    np.testing.assert_allclose(csls[np.arange(n), chosen], csls.max(axis=1), atol=1e-6)


def test_unit_tensor_copies_and_leaves_zero_rows() -> None:
    matrix = np.array([[3, 4], [0, 0]], dtype=np.float32)
    matrix.setflags(write=False)
    unit = unit_tensor(matrix)
    np.testing.assert_allclose(unit.numpy(), [[0.6, 0.8], [0, 0]], atol=1e-7)
    unit[0] = 7
    assert matrix[0].tolist() == [3, 4]


@given(rows=st.integers(0, 50), columns=st.integers(0, 50), cells=st.integers(1, 200))
def test_blocks_cover_and_keep_to_the_limit(rows: int, columns: int, cells: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(neighbours, "BLOCK_CELLS", cells)
        patch.setattr(neighbours, "BLOCK_ROWS", 3)
        found = list(blocks(rows, columns, torch.device("cpu")))
    assert [row for block in found for row in range(block.start, block.stop)] == list(range(rows))
    assert all((block.stop - block.start) * columns <= max(cells, 3 * columns) for block in found)
