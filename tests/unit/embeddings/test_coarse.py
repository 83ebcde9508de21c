"""What products of rounded vectors are used for gives the same neighbours as products in float32."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from compute.embeddings import coarse, neighbours
from compute.embeddings.neighbours import mean_similarity_to_nearest, nearest_blocks, unit_tensor

K = 5
CPU = torch.device("cpu")
LEVEL = min(coarse.KEY_LEVELS)
key_level = coarse.key_level.__wrapped__


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on any processor that sums products of whole numbers rightly, and with few keys, too."""
    monkeypatch.setattr(coarse, "key_level", lambda device: LEVEL)
    monkeypatch.setattr(coarse, "FEWEST_KEYS", K)


def vectors(seed: int, n: int, d: int, alike: float, length: float) -> torch.Tensor:
    """Random directions, of which a share `alike` are one but for a thousandth: rounded, they are the same."""
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
    again = 0
    product_blocks = neighbours.product_blocks

    def counted(
        x: torch.Tensor, y: torch.Tensor, rows: torch.Tensor | None = None
    ) -> Iterator[tuple[slice, torch.Tensor]]:
        nonlocal again
        again += len(x if rows is None else rows)
        return product_blocks(x, y, rows)

    monkeypatch.setattr(neighbours, "product_blocks", counted)
    np.testing.assert_allclose(mean_similarity_to_nearest(x, y), expected, atol=1e-6)
    assert again < 20


@settings(max_examples=100, deadline=None)
@given(problem=problems, level=st.sampled_from(coarse.KEY_LEVELS), spike=st.sampled_from([0.0, 30.0]))
def test_no_product_is_further_off_than_is_said(problem: Problem, level: int, spike: float) -> None:
    seed, n, m, d, alike, length = problem
    x, y = vectors(seed, n, d, alike, 1.0), vectors(seed + 1, m, d, alike, length)
    x[:, 0] += spike
    y[:, 0] += spike * length
    queries, keys = coarse.Rounded.queries(x), coarse.Rounded.keys(y, level)
    assert queries.vectors.abs().max() == coarse.QUERY_LEVEL and keys.vectors.abs().max() == level
    sums = queries.vectors.double() @ keys.vectors.double().T
    off = (sums * queries.steps.double()[:, None] * keys.steps.double() - x.double() @ y.double().T).abs().amax(1)
    assert (off <= queries.error_to(keys)).all()


def test_a_large_component_costs_little() -> None:
    rng = np.random.default_rng(1)
    plain = rng.normal(size=(2_000, 100))
    spiked = plain + 10 * rng.normal(size=(2_000, 1)) * np.eye(100)[0]
    errors = [
        float(coarse.Rounded.keys(unit_tensor(matrix.astype(np.float32)), LEVEL).errors.max())
        for matrix in (plain, spiked)
    ]
    assert errors[1] < 1.5 * errors[0]


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 10_000), m=st.integers(1, 900), count=st.integers(1, 40), high=st.sampled_from([9, 10**6]))
def test_candidates_hold_the_largest_cells_and_bound_the_others(seed: int, m: int, count: int, high: int) -> None:
    products = torch.from_numpy(np.random.default_rng(seed).integers(-high, high, size=(4, m), dtype=np.int32))
    columns, highest = coarse.candidates(products, count)
    for row in range(4):
        inside = set(columns[row].tolist())
        assert len(inside) == columns.shape[1] == min(count, m)
        others = [int(products[row, column]) for column in range(m) if column not in inside]
        assert max(others, default=-torch.inf) <= highest[row]
        assert (
            products[row, columns[row]].sort(descending=True)[0].tolist() == products[row].topk(len(inside))[0].tolist()
        )


def test_nothing_asked_is_nothing_found() -> None:
    x, y = vectors(1, 4, 8, 0.0, 1.0), vectors(2, 50, 8, 0.0, 1.0)
    assert sum(len(values) for _, values, _ in nearest_blocks(x, y, K, torch.empty(0, dtype=torch.int64))) == 0


def test_exact_products_are_those_of_the_columns() -> None:
    x, y = vectors(1, 7, 30, 0.0, 1.0), vectors(2, 500, 30, 0.0, 1.0)
    columns = torch.from_numpy(np.random.default_rng(3).permuted(np.tile(np.arange(500), (7, 1)), axis=1)[:, :20])
    found = coarse.inner_products(x, y, columns)
    np.testing.assert_allclose(found, (x @ y.T).gather(1, columns), atol=1e-5)


@pytest.mark.parametrize(
    ("capabilities", "cut_off", "expected"),
    [
        ({"avx2": True}, [], 127),
        ({"avx2": True}, [127], 63),
        ({"avx2": True}, [127, 63], None),
        ({"sse4_2": True}, [], None),
    ],
)
def test_the_processor_says_and_shows_whether_they_are_quick_and_right(
    monkeypatch: pytest.MonkeyPatch, capabilities: dict[str, bool], cut_off: list[int], expected: int | None
) -> None:
    def multiply(queries: torch.Tensor, keys: torch.Tensor) -> torch.Tensor:
        sums = queries.int() @ keys.int().T
        return sums.clamp(-30_000, 30_000) if int(keys.max()) in cut_off else sums

    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    monkeypatch.setattr(coarse, "multiply", multiply)
    assert key_level(CPU) == expected
    assert key_level(torch.device("cuda")) is None


def test_a_torch_that_tells_nothing_of_the_processor_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert key_level(CPU) is None
