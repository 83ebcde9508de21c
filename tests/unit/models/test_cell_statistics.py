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
from scipy import special, stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

from tests.helpers.derived import add_cells, as_rows, derived, transfer_cells
from tests.helpers.luck import Cell, error_of_cell, luck_of_runs
from tests.helpers.warehouse_fixture import RawRows, rendered

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


@given(st.floats(0, 1e4), st.floats(0.7, 380), st.floats(0.35, 380))
@settings(max_examples=60, deadline=None)
def test_upper_tail_is_fishers(f: float, degrees: float, other_degrees: float) -> None:
    sql = "select {{ upper_tail_of_f('f', 'd', 'e') }} from (select $1 as f, $2 as d, $3 as e)"
    found = duckdb.execute(rendered(sql), [f, degrees, other_degrees]).fetchone()
    assert found == pytest.approx((stats.f.sf(f, degrees, other_degrees),), abs=1e-3)


@given(st.floats(1e-3, 1e3), st.floats(1e-5, 1e5))
@settings(max_examples=40, deadline=None)
def test_polygammas_are_scipys(x: float, y: float) -> None:
    sql = "select {{ digamma('x') }}, {{ trigamma('x') }}, {{ trigamma_inverse('y') }} from (select $1 as x, $2 as y)"
    found = duckdb.execute(rendered(sql), [x, y]).fetchall()[0]
    assert found[0] == pytest.approx(special.digamma(x), rel=1e-8, abs=1e-8)
    assert found[1] == pytest.approx(special.polygamma(1, x), rel=1e-8)
    assert special.polygamma(1, found[2]) == pytest.approx(y, rel=1e-6)


def _cells(before: np.ndarray, after: np.ndarray) -> list[Cell]:
    """Cells of `add_cells`: each source has one, on one target."""
    return [Cell(source, source, ("t", "en"), before, right) for source, right in enumerate(after)]


def _sign_test(d: np.ndarray) -> float:
    up, down = int((d > 0).sum()), int((d < 0).sum())
    return float(stats.binomtest(min(up, down), up + down).pvalue) if up + down else 1.0


@given(SEED)
@settings(max_examples=8, deadline=None)
def test_errors_are_of_items_and_of_moderated_luck(seed: int) -> None:
    rng = np.random.default_rng(seed)
    raw, expected = RawRows(), []
    for number in range(3):
        n = rng.integers(8, 120)
        n_seeds = rng.integers(1, 5, 6) if number else np.ones(6, int)
        before = rng.random(n) < rng.uniform(0.2, 0.8)
        luck = rng.choice([0.02, 0.3], 6)
        after = [
            np.where(rng.random((s, n)) < np.clip(0.3 + rng.normal(0, spread, (s, 1)), 0.02, 0.98), ~before, before)
            for s, spread in zip(n_seeds, luck, strict=True)
        ]
        add_cells(raw, f"study{number}", before, after)
        cells = _cells(before, after)
        found = luck_of_runs(cells)[0] if max(n_seeds) > 1 else {}
        for cell in cells:
            error = error_of_cell(cell, found.get(cell.source))
            if not found:
                error["p_value"] = _sign_test(cell.d.mean(axis=0))
            expected.append(error | {"error_of": "tuning" if found else "this run"})
    for row, error in zip(transfer_cells(raw), expected, strict=True):
        assert row["error_of"] == error.pop("error_of")
        for name, value in error.items():
            assert row[name] == pytest.approx(value, rel=2e-4, abs=1e-7 if name == "p_value" else 1e-3), name


def test_luck_of_several_targets_is_pooled_as_far_as_they_are_independent() -> None:
    rng = np.random.default_rng(3)
    raw, cells, n = RawRows(), [], 60
    raw.study("s")
    for task in ("t", "u"):
        raw.task(task)
        for language in ("en", "fi", "fr"):
            before = rng.random(n) < 0.6
            keys = {"model": "m@1", "target": (task, language)}
            raw.scores("s", correct=before.tolist(), **keys)
            for source, n_seeds in (("a", 3), ("b", 2), ("c", 2), ("d", 1)):
                right = rng.random((n_seeds, n)) < 0.6 + rng.normal(0, 0.15, (n_seeds, 1))
                for number, answers in enumerate(right):
                    raw.scores("s", source=("v", source), seed=number, correct=answers.tolist(), **keys)
                cells.append(Cell(source, source, (task, language), before, right))
    connection = derived(raw, "int_run_luck", "fct_transfer")
    found, sharing = luck_of_runs(cells)
    (row,) = as_rows(connection, "from int_luck_sharing where outcome = 'accuracy'")
    told = (sharing.correlation, sharing.of_all, sharing.of_task, sharing.of_language)
    assert [row[name] for name in ("correlation", "of_all", "of_task", "of_language")] == pytest.approx(told)
    for row in as_rows(connection, "from int_run_luck where outcome = 'accuracy'"):
        luck = found[row["source_language"]]
        assert (row["luck_variance"], row["luck_and_noise"]) == pytest.approx((luck.variance, luck.with_noise))
        assert row["degrees_of_freedom"] == pytest.approx(luck.degrees)
    rows = {(row["source_language"], row["target_task"], row["target_language"]): row
            for row in as_rows(connection, "from fct_transfer")}  # fmt: skip
    for cell in cells:
        for name, value in error_of_cell(cell, found[cell.source]).items():
            assert rows[cell.source, *cell.target][name] == pytest.approx(value, rel=2e-4, abs=1e-3)


def test_noise_of_seeds_is_that_of_statsmodels() -> None:
    rng = np.random.default_rng(5)
    before, after = rng.random(30) < 0.5, rng.random((4, 30)) < 0.6
    raw = RawRows()
    add_cells(raw, "s", before, [after])
    raw.task("t")
    (row,) = as_rows(derived(raw, "int_cell_mean_squares"), "from int_cell_mean_squares")
    d = after.astype(float) - before
    long = pd.DataFrame([{"d": d[s, i], "item": i, "seed": s} for s in range(4) for i in range(30)])
    assert row["seed_noise"] == pytest.approx(smf.ols("d ~ C(item) + C(seed)", long).fit().mse_resid / 30)


def test_questions_on_one_passage_are_drawn_together() -> None:
    rng = np.random.default_rng(15)
    n, passages = 90, np.arange(90) // 3
    before = np.zeros(n, bool)
    after = rng.random((1, 30)).repeat(3, axis=1) < 0.4  # all three questions of a passage fall alike
    raw = RawRows()
    raw.task("t")
    for study, ids in (("apart", [f"p{i}" for i in range(n)]), ("together", [f"p{i}" for i in passages])):
        raw.study(study)
        keys = {"model": "m@1", "variant": study, "target": ("t", "en"), "parallel_ids": ids, "prompt": f"{study}@1"}
        raw.scores(study, correct=before.tolist(), **keys)
        raw.scores(study, source=("u", "de"), seed=1, correct=after[0].tolist(), **keys)
    rows = {row["study"]: row for row in as_rows(derived(raw, "fct_transfer"), "from fct_transfer")}
    assert rows["apart"]["delta_pp"] == rows["together"]["delta_pp"]
    means = after[0].reshape(30, 3).mean(axis=1)
    assert rows["together"]["delta_se"] == pytest.approx(100 * stats.sem(means))
    assert rows["together"]["p_value"] > rows["apart"]["p_value"]


def test_p_of_one_seed_is_mcnemars() -> None:
    rng = np.random.default_rng(6)
    before = rng.random(200) < 0.5
    once = rng.random((5, 1, 200)) < 0.6
    raw = RawRows()
    add_cells(raw, "once", before, list(once))
    for row, right in zip(transfer_cells(raw), once, strict=True):
        table = [[int((before & (right[0] == r)).sum()), int((~before & (right[0] == r)).sum())] for r in (True, False)]
        assert row["p_value"] == pytest.approx(mcnemar(table, exact=True).pvalue)
        assert row["error_of"] == "this run"


@pytest.mark.parametrize(("shift", "threshold", "expected"), [
    (-0.4, 1.0, "harm"), (0.4, 1.0, "gain"), (0.0, 1.0, "undecided"), (0.0, 30.0, "none"), (-0.4, 45.0, "none"),
])  # fmt: skip
def test_verdicts(shift: float, threshold: float, expected: str) -> None:
    rng = np.random.default_rng(16)
    n = 400
    before = rng.random(n) < 0.5
    flip = rng.random((2, n)) < (abs(shift) * 2 or 0.4)
    after = np.where(flip, shift > 0 if shift else ~before, before)
    raw = RawRows()
    add_cells(raw, "s", before, [after, np.stack([before, before])])
    raw.rows["studies"][0]["config"] = {"study": "s", "harm_threshold_pp": threshold}
    row = transfer_cells(raw)[0]
    assert row["verdict"] == expected
    assert (row["q_harm"] <= 0.05) == (expected == "harm")


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
    cell = Cell("de", "de", ("t", "en"), before[:25], after[:, :25])
    for name, value in error_of_cell(cell, luck_of_runs([cell])[0]["de"]).items():
        assert row[name] == pytest.approx(value, rel=2e-4), name


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


def test_harms_by_chance_are_those_of_random_signs_and_luck() -> None:
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
    cells = _cells(before, after)
    luck, _ = luck_of_runs(cells)
    for row, cell in zip(rows, cells, strict=True):
        runs = np.sqrt(cell.scale * luck[cell.source].variance / len(cell.after))
        totals = signs @ cell.d.sum(axis=0) + runs * cell.after.size * rng.standard_normal(len(signs))
        flipped = 100 * np.round(totals) / cell.after.size
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


@pytest.mark.parametrize("kept", [0.0, 0.7])
def test_one_run_of_an_import_is_judged_by_its_scores_errors(kept: float) -> None:
    """Planted: half of the sources gain 15 points, half nothing. `kept`: share of answers that are as before."""
    rng, n, raw = np.random.default_rng(3), 400, RawRows()
    raw.study("published", origin="somebody")
    before = rng.random(n) < 0.5
    keys = {"model": "m@1", "target_task": "u", "target_language": "en", "metric": "acc", "delta_unit": "pp"}
    keys |= {"higher_is_better": True, "n_items": n, "n_seeds": 1, "job_key": raw.job("published", "import")}

    def published(right: np.ndarray, **source: str) -> None:
        error = float(right.std(ddof=1)) / n**0.5
        raw.add("aggregate_scores", **keys, **source, score=float(right.mean()), score_stderr=error)

    published(before)
    after = []
    for number in range(300):
        base = np.where(rng.random(n) < kept, before, rng.random(n) < 0.5)
        after.append(base | (rng.random(n) < 0.3) if number % 2 else base)
        published(after[-1], source_task="t", source_language=f"s{number:03d}")
    rows = as_rows(derived(raw, "fct_transfer"), "from fct_transfer order by source_language")
    for row, right in list(zip(rows, after, strict=True))[:20]:
        means = CompareMeans(DescrStatsW(right.astype(float)), DescrStatsW(before.astype(float)))
        low, high = means.zconfint_diff(usevar="unequal")
        assert (row["ci_low"], row["ci_high"]) == pytest.approx((100 * low, 100 * high), rel=1e-6)
        assert row["error_of"] == "this run"
    found = [float(np.mean([row["p_value"] <= 0.05 for row in rows[half::2]])) for half in (0, 1)]
    assert found[0] <= 0.05 + 0.03 and found[1] >= 0.95
    truth = [100 * ((0.5 - before.mean()) * (1 - kept))] * 150  # of sources that gain nothing, on these items
    covered = [row["ci_low"] <= expected <= row["ci_high"] for row, expected in zip(rows[::2], truth, strict=True)]
    assert np.mean(covered) >= 0.95
