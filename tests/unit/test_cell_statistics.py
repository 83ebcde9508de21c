"""Errors, tests and q of cells against SciPy and statsmodels, and by the laws they must keep."""

from __future__ import annotations

from collections import defaultdict

import duckdb
import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from tests.unit.derived import Row, add_cells, as_rows, derived, transfer_cells
from tests.warehouse_fixture import RawRows, rendered

SEED = st.integers(0, 2**32 - 1)


@pytest.mark.parametrize("degrees", [1, 1.4, 2, 2.7, 3, 5, 12.5, 40, 399, 20_000, None])
def test_two_sided_p_is_students(degrees: float | None) -> None:
    with duckdb.connect() as connection:
        connection.execute("create table tests (t double, degrees double)")
        found: dict[float, float] = {}
        ts = [0.0, 0.001, 0.03, 0.3, 0.9, 1.1, 2.0, 4.0, 9.0, -2.5, 20.0]
        connection.executemany("insert into tests values (?, ?)", [(t, degrees) for t in ts])
        sql = "select t, {{ two_sided_p('tests.t', 'tests.degrees') }} from tests"
        found = dict(connection.execute(rendered(sql)).fetchall())
    for t in ts:
        expected = 2 * (stats.norm.sf(abs(t)) if degrees is None else stats.t.sf(abs(t), degrees))
        assert found[t] == pytest.approx(expected, rel=1e-4 if abs(t) < 1 else 1e-7)


@given(st.lists(st.floats(1, 1e6), min_size=50, max_size=50))
@settings(max_examples=5, deadline=None)
def test_quantile_is_students(degrees: list[float]) -> None:
    found = duckdb.execute(
        rendered("select {{ t_quantile_975('n') }} from (select unnest($1) as n)"), [degrees]
    ).fetchall()
    assert [row[0] for row in found] == pytest.approx(stats.t.ppf(0.975, degrees).tolist(), rel=1e-5)


def _expected(d: np.ndarray) -> Row:
    """Standard error, degrees of freedom, interval and p of d = after - before, [seeds, items], by NumPy and SciPy."""
    n_seeds, n = d.shape
    means = d.mean(axis=0)
    from_items = means.var(ddof=1) / n
    from_seeds = from_residual = 0.0
    degrees = n - 1.0
    if n_seeds > 1:
        residual = d - means - d.mean(axis=1, keepdims=True) + d.mean()
        mean_square = (residual**2).sum() / ((n - 1) * (n_seeds - 1))
        from_residual, seeds = mean_square / (n * n_seeds), d.mean(axis=1).var(ddof=1) / n_seeds
        if seeds > from_residual * (1 + 1e-9):
            from_seeds = seeds - from_residual
            degrees = max(
                1.0,
                (from_items + from_seeds) ** 2
                / (from_items**2 / (n - 1) + seeds**2 / (n_seeds - 1) + from_residual**2 / ((n - 1) * (n_seeds - 1))),
            )
    error = np.sqrt(from_items + from_seeds)
    widened = np.concatenate([means, [0.0, 0.0]])
    spread = (widened**2).sum() + 1 - widened.sum() ** 2 / (n + 2)  # half an item won, half an item lost
    half = stats.t.ppf(0.975, degrees) * np.sqrt(spread / ((n + 1) * (n + 2)) + from_seeds)
    up, down = int((means > 0).sum()), int((means < 0).sum())
    sign = stats.binomtest(min(up, down), up + down).pvalue if up + down else 1.0
    if n_seeds == 1 or error < 1e-12:
        p_value = sign
    else:
        p_value = 2 * stats.t.sf(abs(d.mean()) / error, degrees)
        p_value = max(sign, p_value) if up + down < 25 else p_value
    return {
        "delta_pp": 100 * d.mean(), "delta_se": 100 * error, "p_value": p_value,
        "ci_low": max(-100, 100 * (widened.mean() - half)), "ci_high": min(100, 100 * (widened.mean() + half)),
    }  # fmt: skip


@given(SEED)
@settings(max_examples=6, deadline=None)
def test_errors_and_p_are_those_of_the_two_way_layout(seed: int) -> None:
    rng = np.random.default_rng(seed)
    raw, arrays = RawRows(), []
    for number in range(3):
        n_seeds, n = rng.integers(1, 5), rng.integers(2, 120)
        before = rng.random(n) < rng.random()
        luck = rng.normal(0, rng.choice([0, 0.3]), (6, n_seeds, 1))
        after = np.where(rng.random((6, n_seeds, n)) < rng.random() + luck, ~before, before)
        add_cells(raw, f"study{number}", before, after)
        arrays += [a.astype(int) - before for a in after]
    for row, d in zip(transfer_cells(raw), arrays, strict=True):
        for name, value in _expected(d).items():
            assert row[name] == pytest.approx(value, rel=1e-4, abs=1e-9 if name == "p_value" else 1e-3), name


def test_residual_mean_square_is_that_of_statsmodels() -> None:
    rng = np.random.default_rng(5)
    before, after = rng.random(30) < 0.5, rng.random((4, 30)) < 0.6
    raw = RawRows()
    add_cells(raw, "s", before, [after])
    raw.task("t")
    (row,) = as_rows(derived(raw, "int_cell_errors"), "from int_cell_errors")
    d = after.astype(float) - before
    long = pd.DataFrame([{"d": d[s, i], "item": i, "seed": s} for s in range(4) for i in range(30)])
    assert row["residual_variance"] == pytest.approx(smf.ols("d ~ C(item) + C(seed)", long).fit().mse_resid / d.size)


def test_p_of_one_seed_is_mcnemars_and_of_several_the_t_test_on_items() -> None:
    rng = np.random.default_rng(6)
    before = rng.random(200) < 0.5
    once = rng.random((5, 1, 200)) < 0.6
    # Seeds that agree in everything add nothing.
    flips = rng.random((3, 200)) < 0.4
    several = [np.stack([before ^ flip] * 3) for flip in flips]
    raw = RawRows()
    add_cells(raw, "once", before, list(once))
    add_cells(raw, "several", before, several)
    rows = transfer_cells(raw)
    for row, right in zip(rows[:5], once, strict=True):
        table = [[int((before & (right[0] == r)).sum()), int((~before & (right[0] == r)).sum())] for r in (True, False)]
        assert row["p_value"] == pytest.approx(mcnemar(table, exact=True).pvalue)
    for row, right in zip(rows[5:], several, strict=True):
        d = right.astype(int) - before
        assert row["p_value"] == pytest.approx(stats.ttest_1samp(d.mean(axis=0), 0).pvalue, rel=1e-6)


def test_items_that_not_every_seed_answered_count_for_none() -> None:
    rng = np.random.default_rng(7)
    before, after = rng.random(30) < 0.5, rng.random((2, 30)) < 0.5
    raw = RawRows()
    raw.study("s")
    raw.scores("s", model="m@1", target=("t", "en"), correct=before[:28].tolist())
    for seed, n in ((1, 30), (2, 25)):
        raw.scores(
            "s", model="m@1", source=("u", "de"), seed=seed, target=("t", "en"), correct=after[seed - 1, :n].tolist()
        )
    (row,) = transfer_cells(raw)
    assert row["n_items"] == 25
    for name, value in _expected(after[:, :25].astype(int) - before[:25]).items():
        assert row[name] == pytest.approx(value, rel=1e-4), name


@pytest.mark.parametrize("n_seeds", [1, 3])
def test_a_base_copy_changes_nothing(n_seeds: int) -> None:
    before = np.arange(40) % 3 == 0
    raw = RawRows()
    add_cells(raw, "s", before, [np.stack([before] * n_seeds)])
    (row,) = transfer_cells(raw)
    assert (row["delta_pp"], row["delta_se"], row["p_value"], row["q_value"], row["is_harm"]) == (0, 0, 1, 1, False)
    assert -12 < row["ci_low"] < 0 < row["ci_high"] < 12  # not sure to be 0 on other items
    assert row["ci_low"] == pytest.approx(-row["ci_high"])


def test_differences_that_are_all_equal_and_single_items() -> None:
    raw = RawRows()
    add_cells(raw, "all", np.zeros(12, bool), [np.ones((1, 12), bool), np.ones((2, 12), bool)])
    add_cells(raw, "one", np.zeros(1, bool), [np.ones((1, 1), bool), np.ones((2, 1), bool), np.zeros((2, 1), bool)])
    rows = transfer_cells(raw)
    for row in rows[:2]:
        assert (row["delta_pp"], row["delta_se"], row["ci_high"]) == (100, 0, 100)
        assert row["ci_low"] < 90
        assert row["p_value"] == pytest.approx(2 / 2**12)
    assert [(row["delta_pp"], row["p_value"]) for row in rows[2:]] == [(100, 1), (100, 1), (0, 1)]
    assert all(row[name] is None for row in rows[2:] for name in ("delta_se", "ci_low", "ci_high"))


@given(SEED)
@settings(max_examples=4, deadline=None)
def test_exchanging_base_and_tuned_turns_the_sign(seed: int) -> None:
    rng = np.random.default_rng(seed)
    before, after = rng.random(50) < 0.5, rng.random(50) < 0.6
    raw = RawRows()
    add_cells(raw, "forth", before, [after[None]])
    add_cells(raw, "turned", after, [before[None]])
    forth, turned = transfer_cells(raw)
    assert turned["delta_pp"] == -forth["delta_pp"]
    assert (turned["ci_low"], turned["ci_high"]) == pytest.approx((-forth["ci_high"], -forth["ci_low"]))
    assert (turned["p_value"], turned["delta_se"]) == pytest.approx((forth["p_value"], forth["delta_se"]))


def test_q_is_benjamini_hochbergs_of_each_family() -> None:
    rng = np.random.default_rng(8)
    raw = RawRows()
    raw.task("t")
    raw.study("s")
    before = rng.random(40) < 0.5
    for language in "abcdef":
        raw.scores("s", model="m@1", target=("t", language), correct=before.tolist())
        for source in "abcdef":
            for control in (None, "placebo"):
                chance = 0.5 + 0.45 * (source == "a" or source == language)
                raw.scores(
                    "s", model="m@1", source=("t", source), seed=1, control=control, target=("t", language),
                    correct=(rng.random(40) < chance).tolist(),
                )  # fmt: skip
    rows = as_rows(derived(raw, "fct_transfer"), "select * from fct_transfer")
    families = defaultdict(list)
    for row in rows:
        families[row["control"], row["regime"] == "MT-ML"].append(row)
    assert sorted(map(len, families.values())) == [6, 6, 30, 30]
    for family in families.values():
        expected = multipletests([row["p_value"] for row in family], method="fdr_bh")[1]
        assert [row["q_value"] for row in family] == pytest.approx(expected.tolist())
    placebos = {(row["source_language"], row["target_language"]): row["delta_pp"] for row in rows if row["control"]}
    for row in rows:
        pair = (row["source_language"], row["target_language"])
        assert row["placebo_pp"] == (None if row["control"] else placebos[pair])


def test_harms_by_chance_are_those_of_random_signs() -> None:
    rng = np.random.default_rng(9)
    before = rng.random(60) < 0.5
    after = [
        np.where(rng.random((n_seeds, 60)) < changed, ~before, before)
        for n_seeds in (1, 2, 3) for changed in (0.02, 0.1, 0.4)
    ]  # fmt: skip
    raw = RawRows()
    add_cells(raw, "s", before, after)
    raw.task("t")
    rows = as_rows(derived(raw, "int_transfer_cells"), "from int_transfer_cells order by source_language")
    signs = rng.choice([-1, 1], (20_000, 60))
    for row, right in zip(rows, after, strict=True):
        flipped = 100 * (signs @ (right.astype(int) - before).sum(axis=0)) / right.size
        # A quarter of a percentage point of the normal's, and the simulation's own error.
        assert row["null_harm_probability"] == pytest.approx(np.mean(flipped <= -1), abs=0.03)


def test_imports_are_judged_by_their_published_errors() -> None:
    raw = RawRows()
    raw.study("published", origin="somebody")
    key = raw.job("published", "import")
    cells = [("a", 2.0, 0.8, 3), ("b", -2.0, 0.8, 1), ("c", 1.0, None, 3), ("d", -2.0, 0.8, None)]
    for language, delta, error, n_seeds in cells:
        raw.add(
            "aggregate_scores", job_key=key, model="m@1", source_task="t", source_language=language, target_task="u",
            target_language="en", metric="acc", score=0.5, baseline_score=0.5, delta_pp=delta, delta_stderr=error,
            n_items=100, n_seeds=n_seeds,
        )  # fmt: skip
    connection = derived(raw, "fct_transfer", "rpt_regimes", "rpt_roles")
    rows = as_rows(connection, "from fct_transfer order by source_language")
    for row, degrees in zip(rows, (2, np.inf, None, np.inf), strict=True):
        if degrees is None:
            assert {row[name] for name in ("ci_low", "ci_high", "p_value", "q_value")} == {None}
        else:
            law = stats.t(degrees)
            assert row["ci_high"] - row["delta_pp"] == pytest.approx(0.8 * law.ppf(0.975), rel=1e-4)
            assert row["delta_pp"] - row["ci_low"] == pytest.approx(0.8 * law.ppf(0.975), rel=1e-4)
            assert row["p_value"] == pytest.approx(2 * law.sf(2.5), rel=1e-4)
    tested = [row["p_value"] for row in rows if row["p_value"] is not None]
    expected = multipletests(tested, method="fdr_bh")[1].tolist()
    assert [row["q_value"] for row in rows if row["p_value"] is not None] == pytest.approx(expected)
    (regime,) = as_rows(connection, "from rpt_regimes where scope = 'all' and regime = 'transfer'")
    assert regime["mean_pp"] == -0.25
    assert {regime[name] for name in ("ci_low", "ci_high", "sig_harm_pct", "null_harm_pct")} == {None}
    roles = as_rows(connection, "from rpt_roles where scope = 'all' and axis = 'cell'")
    assert len(roles) == 5
    unknown = ("donor_ci_low", "recipient_ci_low", "p_top", "is_hub", "is_brittle", "placebo_pp")
    assert {role[name] for role in roles for name in unknown} == {None}
