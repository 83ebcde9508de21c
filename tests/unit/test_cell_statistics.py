"""Errors, tests and roles of the marts against SciPy, statsmodels and NumPy, and by the laws they must keep.

Most warehouses here are small and many, so that their models are derived in memory, without dbt.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

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

from tests.warehouse_fixture import RawRows, derive, rendered

Row = dict[str, Any]
SEED = st.integers(0, 2**32 - 1)


def _rows(connection: duckdb.DuckDBPyConnection, sql: str) -> list[Row]:
    cursor = connection.execute(sql)
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _derived(raw: RawRows, *models: str) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    raw.read(connection)
    derive(connection, *models)
    return connection


# --- distributions --------------------------------------------------------------------------------------------


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


# --- cells ----------------------------------------------------------------------------------------------------


def _add_cells(raw: RawRows, study: str, before: np.ndarray, after: Sequence[np.ndarray]) -> None:
    """One baseline and a source for each array of `after`, [seeds, items], on one target."""
    raw.study(study)
    raw.scores(study, model="m@1", variant=study, target=("t", "en"), correct=before.tolist())
    for number, seeds in enumerate(after):
        for seed, right in enumerate(seeds):
            raw.scores(
                study, model="m@1", variant=study, source=("u", f"s{number:03d}"), seed=seed, target=("t", "en"),
                correct=right.tolist(),
            )  # fmt: skip


def _cells(raw: RawRows, order: str = "study, source_language") -> list[Row]:
    raw.task("t")
    return _rows(_derived(raw, "fct_transfer"), f"select * from fct_transfer order by {order}")


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
        _add_cells(raw, f"study{number}", before, after)
        arrays += [a.astype(int) - before for a in after]
    for row, d in zip(_cells(raw), arrays, strict=True):
        for name, value in _expected(d).items():
            assert row[name] == pytest.approx(value, rel=1e-4, abs=1e-9 if name == "p_value" else 1e-3), name


def test_residual_mean_square_is_that_of_statsmodels() -> None:
    rng = np.random.default_rng(5)
    before, after = rng.random(30) < 0.5, rng.random((4, 30)) < 0.6
    raw = RawRows()
    _add_cells(raw, "s", before, [after])
    raw.task("t")
    (row,) = _rows(_derived(raw, "int_cell_errors"), "from int_cell_errors")
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
    _add_cells(raw, "once", before, list(once))
    _add_cells(raw, "several", before, several)
    rows = _cells(raw)
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
    (row,) = _cells(raw)
    assert row["n_items"] == 25
    for name, value in _expected(after[:, :25].astype(int) - before[:25]).items():
        assert row[name] == pytest.approx(value, rel=1e-4), name


@pytest.mark.parametrize("n_seeds", [1, 3])
def test_a_base_copy_changes_nothing(n_seeds: int) -> None:
    before = np.arange(40) % 3 == 0
    raw = RawRows()
    _add_cells(raw, "s", before, [np.stack([before] * n_seeds)])
    (row,) = _cells(raw)
    assert (row["delta_pp"], row["delta_se"], row["p_value"], row["q_value"], row["is_harm"]) == (0, 0, 1, 1, False)
    assert -12 < row["ci_low"] < 0 < row["ci_high"] < 12  # not sure to be 0 on other items
    assert row["ci_low"] == pytest.approx(-row["ci_high"])


def test_differences_that_are_all_equal_and_single_items() -> None:
    raw = RawRows()
    _add_cells(raw, "all", np.zeros(12, bool), [np.ones((1, 12), bool), np.ones((2, 12), bool)])
    _add_cells(raw, "one", np.zeros(1, bool), [np.ones((1, 1), bool), np.ones((2, 1), bool), np.zeros((2, 1), bool)])
    rows = _cells(raw)
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
    _add_cells(raw, "forth", before, [after[None]])
    _add_cells(raw, "turned", after, [before[None]])
    forth, turned = _cells(raw)
    assert turned["delta_pp"] == -forth["delta_pp"]
    assert (turned["ci_low"], turned["ci_high"]) == pytest.approx((-forth["ci_high"], -forth["ci_low"]))
    assert (turned["p_value"], turned["delta_se"]) == pytest.approx((forth["p_value"], forth["delta_se"]))


# --- many tests -----------------------------------------------------------------------------------------------


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
    rows = _rows(_derived(raw, "fct_transfer"), "select * from fct_transfer")
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
    _add_cells(raw, "s", before, after)
    raw.task("t")
    rows = _rows(_derived(raw, "int_transfer_cells"), "from int_transfer_cells order by source_language")
    signs = rng.choice([-1, 1], (20_000, 60))
    for row, right in zip(rows, after, strict=True):
        flipped = 100 * (signs @ (right.astype(int) - before).sum(axis=0)) / right.size
        # A quarter of a percentage point of the normal's, and the simulation's own error.
        assert row["null_harm_probability"] == pytest.approx(np.mean(flipped <= -1), abs=0.03)


# --- imports --------------------------------------------------------------------------------------------------


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
    connection = _derived(raw, "fct_transfer", "rpt_regimes", "rpt_roles")
    rows = _rows(connection, "from fct_transfer order by source_language")
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
    (regime,) = _rows(connection, "from rpt_regimes where scope = 'all' and regime = 'transfer'")
    assert regime["mean_pp"] == -0.25
    assert {regime[name] for name in ("ci_low", "ci_high", "sig_harm_pct", "null_harm_pct")} == {None}
    roles = _rows(connection, "from rpt_roles where scope = 'all' and axis = 'cell'")
    assert len(roles) == 5
    unknown = ("donor_ci_low", "recipient_ci_low", "p_top", "is_hub", "is_brittle", "placebo_pp")
    assert {role[name] for role in roles for name in unknown} == {None}


# --- means, donors and recipients -----------------------------------------------------------------------------

LANGUAGES = "abcdefgh"
N_ITEMS = 30
Answers = Callable[[str | None, str, int, str], np.ndarray]
"""(control, source language, seed, target language) -> right answers to the parallel items."""


def _add_grid(raw: RawRows, study: str, answers: Answers, before: Callable[[str], np.ndarray], names: str = LANGUAGES,
              parallel: bool = True, placebo: bool = True, **config: Any) -> None:  # fmt: skip
    """Eight languages of one task, two seeds and a placebo; `names` renames the languages."""
    raw.study(study, **config)
    for t, target in enumerate(LANGUAGES):
        keys: dict[str, Any] = {
            "model": "m@1", "variant": study, "target": ("t", names[t]),
            "parallel_ids": [f"p{i}" if parallel else None for i in range(N_ITEMS)],
            "prompt": "plain@1" if parallel else "lone@1",  # another question has items of its own
        }  # fmt: skip
        raw.scores(study, correct=before(target).tolist(), **keys)
        for s, source in enumerate(LANGUAGES):
            for control, seed in ((None, 1), (None, 2), *([("placebo", 1)] if placebo else [])):
                right = answers(control, source, seed, target).tolist()
                raw.scores(study, source=("t", names[s]), seed=seed, control=control, correct=right, **keys)


@pytest.fixture(scope="module")
def truth() -> dict[tuple[str | None, str, int, str], np.ndarray]:
    """Right answers, with parallel items alike over languages, a good donor b and a harmed recipient c."""
    rng = np.random.default_rng(10)
    ability = rng.normal(0, 0.8, N_ITEMS) + rng.normal(0, 0.6, (len(LANGUAGES), N_ITEMS))
    found = {(None, "", 0, target): ability[t] > 0 for t, target in enumerate(LANGUAGES)}
    for control, seeds in ((None, (1, 2)), ("placebo", (1,))):
        for source in LANGUAGES:
            for seed in seeds:
                luck = rng.normal(0, 0.1)
                for t, target in enumerate(LANGUAGES):
                    shift = (1.2 * (source == "b") - 2.5 * (target == "c")) * (control is None)
                    found[control, source, seed, target] = ability[t] + shift + luck + rng.normal(0, 0.4, N_ITEMS) > 0
    return found


@pytest.fixture(scope="module")
def grids(truth: dict[tuple[str | None, str, int, str], np.ndarray]) -> duckdb.DuckDBPyConnection:
    """The same answers as they are, with languages renamed, without translations, and without a placebo."""
    raw = RawRows()
    raw.task("t")

    def answers(control: str | None, source: str, seed: int, target: str) -> np.ndarray:
        return truth[control, source, seed, target]

    def before(target: str) -> np.ndarray:
        return truth[None, "", 0, target]

    _add_grid(raw, "plain", answers, before)
    _add_grid(raw, "renamed", answers, before, names="hgfedcba")
    _add_grid(raw, "untranslated", answers, before, parallel=False)
    _add_grid(raw, "bold", answers, before, placebo=False, harm_threshold_pp=20.0)
    return _derived(raw, "rpt_roles", "rpt_regimes", "int_recipient_harms", "int_mean_errors")


def _differences(truth: dict[tuple[str | None, str, int, str], np.ndarray], control: str | None) -> np.ndarray:
    """After - before, [source, target, seed, item]."""
    seeds = (1,) if control else (1, 2)
    return np.array(
        [
            [
                [truth[control, source, seed, target].astype(float) - truth[None, "", 0, target] for seed in seeds]
                for target in LANGUAGES
            ]
            for source in LANGUAGES
        ]
    )


def _half_width(d: np.ndarray, weights: np.ndarray) -> float:
    """Of sum of weights [source, target] * mean differences: items drawn jointly, runs of a source jointly."""
    n_seeds, n = d.shape[2:]
    by_item = np.einsum("st,stki->i", weights, d) / n_seeds
    items = by_item.var(ddof=1) / n
    by_run = np.einsum("st,stk->sk", weights, d.mean(axis=3))
    runs = residual = 0.0
    spread = items**2 / (n - 1)
    if n_seeds > 1:
        of_source = by_run.var(axis=1, ddof=1) / n_seeds
        error = d - d.mean(axis=2, keepdims=True) - d.mean(axis=3, keepdims=True) + d.mean(axis=(2, 3), keepdims=True)
        mean_square = (error**2).sum(axis=(2, 3)) / ((n - 1) * (n_seeds - 1))
        residual = float((weights**2 * mean_square).sum() / (n * n_seeds))
        runs = float(of_source.sum()) - residual if of_source.sum() > residual * (1 + 1e-9) else 0.0
        spread += (of_source**2).sum() / (n_seeds - 1) if runs else 0
    variance = items + runs
    return float(100 * stats.t.ppf(0.975, max(1, variance**2 / spread)) * np.sqrt(variance))


OFF_DIAGONAL = 1 - np.eye(len(LANGUAGES))


def test_intervals_of_roles_and_regimes(grids: duckdb.DuckDBPyConnection, truth: dict[Any, np.ndarray]) -> None:
    d = _differences(truth, None)
    rows = {row["entity"]: row for row in _rows(
        grids, "from rpt_roles where study = 'plain' and scope = 'all' and axis = 'language'"
    )}  # fmt: skip
    for i, language in enumerate(LANGUAGES):
        for role, weights in (("donor", OFF_DIAGONAL / 7 * (np.arange(8) == i)[:, None]),
                              ("recipient", OFF_DIAGONAL / 7 * (np.arange(8) == i)[None])):  # fmt: skip
            row = rows[language]
            mean = 100 * (weights * d.mean(axis=(2, 3))).sum()
            assert row[f"{role}_pp"] == pytest.approx(mean)
            half = _half_width(d, weights)
            assert row[f"{role}_ci_low"] == pytest.approx(mean - half, rel=1e-4)
            assert row[f"{role}_ci_high"] == pytest.approx(mean + half, rel=1e-4)
    for regime, weights in (("MT-CL", OFF_DIAGONAL / 56), ("MT-ML", np.eye(8) / 8)):
        (row,) = _rows(grids, f"from rpt_regimes where study = 'plain' and scope = 'all' and regime = '{regime}'")
        half = _half_width(d, weights)
        assert (row["ci_high"] - row["ci_low"]) / 2 == pytest.approx(half, rel=1e-4)
        # Joint drawing matters: translations move together.
        (alone,) = _rows(
            grids, f"from rpt_regimes where study = 'untranslated' and scope = 'all' and regime = '{regime}'"
        )
        assert alone["mean_pp"] == pytest.approx(row["mean_pp"])
        assert alone["ci_high"] - alone["ci_low"] < 0.8 * (row["ci_high"] - row["ci_low"])


def test_the_interval_of_a_mean_of_one_cell_is_the_cells_error(grids: duckdb.DuckDBPyConnection) -> None:
    raw = RawRows()
    rng = np.random.default_rng(11)
    _add_cells(raw, "s", rng.random(40) < 0.5, [rng.random((3, 40)) < rng.random((3, 1))])
    raw.task("t")
    connection = _derived(raw, "int_mean_errors", "fct_transfer")
    ((error,),) = connection.execute("select distinct round(standard_error, 9) from int_mean_errors").fetchall()
    assert connection.execute("select delta_se from fct_transfer").fetchall()[0][0] == pytest.approx(error)


def test_donors_in_the_top_quarter(grids: duckdb.DuckDBPyConnection, truth: dict[Any, np.ndarray]) -> None:
    d = _differences(truth, None)
    rng = np.random.default_rng(12)
    by_item = (OFF_DIAGONAL[:, :, None] * d.mean(axis=2)).sum(axis=1) / 7
    drawn = rng.multinomial(N_ITEMS - 1, np.full(N_ITEMS, 1 / N_ITEMS), 4_000) / (N_ITEMS - 1)
    replicates = 100 * drawn @ by_item.T
    errors = dict(
        grids.execute(
            "select entity, seed_se from int_mean_errors"
            " where study = 'plain' and scope = 'all' and axis = 'language' and role = 'donor'"
        ).fetchall()
    )
    replicates += rng.standard_normal(replicates.shape) * [errors[language] for language in LANGUAGES]
    expected = (stats.rankdata(-replicates, axis=1, method="min") <= 2).mean(axis=0)
    rows = _rows(grids, "from rpt_roles where study = 'plain' and scope = 'all' and axis = 'language' order by entity")
    assert [row["p_top"] for row in rows] == pytest.approx(expected.tolist(), abs=0.06)
    assert sum(row["p_top"] for row in rows) == pytest.approx(2, abs=0.05)
    assert [row["entity"] for row in rows if row["is_hub"]] == ["b"]
    assert all(row["is_hub"] is None for row in _rows(grids, "from rpt_roles where study = 'bold'"))


def _flipped(d: np.ndarray, threshold: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Of each target: p of its share of harms, and that share."""
    by_item = d.mean(axis=2)
    keep = OFF_DIAGONAL.astype(bool)

    def statistic(deltas: np.ndarray) -> np.ndarray:  # share of harms, then the mean: one number in their order
        harms = np.where(keep, deltas <= -threshold + 1e-9, False).sum(axis=-2) / 7
        return harms - np.where(keep, deltas, 0).sum(axis=-2) / 7 / 1e6

    signs = rng.choice([-1, 1], (6_000, N_ITEMS))
    null = statistic(100 * np.einsum("ri,sti->rst", signs, by_item) / N_ITEMS)
    seen = statistic(100 * by_item.mean(axis=2))
    return (null >= seen - 1e-12).mean(axis=0), np.round(seen, 3)


@pytest.mark.parametrize(("study", "threshold"), [("plain", 1.0), ("bold", 20.0)])
def test_harms_of_recipients_against_random_signs(
    grids: duckdb.DuckDBPyConnection, truth: dict[Any, np.ndarray], study: str, threshold: float
) -> None:
    expected, shares = _flipped(_differences(truth, None), threshold, np.random.default_rng(13))
    rows = _rows(
        grids,
        f"from int_recipient_harms where study = '{study}' and scope = 'all' and axis = 'language' order by entity",
    )
    assert [row["harm_share"] for row in rows] == pytest.approx(shares.tolist(), abs=1e-3)
    assert [row["p_value"] for row in rows] == pytest.approx(expected.tolist(), abs=0.05)
    holm = multipletests([row["p_value"] for row in rows], method="holm")[1]
    assert [row["holm_p_value"] for row in rows] == pytest.approx(holm.tolist())
    verdicts = {row["entity"]: row["is_brittle"] for row in _rows(
        grids, f"from rpt_roles where study = '{study}' and scope = 'all' and axis = 'language'"
    )}  # fmt: skip
    assert verdicts == {language: language == "c" if study == "plain" else None for language in LANGUAGES}


def test_renaming_languages_renames_roles(grids: duckdb.DuckDBPyConnection) -> None:
    names = ("donor_pp", "donor_ci_low", "donor_ci_high", "donor_rank", "recipient_pp", "recipient_ci_low",
             "recipient_rank", "placebo_pp", "is_hub", "is_brittle", "n_cells")  # fmt: skip
    found = {
        (row["study"], row["axis"], row["entity"][-1]): row
        for row in _rows(grids, "from rpt_roles where scope = 'all' and study in ('plain', 'renamed')")
    }
    assert len(found) == 2 * (8 + 8)
    for (study, axis, language), row in found.items():
        if study == "plain":
            other = found["renamed", axis, "hgfedcba"[LANGUAGES.index(language)]]
            for name in names:
                assert other[name] == (pytest.approx(row[name]) if isinstance(row[name], float) else row[name])
            assert other["p_top"] == pytest.approx(row["p_top"], abs=0.05)  # runs are drawn by name


def test_random_signs_are_bits_of_a_stable_digest(grids: duckdb.DuckDBPyConnection) -> None:
    rows = _rows(grids, f"from int_random_signs where target_task = 't' and n_parallels = {N_ITEMS}")
    assert len(rows) == 500

    def bit(item: int, number: int) -> int:
        text = f"signs/t/{N_ITEMS}/{item}/{(number - 1) // 64}"
        low = int.from_bytes(hashlib.md5(text.encode()).digest()[8:], "little")
        return low >> (number - 1) % 64 & 1

    for row in rows[::50]:
        assert [sign > 0 for sign in row["signs"]] == [bit(item, row["sign_number"]) for item in range(1, N_ITEMS + 1)]
    signs = np.array([row["signs"] for row in rows])
    assert abs(signs.mean()) < 0.03
    assert abs(np.corrcoef(signs.T) - np.eye(N_ITEMS)).max() < 0.2


def test_more_targets_get_more_signs() -> None:
    raw = RawRows()
    raw.study("s")
    raw.task("t")
    for number in range(51):
        for source in (None, ("u", "de")):
            raw.scores(
                "s", model="m@1", source=source, seed=1 if source else None, target=("t", f"l{number}"),
                correct=[True, False], parallel_ids=["1", "2"],
            )  # fmt: skip
    connection = _derived(raw, "int_random_signs")
    assert connection.execute("select n_signs from int_sign_designs").fetchall() == [(1000,)]
    assert connection.execute("select count(*), max(sign_number) from int_random_signs").fetchall() == [(1000, 1000)]
