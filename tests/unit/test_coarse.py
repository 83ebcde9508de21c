"""What products in bfloat16 are used for gives the same neighbours as products in float32."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from compute.embeddings import coarse, neighbours
from compute.embeddings.coarse import is_quick
from compute.embeddings.neighbours import mean_similarity_to_nearest, nearest_blocks, unit_tensor

K = 5
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a processor that multiplies bfloat16, and with few keys, too."""
    monkeypatch.setattr(coarse, "is_quick", lambda device: True)
    monkeypatch.setattr(coarse, "FEWEST_KEYS", K)


def vectors(seed: int, n: int, d: int, alike: float, length: float) -> torch.Tensor:
    """Random directions, of which a share `alike` are one but for a thousandth: bfloat16 cannot tell them apart."""
    rng = np.random.default_rng(seed)
    found = rng.normal(size=(n, d))
    close = rng.random(n) < alike
    found[close] = found[0] + 1e-3 * rng.normal(size=(close.sum(), d))
    return torch.from_numpy((length * found).astype(np.float32))


Problem = tuple[int, int, int, int, float, float]
problems = st.tuples(
    st.integers(0, 10_000),
    st.integers(1, 40),
    st.integers(K, 700),
    st.integers(1, 40),
    st.sampled_from([0.0, 0.05, 0.5, 1.0]),
    st.sampled_from([1.0, 1e-6, 1e6]),
)


@settings(max_examples=80, deadline=None)
@given(problem=problems, chosen=st.booleans())
def test_the_nearest_are_those_of_exact_products(problem: Problem, chosen: bool) -> None:
    seed, n, m, d, alike, length = problem
    x, y = vectors(seed, n, d, alike, 1.0), vectors(seed + 1, m, d, alike, length)
    rows = torch.arange(n - 1, -1, -2) if chosen else None
    asked = x if rows is None else x[rows]
    exact = asked.double() @ y.double().T
    size = float(asked.norm(dim=1).max() * y.norm(dim=1).max())
    met = []
    for positions, values, columns in nearest_blocks(x, y, K, rows):
        expected = exact[positions].topk(K, dim=1).values
        np.testing.assert_allclose(values, expected, atol=1e-6 * size, rtol=0)
        np.testing.assert_allclose(exact[positions].gather(1, columns), expected, atol=1e-6 * size, rtol=0)
        assert all(len(set(row)) == K for row in columns.tolist())
        met += positions.tolist()
    assert sorted(met) == list(range(len(asked)))


def test_most_rows_need_no_product_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = (unit_tensor(vectors(seed, n, 100, 0.0, 1.0).numpy()) for seed, n in ((1, 200), (2, 20_000)))
    expected = (x @ y.T).topk(10, dim=1).values.mean(1)
    made: dict[torch.dtype, int] = {}
    product_blocks = neighbours.product_blocks

    def counted(
        x: torch.Tensor, y: torch.Tensor, rows: torch.Tensor | None = None
    ) -> Iterator[tuple[slice, torch.Tensor]]:
        made[x.dtype] = len(x if rows is None else rows)
        return product_blocks(x, y, rows)

    monkeypatch.setattr(neighbours, "product_blocks", counted)
    np.testing.assert_allclose(mean_similarity_to_nearest(x, y), expected, atol=1e-6)
    assert made[torch.bfloat16] == 200 and made[torch.float32] < 20


@settings(max_examples=100, deadline=None)
@given(problem=problems)
def test_no_sum_is_further_off_than_is_said(problem: Problem) -> None:
    seed, n, m, d, alike, length = problem
    x, y = vectors(seed, n, d, alike, 1.0), vectors(seed + 1, m, d, alike, length)
    queries, keys = coarse.Rounded.of(x), coarse.Rounded.of(y)
    sums = queries.vectors.float() @ keys.vectors.float().T
    off = (sums.double() - x.double() @ y.double().T).abs().amax(1)
    assert (off <= queries.error_to(keys)).all()


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 10_000), m=st.integers(1, 900), count=st.integers(1, 40), low=st.sampled_from([-2, -1, 0]))
def test_candidates_hold_the_largest_cells_and_bound_the_others(seed: int, m: int, count: int, low: int) -> None:
    sums = torch.from_numpy(np.random.default_rng(seed).uniform(low, low + 1, size=(4, m)).astype(np.float32))
    products = sums.bfloat16()
    columns, highest = coarse.candidates(products, count)
    for row in range(4):
        inside = set(columns[row].tolist())
        assert len(inside) == columns.shape[1] == min(count, m)
        others = [float(sums[row, column]) for column in range(m) if column not in inside]
        assert max(others, default=-torch.inf) <= highest[row]
        assert (
            products[row, columns[row]].sort(descending=True)[0].tolist() == products[row].topk(len(inside))[0].tolist()
        )


def test_nothing_asked_is_nothing_found() -> None:
    x, y = vectors(1, 4, 8, 0.0, 1.0), vectors(2, 50, 8, 0.0, 1.0)
    assert sum(len(values) for _, values, _ in nearest_blocks(x, y, K, torch.empty(0, dtype=torch.int64))) == 0


def test_the_processor_says_whether_bfloat16_is_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for capabilities in ({"avx512_bf16": True}, {"amx_bf16": True, "avx512_bf16": False}):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda found=capabilities: found, raising=False)
        assert is_quick(CPU) and not is_quick(torch.device("cuda"))
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True}, raising=False)
    assert not is_quick(CPU)
    monkeypatch.delattr(torch.cpu, "get_capabilities")
    assert not is_quick(CPU)
