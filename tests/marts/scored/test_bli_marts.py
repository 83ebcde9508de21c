"""Lexicon induction and language pairs against Python."""

from __future__ import annotations

import json
import statistics
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from tests.helpers.warehouse_fixture import RawRows
from tests.marts.scored.rows import BLI_LANGUAGES, Key, Row, mean_or_none, query


@pytest.fixture(scope="module")
def ranks(raw: RawRows) -> dict[Key, list[Row]]:
    found = defaultdict(list)
    for row in raw.rows["bli_ranks"]:
        key = (row["method"], row["dictionary_size"], row["retrieval"], row["source_language"], row["target_language"])
        if row["vectors"] == "web@f00":
            found[key].append(row)
    return found


def _map(rows: list[Row]) -> float:
    return statistics.fmean(1 / row["rank"] for row in rows if row["rank"] is not None)


def test_bli(warehouse: Path, ranks: dict[Key, list[Row]]) -> None:
    rows = query(warehouse, "select * from marts.fct_bli where study = 'words'")
    assert len(rows) == 2 * len(ranks)
    for row in rows:
        key = tuple(
            row[name] for name in ("method", "dictionary_size", "retrieval", "source_language", "target_language")
        )
        test = [r for r in ranks[key] if not (row["clean"] and (r["is_leaked"] or r["is_duplicate"]))]
        covered = [r for r in test if r["rank"] is not None]
        best: dict[str, float] = {}
        for r in covered:
            best[r["query"]] = min(r["rank"], best.get(r["query"], np.inf))
        assert row["map"] == pytest.approx(_map(test))
        assert row["map_all"] == pytest.approx(sum(1 / r["rank"] for r in covered) / len(test))
        for k in (1, 5, 10):
            assert row[f"p_at_{k}"] == pytest.approx(np.mean([rank <= k for rank in best.values()]))
        assert row["n_queries"] == len(test)
        assert row["n_words"] == len({r["query"] for r in test})
        assert row["n_oov"] == len(test) - len(covered)
        assert row["coverage"] == pytest.approx(len(covered) / len(test))
        flaws = ("is_leaked", "is_duplicate", "is_identical")
        assert [row[f"n_{flaw.removeprefix('is_')}"] for flaw in flaws] == [
            0 if row["clean"] else sum(r[flaw] for r in ranks[key]) for flaw in flaws
        ]
        cosine = [
            r for r in ranks[(*key[:2], "cosine", *key[3:])]
            if not (row["clean"] and (r["is_leaked"] or r["is_duplicate"]))
        ]  # fmt: skip
        assert row["is_failure"] == (_map(cosine) < 0.05)


def test_bli_methods(warehouse: Path, ranks: dict[Key, list[Row]]) -> None:
    rows = query(warehouse, "select * from marts.rpt_bli_methods where study = 'words'")
    pairs = [(s, t) for s in BLI_LANGUAGES for t in BLI_LANGUAGES if s != t]
    assert len(rows) == 3 * 2 * 2
    for row in rows:
        size, retrieval = row["dictionary_size"], row["retrieval"]
        methods = ("PROC", "VECMAP") if size == 500 else ("PROC",)
        kept = [
            pair for pair in pairs
            if row["scope"] == "all" or all(_map(ranks[m, size, "cosine", *pair]) >= 0.05 for m in methods)
        ]  # fmt: skip
        failed = [pair for pair in kept if _map(ranks[row["method"], size, "cosine", *pair]) < 0.05]
        assert (row["n_pairs"], row["n_failures"]) == (len(kept), len(failed))
        expected = mean_or_none(_map(ranks[row["method"], size, retrieval, *pair]) for pair in kept)
        assert row["mean_map"] == pytest.approx(expected)
        assert row["vectors"] == "web"


def test_a_mapping_that_ended_in_an_error_is_a_failure(warehouse: Path) -> None:
    rows = query(warehouse, "select * from marts.rpt_bli_methods where study = 'errors' and scope = 'all'")
    found = {(row["method"], row["retrieval"]): (row["n_pairs"], row["n_failures"], row["mean_map"]) for row in rows}
    assert len(rows) == len(found) == 4
    for retrieval in ("cosine", "csls"):
        assert found["ICP", retrieval] == (2, 2, 0.5)
        assert found["PROC", retrieval] == (2, 0, 0.5)
    assert not query(warehouse, "select * from marts.rpt_bli_methods where study = 'errors' and scope = 'common'")


def test_language_pairs_and_their_correlations(warehouse: Path, raw: RawRows, ranks: dict[Key, list[Row]]) -> None:
    rows = query(warehouse, "select * from marts.rpt_language_pairs where study = 'joined'")
    assert len(rows) == 20
    geometry = {(r["source_language"], r["target_language"]): r["value"] for r in raw.rows["isometry"]}
    distances = {
        (r["measure"], r["source_language"], r["target_language"]): r["value"] for r in raw.rows["language_distances"]
    }
    deltas = {
        (r["source_language"], r["target_language"]): r["delta_pp"]
        for r in query(warehouse, "select * from marts.fct_transfer where study = 'joined'")
    }
    for row in rows:
        pair = (row["source_language"], row["target_language"])
        assert row["embedding_study"] == "words"
        assert row["bli_map"] == pytest.approx(_map(ranks["PROC", 500, "csls", *pair]))
        assert row["gromov_hausdorff"] == geometry[min(pair), max(pair)]
        assert row["syntactic"] == distances["syntactic", *pair]
        assert json.loads(row["other_measures"]) == {"homemade": distances["homemade", *pair]}
        assert row["transfer_pp"] == pytest.approx(deltas[pair])
    by_pair = {(row["source_language"], row["target_language"]): row for row in rows}
    unordered = sorted(pair for pair in by_pair if pair[0] < pair[1])
    for row in query(warehouse, "select * from marts.rpt_pair_correlations where study = 'joined'"):
        if row["measure"] == "homemade":
            continue
        both = [
            [round(by_pair[pair][name] + by_pair[pair[::-1]][name], 9) for pair in unordered]
            for name in (row["measure"], "transfer_pp")
        ]
        assert row["spearman"] == pytest.approx(stats.spearmanr(*both).statistic)
        assert row["n_languages"] == 5
