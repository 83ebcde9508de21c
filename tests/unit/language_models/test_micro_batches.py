"""Micro-batches: which rows go together costs least, and every token is where it belongs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import combinations, pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from compute.language_models.micro_batches import TrainingRow, collate, groups_of_adapters, packed, plan


@given(
    st.lists(st.lists(st.integers(1, 50), min_size=0, max_size=6), min_size=1, max_size=3).filter(any),
    st.integers(1, 7),
    st.floats(0, 100),
    st.sampled_from([0, 20, 60, 1000]),
)
def test_micro_batches_are_the_cheapest(
    lengths: list[list[int]], most_rows: int, overhead: float, capacity: int
) -> None:
    lengths = [sorted(group, reverse=True) for group in lengths]
    size = max(map(len, lengths))

    def cost(bounds: Sequence[int]) -> float:
        total = 0.0
        for start, end in pairwise(bounds):
            longest = max(group[start] for group in lengths if start < len(group))
            most = max(sum(group[start:end]) for group in lengths)
            lines = next(
                (n for n in range(1, end - start) if most <= n * max(capacity, longest) and capacity), end - start
            )
            line = longest if lines == end - start else max(longest, math.ceil(most / lines))
            total += overhead + len(lengths) * lines * line
        return total

    ways = [[0, *inner, size] for n in range(size) for inner in combinations(range(1, size), n)]
    allowed = [way for way in ways if all(end - start <= most_rows for start, end in pairwise(way))]
    found = plan(lengths, most_rows, overhead, capacity)
    assert found in allowed
    assert cost(found) == pytest.approx(min(map(cost, allowed)))


@given(st.lists(st.integers(0, 50), min_size=1, max_size=6), st.floats(0, 100))
def test_companies_are_the_cheapest(tokens: list[int], overhead: float) -> None:
    def cost(parts: Sequence[Sequence[int]]) -> float:
        return sum(overhead + len(part) * max(tokens[k] for k in part) for part in parts)

    def partitions(left: list[int]) -> Iterator[list[list[int]]]:
        if not left:
            yield []
        for rest in partitions(left[1:]) if left else ():
            yield [[left[0]], *rest]
            for i, part in enumerate(rest):
                yield [*rest[:i], [left[0], *part], *rest[i + 1 :]]

    found = groups_of_adapters(tokens, overhead)
    assert sorted(k for part in found for k in part) == list(range(len(tokens)))
    assert all(part == sorted(part) for part in found)
    assert cost(found) == pytest.approx(min(map(cost, partitions(list(range(len(tokens)))))))


@given(st.lists(st.integers(1, 50), min_size=1, max_size=12), st.integers(1, 12))
def test_rows_are_packed_evenly(lengths: list[int], lines: int) -> None:
    found = packed(lengths, lines)
    assert len(found) == lines and sorted(row for line in found for row in line) == list(range(len(lengths)))
    # Graham (1966), of whatever is put where least is.
    most = sum(lengths) / lines + max(lengths) * (1 - 1 / lines)
    assert max(sum(lengths[row] for row in line) for line in found) <= most + 1e-9


@given(st.data())
def test_a_micro_batch_holds_each_row_with_padding_of_its_own(data: st.DataObject) -> None:
    groups: list[list[TrainingRow]] = []
    for group in range(data.draw(st.integers(1, 3))):
        groups.append([])
        for row in range(data.draw(st.integers(0 if any(groups) else 1, 4))):
            length = data.draw(st.integers(2, 9))
            # A token tells which row it is of, and its place there.
            tokens = torch.arange(length) + 1000 * (10 * group + row + 1)
            groups[-1].append(TrainingRow(f"{group} {row}", tokens, data.draw(st.integers(1, length - 1)), False))
    capacity = data.draw(st.sampled_from([0, 5, 10, 100]))
    batch = collate(groups, torch.device("cpu"), capacity)
    size = max(map(len, groups))
    assert (batch.groups, batch.rows) == (len(groups), size)
    lines = len(batch.tokens) // batch.groups
    assert 1 <= lines <= size and lines * batch.groups == len(batch.tokens) and (capacity or lines == size)
    assert batch.is_packed == (lines < size)
    table = torch.zeros(batch.groups * size, batch.longest_answer, dtype=torch.int64)
    table.view(-1)[batch.cells] = batch.targets
    before = torch.zeros_like(table)
    before.view(-1)[batch.cells] = batch.tokens.view(-1)[batch.places]
    found: set[tuple[int, int]] = set()
    for g, group in enumerate(groups):
        for r, row in enumerate(group):
            fed = row.tokens[:-1]
            ((line, start),) = (batch.tokens == fed[0]).logical_and(batch.items > 0).nonzero().tolist()
            here = (line, slice(start, start + row.length))
            assert line // lines == g
            assert batch.tokens[here].tolist() == fed.tolist()
            assert batch.positions[here].tolist() == list(range(row.length))
            (item,) = set(batch.items[here].tolist())
            assert (line, item) not in found and (batch.items[line] == item).sum() == row.length
            found.add((line, item))
            number = g * size + r
            assert table[number, : row.answer].tolist() == row.tokens[-row.answer :].tolist()
            assert before[number, : row.answer].tolist() == row.tokens[-row.answer - 1 : -1].tolist()
    assert (batch.items > 0).sum() == sum(row.length for group in groups for row in group)
    for line in range(len(batch.tokens)):
        held, padding = batch.tokens[line][batch.items[line] > 0], batch.tokens[line][batch.items[line] == 0]
        assert set(padding.tolist()) <= set(held[:1].tolist() or [0])
        assert not (batch.items[line].diff() > 1).any() and batch.items[line].tolist() == sorted(
            batch.items[line].tolist(), key=lambda item: item or size + 1
        )
    longest = max(row.length for group in groups for row in group)
    values = torch.arange(batch.groups * size)[:, None] * 100 + torch.arange(longest) + 1
    laid = batch.laid_out(values)
    for g, group in enumerate(groups):
        for r, row in enumerate(group):
            of_row = laid[batch.tokens.eq(row.tokens[0]).logical_and(batch.items > 0).any(1)][0]
            assert set(((g * size + r) * 100 + torch.arange(row.length) + 1).tolist()) <= set(of_row.tolist())
    assert len(batch.targets) == sum(row.answer for group in groups for row in group)
