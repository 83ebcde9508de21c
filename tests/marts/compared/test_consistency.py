"""Agreement of models against SciPy and brute force."""

from __future__ import annotations

import itertools
from pathlib import Path

import duckdb
import jinja2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tests.marts.compared.rows import ROOT, SOURCES, STUDY, TARGETS, Evaluate, Row, grid_rows, query, regime_of


@pytest.mark.parametrize("skewness", [0.0, 1e-3, 0.05, 0.12, 0.5, 1.0, 2.0, 2.8])
def test_pearson_survival_is_scipys(skewness: float) -> None:
    macros = "".join(
        (ROOT / "dbt_project" / "macros" / f"{name}.sql").read_text() for name in ("student_t", "survival")
    )
    expression = jinja2.Template(macros + "{{ pearson_survival('points.z', 'points.skewness') }}").render()
    z = np.linspace(-3, 8, 45)
    with duckdb.connect() as connection:
        connection.execute(
            "create table points as select unnest(?) as z, ?::double as skewness", [z.tolist(), skewness]
        )
        found = [row[0] for row in connection.execute(f"select {expression} from points order by z").fetchall()]
    expected = stats.pearson3.sf(z, skewness)
    np.testing.assert_allclose(
        found, expected, rtol=2e-3 if skewness < 0.1 else 1e-8, atol=1e-4 if skewness < 0.1 else 0
    )


def _mean_tau(values: np.ndarray) -> float:
    """Over pairs of rows [models, targets]."""
    return float(np.mean([stats.kendalltau(a, b).statistic for a, b in itertools.combinations(values, 2)]))


def _permuted_p(values: np.ndarray, n: int = 3000) -> float:
    rng = np.random.default_rng(5)
    i, j = np.triu_indices(values.shape[1], 1)

    def mean_tau(drawn: np.ndarray) -> np.ndarray:
        signs = np.sign(drawn[..., i] - drawn[..., j])
        unit = signs / np.linalg.norm(signs, axis=-1, keepdims=True)
        m = len(values)
        return ((unit.sum(axis=-2) ** 2).sum(axis=-1) - m) / (m * (m - 1))

    drawn = mean_tau(rng.permuted(np.tile(values, (n, 1, 1)), axis=2))
    return float(np.mean(drawn >= mean_tau(values) - 1e-9))


def test_consistency_of_a_study(warehouse: Path, deltas: np.ndarray) -> None:
    rows = query(warehouse, "select * from marts.rpt_consistency where study = 'grid'")
    assert len(rows) == len(SOURCES) * 4
    for row in rows:
        source = (row["source_task"], row["source_language"])
        inside = [
            e for e, target in enumerate(TARGETS)
            if target != source and row["regime"] in ("transfer", regime_of(source, target))
        ]  # fmt: skip
        values = deltas[:, SOURCES.index(source), inside]
        assert (row["n_targets"], row["n_model_pairs"]) == (len(inside), 10)
        if len(inside) < 4:
            assert (row["kendall_tau_b"], row["p_value"]) == (None, None)
        else:
            assert row["kendall_tau_b"] == pytest.approx(_mean_tau(values))
            assert row["p_value"] == pytest.approx(_permuted_p(values), abs=0.045)
            # With what all sources do to a target taken off.
            specific = values - np.nanmean(deltas[:, :, inside], axis=1)
            assert row["specific_tau_b"] == pytest.approx(_mean_tau(np.round(specific, 9)))
            assert row["specific_p_value"] == pytest.approx(_permuted_p(np.round(specific, 9)), abs=0.045)
    assert {row["n_targets"] for row in rows} == {2, 3, 6, 11}


@pytest.mark.parametrize(("n_models", "n_targets", "steps"), [(2, 5, 3), (3, 8, 100), (2, 14, 6), (9, 30, 40)])
def test_p_of_consistency_holds_its_level(evaluate: Evaluate, n_models: int, n_targets: int, steps: int) -> None:
    """Over 250 sources of noise with ties; and it agrees with brute-force permutation on some."""
    n = 250
    values = np.random.default_rng(n_targets).integers(0, steps, (n_models, n, n_targets)).astype(float)
    found = _consistency(evaluate, values)
    p = np.array([row["p_value"] for row in found if row["n_model_pairs"]])
    assert len(p) > 0.95 * n
    for level in (0.05, 0.2):
        # Not beyond the level but by chance, and well used where ties are few.
        assert np.mean(p <= level) <= level + 3.5 * np.sqrt(level / n)
    if steps > 20:
        assert np.mean(p <= 0.2) >= 0.13
    for s in range(0, n, 50):
        if found[s]["n_model_pairs"] == n_models * (n_models - 1) / 2:
            assert found[s]["p_value"] == pytest.approx(_permuted_p(values[:, s]), abs=0.05 if n_targets < 11 else 0.03)


def _consistency(evaluate: Evaluate, values: np.ndarray) -> list[Row]:
    """Rows of regime MT-CL by source, of delta [models, sources, targets]."""
    rankings = evaluate("int_target_rankings", int_role_grid=list(grid_rows(values)))
    found = evaluate("rpt_consistency", int_target_rankings=rankings, stg_studies=STUDY)
    return sorted((row for row in found if row["regime"] == "MT-CL"), key=lambda row: row["source_language"])


@pytest.mark.parametrize("n_targets", [11, 30])
def test_p_of_two_models_with_ties_is_scipys(evaluate: Evaluate, n_targets: int) -> None:
    values = np.random.default_rng(1).integers(0, 7, (2, 12, n_targets)).astype(float)
    for s, row in enumerate(_consistency(evaluate, values)):
        expected = stats.kendalltau(*values[:, s], method="asymptotic", alternative="greater")
        assert row["kendall_tau_b"] == pytest.approx(expected.statistic)
        assert row["p_value"] == pytest.approx(expected.pvalue, rel=1e-3)


@settings(max_examples=3, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([6, 12]))
def test_consistency_sees_ranks_only(evaluate: Evaluate, seed: int, n_targets: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 9, (3, 4, n_targets)).astype(float)
    stretched = np.exp(values) * [[[1.0]], [[7.0]], [[2.0]]] - 5
    for one, other in zip(_consistency(evaluate, values), _consistency(evaluate, stretched), strict=True):
        assert (one["kendall_tau_b"], one["p_value"]) == (
            pytest.approx(other["kendall_tau_b"]),
            pytest.approx(other["p_value"]),
        )
    agreeing = _consistency(evaluate, np.tile(rng.permutation(n_targets).astype(float), (3, 4, 1)))
    assert all(row["kendall_tau_b"] == pytest.approx(1) and row["p_value"] < 0.02 for row in agreeing)


def test_a_model_without_differences_ranks_nothing(evaluate: Evaluate) -> None:
    values = np.stack([np.arange(6.0), np.arange(6.0), np.zeros(6), np.zeros(6)])[:, None, :]
    (row,) = _consistency(evaluate, values)
    assert (row["kendall_tau_b"], row["n_model_pairs"]) == (pytest.approx(1), 1)
    (row,) = _consistency(evaluate, values[1:3])
    assert (row["kendall_tau_b"], row["p_value"], row["n_model_pairs"]) == (None, None, 0)
