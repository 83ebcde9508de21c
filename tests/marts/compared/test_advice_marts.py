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


def test_source_effects(warehouse: Path) -> None:
    """Means over models, their errors from the items themselves, and verdicts by SciPy's Benjamini and Hochberg."""
    items: dict[tuple[Key, Key], dict[str, np.ndarray]] = defaultdict(dict)
    luck: dict[tuple[Key, Key], list[tuple[float, float]]] = defaultdict(list)
    for row in query(
        warehouse,
        "select cells.*, list(items.n_correct / items.n_seeds - items.baseline_correct order by items.parallel_number)"
        " as d from intermediate.int_cell_items as items"
        " join intermediate.int_transfer_cells as cells on items.cell_number = cells.cell_number"
        " where cells.study = 'grid' and cells.control is null group by all",
    ):
        pair = (row["source_task"], row["source_language"]), (row["target_task"], row["target_language"])
        items[pair][row["model"]] = np.array(row["d"])
        luck[pair].append((1e4 * row["from_runs"], row["degrees_of_freedom"]))
    rows = {
        ((row["source_task"], row["source_language"]), (row["target_task"], row["target_language"])): row
        for row in query(warehouse, "select * from marts.rpt_source_effects where study = 'grid'")
    }
    assert rows.keys() == items.keys() and len(rows) == len(SOURCES) * len(TARGETS)
    p_values: dict[tuple[Key, Key], tuple[float, float]] = {}
    for pair, by_model in items.items():
        d, n, m = np.array(list(by_model.values())), N_ITEMS, len(by_model)
        mean = 100 * d.mean()
        # As if half an item were won, half an item lost and one unchanged.
        widened = ((d**2).sum(axis=1) + 1 - d.sum(axis=1) ** 2 / (n + 2)) / ((n + 2) * (n + 1))
        together = d.mean(axis=0).var(ddof=1) / (d.var(axis=1, ddof=1).mean() / m)
        runs, degrees = np.array(luck[pair]).T
        error = np.sqrt(1e4 * together * widened.mean() / m + runs.mean() / m)
        row = rows[pair]
        assert row["mean_pp"] == pytest.approx(mean)
        assert row["ci_high"] - mean == pytest.approx(stats.t.ppf(0.975, degrees.sum()) * error, rel=1e-4)
        assert row["n_harms"] == np.sum(100 * d.mean(axis=1) <= -5.0 + 1e-9)
        assert row["n_models"] == m
        p_values[pair] = (
            2 * stats.t.sf(abs(mean) / error, degrees.sum()), stats.t.cdf((mean + 5.0) / error, degrees.sum())
        )  # fmt: skip
    for is_own in (True, False):
        family = [pair for pair in rows if (pair[0] == pair[1]) == is_own]
        q_values, q_harms = stats.false_discovery_control([p_values[pair] for pair in family], axis=0).T
        for pair, q_value, q_harm in zip(family, q_values, q_harms, strict=True):
            row = rows[pair]
            assert (row["q_value"], row["q_harm"]) == pytest.approx((q_value, q_harm), rel=1e-3, abs=1e-6)
            low, high = row["ci_low"], row["ci_high"]
            assert row["verdict"] == (
                "none" if low >= -5 and high <= 5
                else "harm" if high < -5 and q_harm <= 0.05
                else "gain" if low > 0 and q_value <= 0.05
                else "undecided"
            )  # fmt: skip
    assert len({row["verdict"] for row in rows.values()}) >= 3


def test_published_errors_of_one_run_are_exact(warehouse: Path) -> None:
    rows = query(warehouse, "select * from marts.rpt_source_effects where study in ('crossed', 'blind')")
    for row in rows:
        error = 0.3 + 0.1 * "abcdef".index(row["target_language"][1])
        if row["study"] == "blind" and (row["source_language"], row["target_language"]) == ("sa", "ta"):
            assert row["ci_high"] is None and row["verdict"] is None  # one of its cells came without an error
        else:
            assert row["ci_high"] - row["mean_pp"] == pytest.approx(stats.norm.ppf(0.975) * error / 2, rel=1e-4)


def test_a_model_left_out_is_advised_by_the_others(warehouse: Path, deltas: np.ndarray) -> None:
    """The gain of five models, shrunk as that of six; and what the sixth shows beside it."""
    rows = query(
        warehouse, "select * from marts.rpt_source_effects_held_out where study = 'grid' and regime != 'MT-ML'"
    )
    assert len(rows) == len(FAMILIES) * (len(SOURCES) * len(TARGETS) - len(SOURCES))
    advised = {
        tuple(row[key] for key in ("held_out", "source_task", "source_language", "target_task", "target_language")): row
        for row in query(warehouse, "select * from intermediate.int_advice where held_out_kind = 'model'")
    }
    for row in rows:
        s, e = (SOURCES.index((row["source_task"], row["source_language"])),
                TARGETS.index((row["target_task"], row["target_language"])))  # fmt: skip
        out = list(FAMILIES).index(row["model"])
        assert row["measured_pp"] == pytest.approx(deltas[out, s, e])
        assert row["mean_pp"] == pytest.approx(np.delete(deltas[:, s, e], out).mean())
        same = advised[row["model"], *SOURCES[s], *TARGETS[e]]
        assert (row["expected_gain_pp"], row["gain_low"], row["new_model_high"]) == (
            same["expected_gain_pp"], same["ci_low"], same["new_model_high"]
        )  # fmt: skip
        assert row["n_advising"] == row["n_models"] == len(FAMILIES) - 1
    # The population of models is told anew without the one left out.
    kept = np.delete(deltas, 0, axis=0)
    between = moderated_variances(kept.var(axis=0, ddof=1)[~np.isnan(kept[0])], len(kept) - 1)
    (population,) = query(
        warehouse,
        "select * from intermediate.int_advice_population where study = 'grid' and held_out = "
        f"'{next(iter(FAMILIES))}'",
    )
    assert (population["prior_degrees"] or np.inf) == pytest.approx(between.prior_degrees, rel=1e-4)
    if np.isinf(between.prior_degrees):
        assert population["prior_variance"] == pytest.approx(between.variance[0], rel=1e-4)


def test_what_a_source_costs_is_its_rows_summed(warehouse: Path) -> None:
    effects = query(warehouse, "select * from marts.rpt_source_effects where study = 'grid'")
    for row in query(warehouse, "select * from marts.rpt_source_risks where study = 'grid'"):
        own = [one for one in effects if all(one[key] == row[key] for key in ("source_task", "source_language"))]
        n = sum(one["n_models"] for one in own)
        assert row["n_cells"] == n
        for share, counted in (("harm_pct", "n_harms"), ("null_harm_pct", "n_null_harms"),
                               ("verdict_harm_pct", "n_harm_verdicts")):  # fmt: skip
            assert row[share] == pytest.approx(100 * sum(one[counted] for one in own) / n)
        assert row["mean_pp"] == pytest.approx(np.mean([one["mean_pp"] for one in own if one["regime"] != "MT-ML"]))
        worst = min(own, key=lambda one: one["mean_pp"])
        assert (row["worst_task"], row["worst_language"]) == (worst["target_task"], worst["target_language"])
        assert (row["worst_low"], row["worst_shrunk_pp"]) == (worst["ci_low"], worst["expected_gain_pp"])


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
