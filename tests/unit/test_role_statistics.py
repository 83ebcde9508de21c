"""Intervals, hubs and brittle recipients against NumPy, and by the laws they must keep."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import duckdb
import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from tests.unit.derived import add_cells, as_rows, derived
from tests.warehouse_fixture import RawRows

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
    _add_grid(raw, "bold", answers, before, harm_threshold_pp=20.0)
    _add_grid(raw, "without placebo", answers, before, placebo=False)
    return derived(raw, "rpt_roles", "rpt_regimes", "int_recipient_harms", "int_mean_errors")


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
    rows = {row["entity"]: row for row in as_rows(
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
        (row,) = as_rows(grids, f"from rpt_regimes where study = 'plain' and scope = 'all' and regime = '{regime}'")
        half = _half_width(d, weights)
        assert (row["ci_high"] - row["ci_low"]) / 2 == pytest.approx(half, rel=1e-4)
        # Joint drawing matters: translations move together.
        (alone,) = as_rows(
            grids, f"from rpt_regimes where study = 'untranslated' and scope = 'all' and regime = '{regime}'"
        )
        assert alone["mean_pp"] == pytest.approx(row["mean_pp"])
        assert alone["ci_high"] - alone["ci_low"] < 0.8 * (row["ci_high"] - row["ci_low"])


def test_the_interval_of_a_mean_of_one_cell_is_the_cells_error(grids: duckdb.DuckDBPyConnection) -> None:
    raw = RawRows()
    rng = np.random.default_rng(11)
    add_cells(raw, "s", rng.random(40) < 0.5, [rng.random((3, 40)) < rng.random((3, 1))])
    raw.task("t")
    connection = derived(raw, "int_mean_errors", "fct_transfer")
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
    rows = as_rows(
        grids, "from rpt_roles where study = 'plain' and scope = 'all' and axis = 'language' order by entity"
    )
    assert [row["p_top"] for row in rows] == pytest.approx(expected.tolist(), abs=0.06)
    assert sum(row["p_top"] for row in rows) == pytest.approx(2, abs=0.05)
    assert [row["entity"] for row in rows if row["is_hub"]] == ["b"]
    assert all(row["is_hub"] is None for row in as_rows(grids, "from rpt_roles where study = 'without placebo'"))


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
    rows = as_rows(
        grids,
        f"from int_recipient_harms where study = '{study}' and scope = 'all' and axis = 'language' order by entity",
    )
    assert [row["harm_share"] for row in rows] == pytest.approx(shares.tolist(), abs=1e-3)
    assert [row["p_value"] for row in rows] == pytest.approx(expected.tolist(), abs=0.05)
    holm = multipletests([row["p_value"] for row in rows], method="holm")[1]
    assert [row["holm_p_value"] for row in rows] == pytest.approx(holm.tolist())


@pytest.mark.parametrize(("study", "expected"), [("plain", "c"), ("without placebo", None)])
def test_who_is_brittle_is_judged_beside_a_placebo_only(
    grids: duckdb.DuckDBPyConnection, study: str, expected: str | None
) -> None:
    where = f"where study = '{study}' and scope = 'all' and axis = 'language'"
    verdicts = {row["entity"]: row["is_brittle"] for row in as_rows(grids, f"from rpt_roles {where}")}
    assert verdicts == {language: language == expected if expected else None for language in LANGUAGES}
    drawn = as_rows(grids, f"from int_recipient_harms {where} and p_value is not null")
    assert len(drawn) == (len(LANGUAGES) if expected else 0)


def test_renaming_languages_renames_roles(grids: duckdb.DuckDBPyConnection) -> None:
    names = ("donor_pp", "donor_ci_low", "donor_ci_high", "donor_rank", "recipient_pp", "recipient_ci_low",
             "recipient_rank", "placebo_pp", "is_hub", "is_brittle", "n_cells")  # fmt: skip
    found = {
        (row["study"], row["axis"], row["entity"][-1]): row
        for row in as_rows(grids, "from rpt_roles where scope = 'all' and study in ('plain', 'renamed')")
    }
    assert len(found) == 2 * (8 + 8)
    for (study, axis, language), row in found.items():
        if study == "plain":
            other = found["renamed", axis, "hgfedcba"[LANGUAGES.index(language)]]
            for name in names:
                assert other[name] == (pytest.approx(row[name]) if isinstance(row[name], float) else row[name])
            assert other["p_top"] == pytest.approx(row["p_top"], abs=0.05)  # runs are drawn by name


def test_random_signs_are_bits_of_a_stable_digest(grids: duckdb.DuckDBPyConnection) -> None:
    rows = as_rows(grids, f"from int_random_signs where target_task = 't' and n_parallels = {N_ITEMS}")
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
    connection = derived(raw, "int_random_signs")
    assert connection.execute("select n_signs from int_sign_designs").fetchall() == [(1000,)]
    assert connection.execute("select count(*), max(sign_number) from int_random_signs").fetchall() == [(1000, 1000)]
