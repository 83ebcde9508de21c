"""Pairs of languages and their correlations against Mantel tests worked out in full."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tests.helpers.mantel import exact_mantel
from tests.helpers.warehouse_fixture import RawRows
from tests.marts.compared.rows import LANGUAGES, PAIRS, Evaluate, Row, mean_reciprocal_rank, query, reciprocal_ranks


def test_language_pairs_against_transfer(warehouse: Path) -> None:
    """The two parts apart; a distance landed for one direction serves both and has no antisymmetric part."""
    pairs = {
        (row["source_language"], row["target_language"]): row
        for row in query(warehouse, "select * from marts.rpt_language_pairs where study = 'joined'")
    }
    assert set(pairs) == set(PAIRS)

    def matrix(name: str) -> np.ndarray:
        return np.array([[pairs[a, b][name] if a != b else 0.0 for b in LANGUAGES] for a in LANGUAGES])

    transfer = matrix("transfer_pp")
    rows = {
        row["measure"]: row
        for row in query(warehouse, "select * from marts.rpt_pair_correlations where study = 'joined'")
    }
    assert set(rows) == {"bli_map", "syntactic"}
    for measure, row in rows.items():
        values = matrix(measure)
        assert (row["embedding_study"], row["vectors"], row["n_languages"]) == ("words", "web", 6)
        rho, p = exact_mantel(values + values.T, transfer + transfer.T)
        assert (row["spearman"], row["p_value"]) == (pytest.approx(rho), pytest.approx(p, abs=0.03))
        off = ~np.eye(6, dtype=bool)
        even, odd = ((transfer + sign * transfer.T)[off].var() for sign in (1, -1))
        assert row["antisymmetric_share"] == pytest.approx(odd / (even + odd))
        if measure == "syntactic":
            assert (row["antisymmetric_spearman"], row["antisymmetric_p_value"]) == (None, None)
        else:
            rho, p = exact_mantel(values - values.T, transfer - transfer.T)
            assert row["antisymmetric_spearman"] == pytest.approx(rho)
            assert row["antisymmetric_p_value"] == pytest.approx(p, abs=0.03)
    (few,) = query(
        warehouse, "select * from marts.rpt_pair_correlations where study = 'few' and measure = 'bli_map'"
    )  # fmt: skip
    assert (few["spearman"], few["p_value"], few["n_languages"]) == (None, None, 4)


def test_the_study_says_which_lexicon_induction_stands_for_a_pair(warehouse: Path, raw: RawRows) -> None:
    ranks = reciprocal_ranks(raw)
    for study, *asked in (("joined", "PROC", 500, "csls"), ("chosen", "RCSLS", 100, "cosine")):
        rows = query(warehouse, f"select * from marts.rpt_language_pairs where study = '{study}'")
        assert len(rows) == len(PAIRS)
        for row in rows:
            assert row["embedding_study"] == "words"
            expected = mean_reciprocal_rank(ranks[*asked, row["source_language"], row["target_language"]])
            assert row["bli_map"] == pytest.approx(expected)


def _correlations(evaluate: Evaluate, parts: list[Row]) -> list[Row]:
    """rpt_pair_correlations of int_pair_parts alone; a regression of another study has a row of its own."""
    of_another = {
        "study": "another", "origin": "computed", "embedding_study": "another", "variant": "v", "prompt_pool": "p",
        "embedding_variant": "v", "vector_set": "w", "measure": "d", "slope_pp": 2.0, "correlation": 0.5,
        "p_value": 0.1, "n_sources": 2, "n_targets": 5, "n_languages": 6, "n_pairs": 10,
    }  # fmt: skip
    rows = evaluate("rpt_pair_correlations", int_pair_parts=parts, int_pair_regressions=[of_another])
    found = [row for row in rows if row["study"] != "another"]
    (other,) = (row for row in rows if row["study"] == "another")
    assert (other["regression_slope_pp"], other["n_languages"], other["spearman"]) == (2.0, 0, None)
    return found


def _pair_parts(study: str, x: np.ndarray, y: np.ndarray) -> Iterator[Row]:
    """int_pair_parts of two symmetric matrices; NaN is not known."""
    for i, j in itertools.permutations(range(len(x)), 2):
        if not np.isnan(x[i, j] + y[i, j]):
            yield {
                "study": study, "origin": "computed", "embedding_study": study, "variant": "v", "prompt_pool": "p",
                "embedding_variant": "v", "vector_set": "w", "measure": "d", "part": "symmetric",
                "language": f"l{i}", "other_language": f"l{j}", "measure_value": float(x[i, j]),
                "transfer_value": float(y[i, j]),
            }  # fmt: skip


def test_mantel_holds_its_level_where_pairs_share_languages(evaluate: Evaluate) -> None:
    """Values are sums of both languages' own, so pairs are anything but independent, and a plain test is fooled."""
    rng = np.random.default_rng(21)
    plain, rows = [], []
    for s in range(100):
        x, y = (own[:, None] + own[None, :] for own in rng.normal(size=(2, 7)))
        upper = np.triu_indices(7, 1)
        plain.append(stats.spearmanr(x[upper], y[upper]).pvalue)
        rows += _pair_parts(f"s{s:03}", x, y)
    p = np.array([row["p_value"] for row in _correlations(evaluate, rows)])
    assert len(p) == 100
    assert np.mean(np.array(plain) <= 0.05) > 0.2
    assert np.mean(p <= 0.05) <= 0.05 + 3.5 * np.sqrt(0.05 / 100)
    assert np.mean(p <= 0.5) == pytest.approx(0.5, abs=0.16)


@settings(max_examples=3, deadline=None)
@given(st.integers(0, 10_000))
def test_names_of_languages_do_not_matter(evaluate: Evaluate, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = (z + z.T for z in rng.normal(size=(2, 8, 8)))
    x[0, 1] = x[1, 0] = np.nan  # and one pair may be missing
    order = rng.permutation(8)
    (one,) = _correlations(evaluate, list(_pair_parts("s", x, y)))
    (other,) = _correlations(evaluate, list(_pair_parts("s", x[np.ix_(order, order)], y[np.ix_(order, order)])))
    known = ~np.isnan(x) & ~np.eye(8, dtype=bool)
    assert one["spearman"] == pytest.approx(other["spearman"])
    assert one["spearman"] == pytest.approx(stats.spearmanr(x[known], y[known]).statistic)
    assert one["p_value"] == pytest.approx(other["p_value"], abs=0.04)
    (turned,) = _correlations(evaluate, list(_pair_parts("s", -x, y)))
    assert (turned["spearman"], turned["p_value"]) == (pytest.approx(-one["spearman"]), one["p_value"])
    (same,) = _correlations(evaluate, list(_pair_parts("s", x, np.exp(x))))
    assert (same["spearman"], same["p_value"] < 0.002) == (pytest.approx(1), True)
