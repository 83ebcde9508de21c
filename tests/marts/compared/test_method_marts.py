"""Mapping methods, and lexicon induction against downstream tasks, by SciPy and scikit-learn."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import f1_score

from tests.helpers.warehouse_fixture import RawRows
from tests.marts.compared.rows import (
    METHODS,
    N_CONCEPTS,
    PAIRS,
    Evaluate,
    Key,
    Row,
    mean_reciprocal_rank,
    query,
    reciprocal_ranks,
)


def test_methods_without_a_dictionary_compete_at_every_size(warehouse: Path, raw: RawRows) -> None:
    ranks = reciprocal_ranks(raw)
    found = {
        (row["method"], row["dictionary_size"], row["retrieval"], row["scope"]): row
        for row in query(warehouse, "select * from marts.rpt_bli_methods where study = 'words'")
    }
    assert len(found) == len(METHODS) * 2 * 2
    for (method, size, retrieval, scope), row in found.items():
        pairs = PAIRS if scope == "all" else [pair for pair in PAIRS if pair != ("de", "hr")]  # where MUSE fails
        assert row["n_pairs"] == len(pairs)
        assert row["n_failures"] == (method == "MUSE" and scope == "all")
        assert row["mean_map"] == pytest.approx(
            np.mean([mean_reciprocal_rank(ranks[method, size, retrieval, *pair]) for pair in pairs])
        )


def test_intervals_of_methods_are_those_of_drawn_concepts(warehouse: Path, raw: RawRows) -> None:
    ranks = reciprocal_ranks(raw)
    counts = np.random.default_rng(4).multinomial(N_CONCEPTS - 5, np.full(N_CONCEPTS - 5, 1 / (N_CONCEPTS - 5)), 2_000)
    for row in query(warehouse, "select * from marts.rpt_bli_methods where study = 'words' and scope = 'all'"):
        drawn = np.zeros(len(counts))
        for pair in PAIRS:
            rows = ranks[row["method"], row["dictionary_size"], row["retrieval"], *pair]
            weights = counts[:, [number % (N_CONCEPTS - 5) for number in rows]]
            drawn += weights @ np.mean(list(rows.values()), axis=1) / weights.sum(axis=1) / len(PAIRS)
        assert (row["map_high"] - row["map_low"]) / 2 / 1.959964 == pytest.approx(drawn.std(), rel=0.08)
        assert (row["map_high"] + row["map_low"]) / 2 == pytest.approx(row["mean_map"])


def test_intervals_of_methods_cover_the_map_of_all_words(evaluate: Evaluate) -> None:
    """Concepts are as hard in every language pair, so that pairs err together; one study has a single concept and one
    has equal ranks."""
    rng = np.random.default_rng(6)
    n_studies, n_concepts, pairs = 300, 40, ("de", "fi", "hr")
    shared = {"variant": "v", "vector_set": "w", "retrieval": "csls", "method": "m", "dictionary_size": 500}
    rows: list[Row] = []
    for s in range(n_studies + 2):
        size = 1 if s == n_studies else n_concepts
        easy = (
            rng.beta(2, 2, (1, size)) + rng.normal(0, 0.1, (len(pairs), size)) if s <= n_studies else np.ones((3, size))
        )
        rows += [
            {"study": f"s{s:03}", "job_key": pair, **shared, "vectors": "w@1", "source_language": pair,
             "target_language": "en", "seed": None, "query": f"q{c}", "gold": f"g{c}", "occurrence": 1,
             "concept_id": f"c{c}", "reciprocal_rank": float(easy[p, c])}
            for p, pair in enumerate(pairs) for c in range(size)
        ]  # fmt: skip
    means: dict[Key, list[float]] = defaultdict(list)
    for row in rows:
        means[row["study"], row["source_language"]].append(row["reciprocal_rank"])
    bli_means = [
        {"study": study, "origin": "computed", **shared, "source_language": pair, "target_language": "en",
         "map": float(np.mean(values)), "is_failure": False}
        for (study, pair), values in means.items()
    ]  # fmt: skip
    failed = [{"study": "none", "variant": "v", "vectors": "w@1", "method": "m", "dictionary_size": 500,
               "source_language": "de", "target_language": "en"}]  # fmt: skip
    pulls = evaluate("int_concept_pulls", int_bli_rows=rows)
    found = {
        row["study"]: (row["map_low"], row["map_high"])
        for row in evaluate(
            "rpt_bli_methods", int_bli_means=bli_means, int_concept_pulls=pulls, stg_failed_mappings=failed
        )
        if row["scope"] == "all" and row["study"] != "none"
    }
    assert found.pop(f"s{n_studies}") == found.pop(f"s{n_studies + 1}") == (None, None)
    assert np.mean([low <= 0.5 <= high for low, high in found.values()]) == pytest.approx(0.95, abs=0.03)


def test_pairs_of_methods(warehouse: Path, raw: RawRows) -> None:
    ranks = reciprocal_ranks(raw)
    rng = np.random.default_rng(3)
    rows = query(warehouse, "select * from marts.rpt_bli_method_pairs where study = 'words'")
    compared = {(row["method"], row["other_method"], row["dictionary_size"], row["retrieval"]) for row in rows}
    assert compared == {
        (one, other, size, retrieval)
        for size, methods in ((100, ("MUSE", "PROC", "RCSLS")), (500, ("MUSE", "PROC", "RCSLS", "VECMAP")))
        for one, other in itertools.combinations(methods, 2)
        for retrieval in ("cosine", "csls")
    }
    flips = rng.choice([-1.0, 1.0], (20_000, N_CONCEPTS - 5))
    for row in rows:
        concepts = np.zeros(N_CONCEPTS - 5)
        for pair in PAIRS:
            one, other = (
                ranks[name, 0 if name == "MUSE" else row["dictionary_size"], row["retrieval"], *pair]
                for name in (row["method"], row["other_method"])
            )
            for number in one:
                difference = np.mean(one[number]) - np.mean(other[number])
                concepts[number % (N_CONCEPTS - 5)] += difference / len(one) / len(PAIRS)
        p = np.mean(abs(flips @ concepts) >= abs(concepts.sum()) - 1e-12)
        comparisons = 3 if row["dictionary_size"] == 100 else 6
        assert row["difference"] == pytest.approx(concepts.sum())
        noise = 5 * np.sqrt(p * (1 - p) / 5_120) + 4e-4
        assert row["p_value"] == pytest.approx(min(1, comparisons * p), abs=comparisons * noise)
        drawn = rng.choice(concepts, (4_000, len(concepts))).sum(axis=1)
        assert (row["ci_high"] - row["ci_low"]) / 2 / 1.959964 == pytest.approx(drawn.std(), rel=0.06)
        assert (row["ci_high"] + row["ci_low"]) / 2 == pytest.approx(row["difference"])
    assert min(row["p_value"] for row in rows) < 0.01 < 0.1 < max(row["p_value"] for row in rows)


@pytest.mark.parametrize("named", ["abcde", "b"])
def test_a_test_row_is_its_words_whatever_its_number(evaluate: Evaluate, named: str) -> None:
    """Two seeds with test dictionaries of their own, which have some words in common, listed in any order. A row
    without a concept is one of its own, the same in both seeds."""
    rng = np.random.default_rng(5)
    of_seed = (("a", "b", "c", "c"), ("d", "a", "e", "c"))
    rows: list[Row] = []
    expected: dict[str, float] = defaultdict(float)
    for method, sign in (("m", 1), ("n", -1)):
        for seed, words in enumerate(of_seed):
            met = Counter[str]()
            for number, i in enumerate(rng.permutation(len(words))):
                rank = float(rng.integers(1, 50)) if words[i] != "c" else 7.0 + 2 * sign
                met[words[i]] += 1
                concept = words[i] if words[i] in named else f"de/en/{words[i]}/{words[i].upper()}/{met[words[i]]}"
                expected[concept] += sign / rank / sum(map(len, of_seed))
                rows.append(
                    {
                        "job_key": f"{method}{seed}", "variant": "v", "vectors": "w@1", "retrieval": "csls",
                        "method": method, "dictionary_size": 100, "source_language": "de", "target_language": "en",
                        "seed": seed, "pair_number": number, "concept_id": concept if words[i] in named else None,
                        "query": words[i], "gold": words[i].upper(), "rank": rank,
                    }
                )  # fmt: skip
    jobs = [{"study": "s", "job_key": key} for key in sorted({row["job_key"] for row in rows})]
    bli_rows = evaluate("int_bli_rows", stg_bli_ranks=rows, stg_study_jobs=jobs)
    found = evaluate("int_concept_differences", int_bli_rows=bli_rows)
    assert {row["concept_id"]: row["difference"] for row in found} == pytest.approx(expected)


def test_p_of_method_pairs_holds_its_level(evaluate: Evaluate) -> None:
    """Two hundred studies of two methods that differ by noise alone, a few concepts by much more than the rest."""
    rng = np.random.default_rng(8)
    shared = {"variant": "v", "vector_set": "w", "retrieval": "csls", "method": "a", "other_method": "b"}
    rows = [
        {"study": f"s{s:03}", **shared, "dictionary_size": 500, "concept_id": f"c{c}", "difference": float(d)}
        for s in range(200)
        for c, d in enumerate(rng.normal(0, 1, 25) * np.where(np.arange(25) < 4, 8, 1))
    ]
    studies = [{"study": f"s{s:03}", "origin": "computed"} for s in range(200)]
    p = np.array(
        [row["p_value"] for row in evaluate("rpt_bli_method_pairs", int_concept_differences=rows, stg_studies=studies)]
    )
    assert len(p) == 200
    for level in (0.05, 0.2):
        assert np.mean(p <= level) == pytest.approx(level, abs=3.5 * np.sqrt(level / 200))


def test_downstream_scores(warehouse: Path, raw: RawRows) -> None:
    runs: dict[Key, dict[int | None, list[Row]]] = defaultdict(lambda: defaultdict(list))
    for row in raw.rows["downstream_items"]:
        key = tuple(
            row[name]
            for name in ("method", "dictionary_size", "source_language", "target_language", "task", "classifier")
        )
        runs[key][row["seed"]].append(row)
    found = query(warehouse, "select * from marts.fct_downstream where study = 'words'")
    sample = np.random.default_rng(4).choice(len(found), 150, replace=False)
    metrics = {"xnli": ("accuracy",), "cldc": ("micro_f1", "macro_f1"), "clir": ("map",)}
    assert len(found) == sum(len(metrics[key[4]]) for key in runs)
    for row in [found[i] for i in sample]:
        assert row["metric"] in metrics[row["task"]]
        key = tuple(
            row[name]
            for name in ("method", "dictionary_size", "source_language", "target_language", "task", "classifier")
        )
        scores = []
        for items in runs[key].values():
            gold = [item["gold"] for item in items]
            predicted = [item["prediction"] or "nothing" for item in items]
            labels = sorted({*gold, *predicted} - {"nothing"}) if row["task"] != "clir" else []
            scores.append(
                np.mean([item["score"] for item in items])
                if row["metric"] == "map"
                else np.mean([g == p for g, p in zip(gold, predicted, strict=True)])
                if row["metric"] == "accuracy"
                else f1_score(gold, predicted, labels=labels, average=row["metric"][:5], zero_division=0)
            )
        assert row["score"] == pytest.approx(np.mean(scores))


def test_lexicon_induction_against_downstream(warehouse: Path, raw: RawRows) -> None:
    ranks = reciprocal_ranks(raw)
    scores = defaultdict(list)
    for row in query(warehouse, "select * from marts.fct_downstream where study = 'words' and metric != 'macro_f1'"):
        key = (row["task"], row["classifier"], (row["source_language"], row["target_language"]))
        scores[key].append(((row["method"], row["dictionary_size"]), row["score"]))
    rows = query(warehouse, "select * from marts.rpt_bli_downstream where study = 'words'")
    assert {row["task"] for row in rows} == {"xnli", "cldc", "clir"}
    for row in rows:
        x, y = (np.zeros((len(METHODS), len(PAIRS))) for _ in "xy")
        for j, pair in enumerate(PAIRS):
            x[:, j] = [mean_reciprocal_rank(ranks[name, size, "csls", *pair]) for name, size in METHODS]
            of_pair = [dict(values) for key, values in scores.items() if (key[0], key[2]) == (row["task"], pair)]
            y[:, j] = np.mean([[one[method] for method in METHODS] for one in of_pair], axis=0)
        x, y = (np.round(z - z.mean(axis=0), 12) for z in (x, y))
        assert row["n"] == x.size
        assert row["spearman"] == pytest.approx(stats.spearmanr(x.ravel(), y.ravel()).statistic)
        assert row["pearson"] == pytest.approx(np.corrcoef(x.ravel(), y.ravel())[0, 1])
        a, b = (stats.rankdata(z).reshape(z.shape) for z in (x, y))
        all_orders = [
            np.corrcoef(a[list(order)].ravel(), b.ravel())[0, 1]
            for order in itertools.permutations(range(len(METHODS)))
        ]
        assert row["p_value"] == pytest.approx(np.mean(np.abs(all_orders) >= abs(row["spearman"]) - 1e-9), abs=0.03)
