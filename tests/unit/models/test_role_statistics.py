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

from tests.helpers.derived import add_cells, as_rows, derived
from tests.helpers.luck import Cell, half_width, luck_of_runs
from tests.helpers.warehouse_fixture import RawRows
from tests.truth.references import adjusted_effects

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


def _luck_cells(truth: dict[tuple[str | None, str, int, str], np.ndarray], trained: bool) -> dict[Any, Cell]:
    """Cells by (control, source, target): trained ones, or all others."""
    return {
        (control, source, target): Cell(
            source, (control, source), ("t", target), truth[None, "", 0, target],
            np.stack([truth[control, source, seed, target] for seed in ((1,) if control else (1, 2))]),
        )
        for control in (None, "placebo") for source in LANGUAGES for target in LANGUAGES
        if (source == target) == trained
    }  # fmt: skip


def _effect_weights() -> tuple[np.ndarray, np.ndarray]:
    """What each cell [source, target] weighs in each donor's and recipient's effect, by least squares of unit grids."""
    weights = np.zeros((2, 8, 8, 8))
    for s, t in zip(*np.nonzero(OFF_DIAGONAL), strict=True):
        unit = np.zeros((1, 8, 8))
        unit[0, s, t] = 1
        for role, effects in enumerate(adjusted_effects(unit, np.eye(8, dtype=bool))):
            weights[role, :, s, t] = effects
    return weights[0], weights[1]


OFF_DIAGONAL = 1 - np.eye(len(LANGUAGES))


def test_intervals_of_roles_and_regimes(grids: duckdb.DuckDBPyConnection, truth: dict[Any, np.ndarray]) -> None:
    d = _differences(truth, None).mean(axis=(2, 3))
    placebo = _differences(truth, "placebo").mean(axis=(2, 3))
    cells, trained = _luck_cells(truth, trained=False), _luck_cells(truth, trained=True)
    luck, sharing = luck_of_runs(list(cells.values()))

    def expected(weights: np.ndarray, paired: bool = False) -> tuple[float, float]:
        chosen, by = [], []
        for s, t in zip(*np.nonzero(OFF_DIAGONAL), strict=True):
            for control, sign in ((None, 1), *([("placebo", -1)] if paired else [])):
                chosen.append(cells[control, LANGUAGES[s], LANGUAGES[t]])
                by.append(sign * weights[s, t])
        value = 100 * (weights * (d - placebo if paired else d)).sum()
        return value, half_width(chosen, by, luck, sharing)

    rows = {row["entity"]: row for row in as_rows(
        grids, "from rpt_roles where study = 'plain' and scope = 'all' and axis = 'language'"
    )}  # fmt: skip
    donors, recipients = _effect_weights()
    for i, language in enumerate(LANGUAGES):
        row = rows[language]
        for value, low, high, weights, paired in (
            ("donor_pp", "donor_ci_low", "donor_ci_high", OFF_DIAGONAL / 7 * (np.arange(8) == i)[:, None], False),
            ("recipient_pp", "recipient_ci_low", "recipient_ci_high", OFF_DIAGONAL / 7 * (np.arange(8) == i), False),
            ("donor_effect_pp", "donor_effect_low", "donor_effect_high", donors[i], False),
            ("recipient_effect_pp", "recipient_effect_low", "recipient_effect_high", recipients[i], False),
            ("gain_over_placebo_pp", "gain_over_placebo_low", "gain_over_placebo_high", donors[i], True),
        ):
            mean, half = expected(weights, paired)
            assert row[value] == pytest.approx(mean), value
            assert row[low] == pytest.approx(mean - half, rel=2e-4, abs=1e-3), value
            assert row[high] == pytest.approx(mean + half, rel=2e-4, abs=1e-3), value
        assert row["placebo_pp"] == pytest.approx(100 * placebo[i][OFF_DIAGONAL[i] > 0].mean())
    own_luck, _ = luck_of_runs(list(trained.values()))
    own = half_width([trained[None, x, x] for x in LANGUAGES], [1 / 8] * 8, own_luck, sharing)
    for regime, half in (("MT-CL", expected(OFF_DIAGONAL / 56)[1]), ("MT-ML", own)):
        (row,) = as_rows(grids, f"from rpt_regimes where study = 'plain' and scope = 'all' and regime = '{regime}'")
        assert (row["ci_high"] - row["ci_low"]) / 2 == pytest.approx(half, rel=2e-4)
        # Joint drawing matters: translations move together.
        (alone,) = as_rows(
            grids, f"from rpt_regimes where study = 'untranslated' and scope = 'all' and regime = '{regime}'"
        )
        assert alone["mean_pp"] == pytest.approx(row["mean_pp"])
        assert alone["ci_high"] - alone["ci_low"] < 0.9 * (row["ci_high"] - row["ci_low"])


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
    by_item = np.einsum("ast,sti->ai", _effect_weights()[0], d.mean(axis=2))
    drawn = rng.multinomial(N_ITEMS - 1, np.full(N_ITEMS, 1 / N_ITEMS), 4_000) / (N_ITEMS - 1)
    replicates = 100 * drawn @ by_item.T
    errors = dict(
        grids.execute(
            "select entity, run_se from int_mean_errors"
            " where study = 'plain' and scope = 'all' and axis = 'language' and statistic = 'donor effect'"
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


def _exchanged(truth: dict[Any, np.ndarray], threshold: float, rng: np.random.Generator) -> np.ndarray:
    """p of each target's harms beyond its placebo's: items change arms together, runs are drawn normal."""
    cells = _luck_cells(truth, trained=False)
    luck, _ = luck_of_runs(list(cells.values()))
    signs = rng.choice([-1, 1], (6_000, N_ITEMS))

    def depth(delta: np.ndarray) -> np.ndarray:
        return np.maximum(0, -delta - threshold)

    found = []
    for target in LANGUAGES:
        seen = null = 0.0
        for source in LANGUAGES:
            if source == target:
                continue
            arms = [cells[control, source, target] for control in (None, "placebo")]
            means = [100 * arm.d.mean(axis=0) for arm in arms]
            runs = [1e4 * arm.scale * luck[source].variance / len(arm.d) for arm in arms]
            variances = [mean.var(ddof=1) / N_ITEMS + run for mean, run in zip(means, runs, strict=True)]
            part = variances[0] / sum(variances)
            common = (1 - part) * means[0].mean() + part * means[1].mean()
            noise = np.sqrt(sum(runs)) * rng.standard_normal(len(signs))
            difference = signs @ (means[0] - means[1]) / N_ITEMS + noise
            null = null + depth(common + part * difference) - depth(common + (part - 1) * difference)
            seen += depth(means[0].mean()) - depth(means[1].mean())
        found.append(np.mean(null >= seen - 1e-9))
    return np.array(found)


@pytest.mark.parametrize(("study", "threshold"), [("plain", 1.0), ("bold", 20.0)])
def test_harms_beyond_the_placebos_by_exchange_of_arms(
    grids: duckdb.DuckDBPyConnection, truth: dict[Any, np.ndarray], study: str, threshold: float
) -> None:
    rows = as_rows(
        grids,
        f"from int_recipient_harms where study = '{study}' and scope = 'all' and axis = 'language' order by entity",
    )
    expected = _exchanged(truth, threshold, np.random.default_rng(13))
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
    names = ("donor_pp", "donor_ci_low", "donor_effect_pp", "donor_effect_low", "donor_rank", "recipient_pp",
             "recipient_effect_pp", "recipient_rank", "placebo_pp", "is_hub", "is_brittle", "n_cells")  # fmt: skip
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


@pytest.mark.parametrize(("n_targets", "n_signs", "n_tested"), [(51, 1000, 51), (201, 500, 0)])
def test_more_recipients_get_more_signs_and_too_many_no_test(n_targets: int, n_signs: int, n_tested: int) -> None:
    raw = RawRows()
    raw.study("s")
    raw.task("t")
    for number in range(n_targets):
        for source, control in ((None, None), (("u", "de"), None), (("u", "de"), "placebo")):
            raw.scores(
                "s", model="m@1", source=source, control=control, seed=1 if source else None,
                target=("t", f"l{number}"), correct=[True, False], parallel_ids=["1", "2"],
            )  # fmt: skip
    connection = derived(raw, "int_recipient_harms")
    assert connection.execute("select n_signs from int_sign_designs").fetchall() == [(n_signs,)]
    assert connection.execute("select count(*), max(sign_number) from int_random_signs").fetchone() == (n_signs,) * 2
    tested = "select count(*) from int_recipient_harms where scope = 'all' and axis = 'cell'"
    assert connection.execute(tested).fetchone() == (n_tested,)
