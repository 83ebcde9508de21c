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

from compute.store.warehouse import Warehouse
from compute.verbs.advice import advice
from tests.marts.compared.rows import FAMILIES, N_ITEMS, SOURCES, TARGETS, Key, query
from tests.truth.references import moderated_variances


@pytest.fixture(scope="module")
def own_cells(warehouse: Path) -> dict[Key, list[float]]:
    """Source -> delta_pp of its trained cell, by model."""
    found: dict[Key, list[float]] = defaultdict(list)
    for row in query(
        warehouse,
        "select source_task, source_language, delta_pp from marts.fct_transfer"
        " where study = 'grid' and control is null and regime = 'MT-ML' order by model",
    ):
        found[row["source_task"], row["source_language"]].append(row["delta_pp"])
    return found


def _cell_errors(warehouse: Path) -> dict[str, np.ndarray]:
    """Of each cell [model, source, target]: variances of items and runs (pp2), degrees of freedom."""
    found = {name: np.full((len(FAMILIES), len(SOURCES), len(TARGETS)), np.nan) for name in ("items", "runs", "df")}
    for row in query(
        warehouse,
        "select model, source_task, source_language, target_task, target_language, 1e4 * from_items as items,"
        " 1e4 * from_runs as runs, degrees_of_freedom as df from intermediate.int_transfer_cells"
        " where study = 'grid' and control is null and regime != 'MT-ML'",
    ):
        at = (
            list(FAMILIES).index(row["model"]), SOURCES.index((row["source_task"], row["source_language"])),
            TARGETS.index((row["target_task"], row["target_language"])),
        )  # fmt: skip
        for name, values in found.items():
            values[at] = row[name]
    return found


def _items_of_means(warehouse: Path) -> tuple[np.ndarray, np.ndarray]:
    """Of each (source, target): variance over items of the mean over models; and what a target's cells share of it."""
    answers = query(
        warehouse,
        "select cells.model, cells.source_task, cells.source_language, cells.target_task, cells.target_language,"
        " list(items.n_correct / items.n_seeds - items.baseline_correct order by items.parallel_number) as d"
        " from intermediate.int_cell_items as items"
        " join intermediate.int_transfer_cells as cells on items.cell_number = cells.cell_number"
        " where cells.study = 'grid' and cells.control is null and cells.regime != 'MT-ML' group by all",
    )
    d = np.full((len(FAMILIES), len(SOURCES), len(TARGETS), N_ITEMS), np.nan)
    for row in answers:
        d[list(FAMILIES).index(row["model"]), SOURCES.index((row["source_task"], row["source_language"])),
          TARGETS.index((row["target_task"], row["target_language"]))] = row["d"]  # fmt: skip
    variance = 1e4 * d.mean(axis=0).var(axis=-1, ddof=1) / N_ITEMS
    shared = np.zeros(len(TARGETS))
    for e in range(len(TARGETS)):
        for m in range(len(FAMILIES)):
            rows = d[m, :, e][~np.isnan(d[m, :, e, 0])]
            matrix = 1e4 * np.cov(rows) / N_ITEMS
            shared[e] += max(0, matrix[~np.eye(len(matrix), dtype=bool)].mean()) / len(FAMILIES)
    return variance, shared


def test_advice(warehouse: Path, deltas: np.ndarray, own_cells: dict[Key, list[float]]) -> None:
    """Shrinkage and posterior by Morris (1983), the variance between sources by DerSimonian and Laird (1986)."""
    rows = {
        ((row["source_task"], row["source_language"]), (row["target_task"], row["target_language"])): row
        for row in query(warehouse, "select * from marts.rpt_advice where study = 'grid'")
    }
    assert len(rows) == len(SOURCES) * len(TARGETS) - len(SOURCES)
    mean, errors, n_models = deltas.mean(axis=0), _cell_errors(warehouse), len(FAMILIES)
    items_of_means, shared = _items_of_means(warehouse)
    inflation = items_of_means / (errors["items"].mean(axis=0) / n_models)
    runs = errors["runs"].mean(axis=0) / n_models
    between = moderated_variances(deltas.var(axis=0, ddof=1)[~np.isnan(mean)], n_models - 1)
    prior, moderated = between.prior_degrees, np.full(mean.shape, np.nan)
    moderated[~np.isnan(mean)] = between.variance
    x = (deltas - mean)[:, ~np.isnan(mean)]
    most = _degrees_of_all(x)
    for e, target in enumerate(TARGETS):
        asked = np.flatnonzero(~np.isnan(mean[:, e]))
        y, k = mean[asked, e], len(asked)
        common = np.minimum(inflation[asked, e] * shared[e] / n_models, 0.999 * items_of_means[asked, e])
        own = items_of_means[asked, e] - common + runs[asked, e]
        w = 1 / own
        q = (w * (y - (w * y).sum() / w.sum()) ** 2).sum()
        tau2 = max(0, (q - (k - 1)) / (w.sum() - (w**2).sum() / w.sum()))
        centre = (y / (own + tau2)).sum() / (1 / (own + tau2)).sum()
        b = (k - 3) / (k - 1) * own / (own + tau2)
        gain = centre + (1 - b) * (y - centre)
        posterior = common + own * (1 - (k - 1) / k * b) + 2 / (k - 3) * (b * (y - centre)) ** 2
        for i, s in enumerate(asked):
            row = rows[SOURCES[s], target]
            assert row["mean_pp"] == pytest.approx(y[i])
            assert row["expected_gain_pp"] == pytest.approx(gain[i])
            half = stats.t.ppf(0.975, errors["df"][:, s, e].sum()) * np.sqrt(posterior[i])
            assert row["ci_high"] - row["expected_gain_pp"] == pytest.approx(half, rel=1e-4)
            error = (errors["items"] + errors["runs"])[:, s, e].mean()
            of_mean = items_of_means[s, e] + runs[s, e]
            new = max(0, moderated[s, e] - error) * (1 + 1 / n_models) + of_mean
            half = max(half, stats.t.ppf(0.975, min(n_models - 1 + prior, most)) * np.sqrt(new))
            assert row["new_model_high"] - row["expected_gain_pp"] == pytest.approx(half, rel=1e-4)
            # Harm is looked for wherever the adapter was asked, its own cell too.
            elsewhere = {other: mean[s, o] for o, other in enumerate(TARGETS) if o != e and other != SOURCES[s]}
            losses = [deltas[:, s, TARGETS.index(other)] for other in elsewhere]
            if SOURCES[s] in TARGETS:
                elsewhere[SOURCES[s]] = float(np.mean(own_cells[SOURCES[s]]))
                losses.append(np.array(own_cells[SOURCES[s]]))
            worst = min(elsewhere, key=lambda other: elsewhere[other])
            assert row["worst_harm_pp"] == pytest.approx(min(0, elsewhere[worst]))
            assert (row["worst_harm_task"], row["worst_harm_language"]) == (
                worst if elsewhere[worst] < 0 else (None, None)
            )
            assert row["p_harm"] == pytest.approx(np.mean(np.array(losses) <= -5.0))
            assert row["rank"] == 1 + np.sum(gain > gain[i] + 1e-9)
            assert row["n_models"] == n_models


def _degrees_of_all(x: np.ndarray) -> float:
    """Degrees of freedom of deviations [models, cells] from their means, unbiased under normality."""
    d = len(x) - 1
    s = x.T @ x / d
    trace, squares = np.trace(s), (s**2).sum()
    of_sigma = d**2 / ((d - 1) * (d + 2)) * (squares - trace**2 / d)
    if of_sigma <= 0:
        return float(d * x.shape[1])
    return float(np.clip(d * (trace**2 - 2 * of_sigma / d) / of_sigma, d, d * x.shape[1]))


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
    advised = query(warehouse, "select * from intermediate.int_advice where study = 'grid'")
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
        ranks = {
            ((row["source_task"], row["source_language"]), (row["target_task"], row["target_language"])): row["rank"]
            for row in advised if (row["held_out_kind"], row["held_out"]) == (kind, held_out)
        }  # fmt: skip
        regrets, ndcgs = [], []
        for m, (e, target) in itertools.product(inside, enumerate(TARGETS)):
            sources = [s for s, source in enumerate(SOURCES) if source != target]
            preferred = {
                "advice": sorted(sources, key=lambda s: ranks[SOURCES[s], target]),
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
