"""Advice and its evaluation against the same in Python, order by order."""

from __future__ import annotations

import hashlib
import itertools
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from compute.advise import advice
from compute.warehouse import Warehouse
from tests.marts.compared.rows import FAMILIES, SOURCES, TARGETS, Key, query


def test_advice(warehouse: Path, deltas: np.ndarray) -> None:
    rows = query(warehouse, "select * from marts.rpt_advice where study = 'grid'")
    assert len(rows) == len(SOURCES) * len(TARGETS) - len(SOURCES)
    expected = deltas.mean(axis=0)
    for row in rows:
        s = SOURCES.index((row["source_task"], row["source_language"]))
        e = TARGETS.index((row["target_task"], row["target_language"]))
        elsewhere = [other for other in range(len(TARGETS)) if other != e and not np.isnan(expected[s, other])]
        low, high = stats.t.interval(0.95, 4, expected[s, e], stats.sem(deltas[:, s, e]))
        assert row["expected_gain_pp"] == pytest.approx(expected[s, e])
        assert (row["ci_low"], row["ci_high"]) == (pytest.approx(low, rel=1e-4), pytest.approx(high, rel=1e-4))
        assert row["worst_harm_pp"] == pytest.approx(expected[s, elsewhere].min())
        assert row["p_harm"] == pytest.approx(np.mean(deltas[:, s, elsewhere] <= -5.0))
        assert row["rank"] == 1 + np.sum(expected[:, e] > expected[s, e] + 1e-9)
        assert row["n_models"] == 5


def _half(warehouse: Path) -> dict[Key, tuple[float, float]]:
    """(model, source, target) -> delta_pp on either half, from the items themselves."""
    sums: dict[Key, np.ndarray] = defaultdict(lambda: np.zeros((2, 2)))
    for row in query(
        warehouse,
        "select cells.*, items.n_seeds as n, items.parallel_number,"
        " items.n_correct - items.n_seeds * items.baseline_correct as gain from intermediate.int_cell_items as items"
        " join intermediate.int_transfer_cells as cells on items.cell_number = cells.cell_number"
        " where cells.study = 'grid' and cells.control is null and cells.regime != 'MT-ML'",
    ):
        digest = hashlib.md5(str(row["parallel_number"]).encode()).digest()
        key = (
            row["model"], (row["source_task"], row["source_language"]), (row["target_task"], row["target_language"])
        )  # fmt: skip
        sums[key][digest[8] % 2] += (row["gain"], row["n"])
    return {key: (100 * a[0] / a[1], 100 * b[0] / b[1]) for key, (a, b) in sums.items()}


def _orders(preferred: Sequence[int], others: Sequence[int], k: int) -> Iterator[tuple[int, ...]]:
    """Every ordered choice of the first k: the preferred ones in any order, then the others in any order."""
    for first in itertools.permutations(preferred, min(k, len(preferred))):
        for rest in itertools.permutations(others, k - len(first)):
            yield first + rest


def test_advice_is_evaluated_on_what_it_has_not_seen(warehouse: Path, deltas: np.ndarray) -> None:
    halves = _half(warehouse)
    digests = [
        int.from_bytes(hashlib.md5("/".join(source).encode()).digest()[8:], "little") for source in SOURCES
    ]  # fmt: skip
    found = {
        (row["recommender"], row["held_out_kind"], row["held_out"], row["k"]): row
        for row in query(warehouse, "select * from marts.rpt_advice_eval where study = 'grid'")
    }
    folds = [("model", model) for model in FAMILIES] + [("family", family) for family in "xyz"]
    assert set(found) == {
        (name, *fold, k)
        for name in ("advice", "same_language", "same_task", "english", "random")
        for fold in folds
        for k in (1, 3)
    }
    for (name, kind, held_out, k), row in found.items():
        if k == 3 and held_out in ("b@1", "c@1", "e@1"):
            continue  # the same again, and slow
        inside = [m for m, model in enumerate(FAMILIES) if held_out in (model, FAMILIES[model])]
        asked = deltas[[m for m in range(len(FAMILIES)) if m not in inside]].mean(axis=0)
        regrets, ndcgs = [], []
        for m, (e, target) in itertools.product(inside, enumerate(TARGETS)):
            sources = [s for s, source in enumerate(SOURCES) if source != target]
            preferred = {
                "advice": sorted(sources, key=lambda s: -round(asked[s, e], 9)),
                "same_language": [s for s in sources if SOURCES[s][1] == target[1]],
                "same_task": [s for s in sources if SOURCES[s][0] == target[0]],
                "english": [s for s in sources if SOURCES[s][1] == "en"],
                "random": sources,
            }[name]
            orders = (
                [tuple(preferred[:k])]
                if name == "advice"
                else list(_orders(preferred, [s for s in sources if s not in preferred], k))
            )
            half = {s: halves[list(FAMILIES)[m], SOURCES[s], target] for s in sources}
            gain = {s: max(deltas[m, s, e], 0) for s in sources}
            for chooser in (0, 1):
                by_half = sorted(sources, key=lambda s: (-half[s][chooser], digests[s]))
                picks = [half[min(order, key=by_half.index)][1 - chooser] for order in orders]
                regrets.append(half[by_half[0]][1 - chooser] - np.mean(picks))
            discounts = 1 / np.log2(np.arange(k) + 2)
            ideal = sorted(gain.values(), reverse=True)[:k] @ discounts
            if ideal > 0:
                ndcgs.append(np.mean([[gain[s] for s in order] @ discounts for order in orders]) / ideal)
        assert row["regret"] == pytest.approx(np.mean(regrets)), (name, kind, held_out, k)
        assert row["ndcg"] == pytest.approx(np.mean(ndcgs)), (name, kind, held_out, k)
        assert row["n_targets"] == len(inside) * len(TARGETS)


def test_imports_have_no_halves_but_an_order(warehouse: Path) -> None:
    rows = query(warehouse, "select * from marts.rpt_advice_eval where study = 'crossed'")
    assert {row["recommender"] for row in rows} == {"advice", "same_task", "random"}  # no English, no common language
    assert {row["regret"] for row in rows} == {None}
    assert all(0 < row["ndcg"] <= 1 for row in rows)


def test_the_verb_says_what_the_mart_says(warehouse: Path) -> None:
    rows = query(
        warehouse,
        "select * from marts.rpt_advice where study = 'grid' and target_task = 'sort' and target_language = 'fi'",
    )
    expected = {f"{row['source_task']}/{row['source_language']}": row for row in rows}
    found = advice(Warehouse(warehouse), "grid", ["sort/fi"])
    assert len(found) == len(expected) == len(SOURCES)
    for one in found:
        row = expected[one.source]
        for name in ("expected_gain_pp", "worst_harm_pp", "p_harm", "n_models"):
            assert getattr(one, name) == pytest.approx(row[name])
        assert (one.ci_low, one.ci_high) == (pytest.approx(row["ci_low"], 1e-4), pytest.approx(row["ci_high"], 1e-4))
    assert [one.source for one in found] == sorted(expected, key=lambda source: expected[source]["rank"])
