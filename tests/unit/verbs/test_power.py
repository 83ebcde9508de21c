"""What `transfer power` states: against simulated tests, and from what a warehouse has measured."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower

from compute.errors import UserError
from compute.store.warehouse import Warehouse
from compute.study.file import read_study
from compute.study.schema import Study
from compute.verbs import sensitivity
from compute.verbs.foresight import DEFAULTS, foresee, measured, planned_design
from compute.verbs.sensitivity import Design, smallest_of_cell, smallest_of_regime
from tests.helpers.warehouse_fixture import RawRows, derive
from tests.truth.population import Design as PopulationDesign
from tests.truth.population import Plant, baseline_and_runs
from tests.truth.power import OF_CHANGE, components
from tests.truth.warehouse import PlantedWarehouse
from tests.truth.worlds import WORLDS

TINY = Path(__file__).parents[2] / "studies" / "tiny.yml"
CELLS = tuple((task, language) for task in ("add", "sort") for language in "abcd")
DESIGN = Design(2, CELLS[:3], CELLS, dict.fromkeys(CELLS, 200), 3)


def _level(share: float) -> float:
    """What q <= .05 asks of p among many tests of which `share` change, 80 % of these found: the threshold tends to u
    with u / q = the share of tests with p <= u (Genovese and Wasserman 2002, J. R. Statist. Soc. B 64)."""
    return 0.05 * share * 0.8 / (1 - 0.05 * (1 - share))


def test_a_cell_without_luck_is_a_paired_t_test() -> None:
    """Of items alone, in one seed, and nearly so where luck is 0: statsmodels' power of a t test of n differences."""
    still = replace(DEFAULTS, luck=0.0, own=0.0, of_change=0.0)
    found = smallest_of_cell(still, replace(DESIGN, seeds=1), 200, share=0.3)
    effect = TTestPower().solve_power(nobs=200, alpha=_level(0.3), power=0.8)
    assert found == pytest.approx(effect * np.sqrt(0.05), rel=0.06)
    assert smallest_of_cell(still, DESIGN, 200, share=0.3) == pytest.approx(found, rel=0.02)


def test_the_level_is_that_of_benjamini_and_hochberg() -> None:
    """Of many tests, 30 % changed so that 80 % of these pass, the threshold on p tends to what is stated."""
    rng = np.random.default_rng(3)
    level = _level(0.3)
    effect = stats.norm.isf(level / 2) + stats.norm.ppf(0.8)
    changed = rng.random(40_000) < 0.3
    p = 2 * stats.norm.sf(np.abs(rng.normal(size=40_000) + effect * changed))
    passed = multipletests(p, method="fdr_bh")[0]
    assert passed[changed].mean() == pytest.approx(0.8, abs=0.02)
    assert p[passed].max() == pytest.approx(level, rel=0.05)


def test_more_seeds_and_more_items_show_less() -> None:
    for one, other in ((DESIGN, replace(DESIGN, seeds=6)), (DESIGN, DESIGN.scaled(3, 4))):
        n, m = (design.items["add", "a"] for design in (one, other))
        assert smallest_of_cell(DEFAULTS, one, n, 0.3) > smallest_of_cell(DEFAULTS, other, m, 0.3)
        for regime in ("MT-CL", "CT-ML", "CT-CL", "transfer"):
            assert smallest_of_regime(DEFAULTS, one, regime) > smallest_of_regime(DEFAULTS, other, regime)
    assert smallest_of_regime(DEFAULTS, replace(DESIGN, targets=CELLS[:1], sources=CELLS[:1]), "transfer") is None
    # Luck has a floor that items do not lower.
    assert smallest_of_cell(DEFAULTS, DESIGN.scaled(3, 1e4), 2_000_000, 0.3) > 0.05
    assert smallest_of_cell(replace(DEFAULTS, luck=1.0), DESIGN, 200, 0.3) is None


def test_a_regime_is_the_sum_of_its_covariances() -> None:
    """The variance of a mean over cells, item by item and run by run, by brute force over all pairs of cells."""
    c = replace(components(), of_all=0.4, of_task=0.2, of_language=0.1)
    design = replace(DESIGN, sources=(("add", "a"), ("sort", "b")))
    pairs = design.pairs("transfer")
    cells = [(m, s, t) for m in range(2) for s, t in pairs]
    items = runs = 0.0
    for m, s, t in cells:
        for k, r, u in cells:
            if t[0] == u[0]:
                same = (m, s, t) == (k, r, u)
                shared = c.same_target if (m, t) == (k, u) else c.same_item
                items += (c.of_items(3).mean() if same else shared) / 200
            if (m, s) == (k, r):
                part = 1.0 if t == u else c.of_all + c.of_task * (t[0] == u[0]) + c.of_language * (t[1] == u[1])
                runs += part * c.luck * c.luck_scale.mean() / 3
    error = sensitivity._regime_error(c, design, pairs)
    assert error.variance[0] == pytest.approx((items + runs) / len(cells) ** 2)


def test_a_change_spreads_the_items_as_stated() -> None:
    """In the population of the worlds, what a change of 8 pp adds to the variance between items, over its square."""
    cells = (("else", "a"), ("else", "b"), ("else", "c"))
    design = PopulationDesign(cells, tuple(("add", f"l{i}") for i in range(6)), 1, 4_000, 4)
    spreads = []
    for change in (0.0, 8.0):
        plant = Plant(design, np.linspace(0.35, 0.75, 6)[None], np.full(design.shape, change))
        base, runs = baseline_and_runs(plant, np.random.default_rng(1))
        d = np.array([run.right[0] for run in runs]).astype(float) - base[0]
        own = d.var(axis=0, ddof=1).mean()
        spreads.append(d.mean(axis=0).var(axis=-1).mean() - own / 4)
    assert (spreads[1] - spreads[0]) / 0.08**2 == pytest.approx(OF_CHANGE, abs=0.5)


def test_a_study_before_anything_is_computed(tmp_path: Path) -> None:
    study = read_study(TINY)
    told = foresee(study, Warehouse(tmp_path / "none.duckdb", 1, print), share=0.5)
    assert "stated, as there is no" in told and "50% of them" in told and "with 1 seed" in told
    rows = [line.split() for line in told.splitlines() if " x 20" in line or " x 40" in line]
    assert rows[0][:3] == ["1", "x", "20"]
    design = planned_design(study)
    assert (design.n_models, design.seeds, design.placebo_seeds, set(design.items.values())) == (1, 1, 1, {20})
    expected = 100 * smallest_of_cell(DEFAULTS, design, 20, 0.5)
    assert rows[0][3] == f"{expected:.1f}"


@pytest.mark.parametrize("share", [0.0, -1.0, 1.5, float("nan")])
def test_a_share_is_a_part(share: float, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="expected a part"):
        foresee(read_study(TINY), Warehouse(tmp_path / "none.duckdb", 1, print), share)


def test_what_was_measured_before_is_what_the_population_is(tmp_path: Path) -> None:
    """Components of a study that changed nothing are those of the population, and so is what follows from them."""
    plant = WORLDS["nothing, 3 seeds"]
    planted = PlantedWarehouse()
    for draw in range(6):
        rng = np.random.default_rng(draw)
        planted.add(f"earlier {draw}", plant.name, plant.draw(rng), rng)
    path = tmp_path / "w.duckdb"
    planted.write(path)
    _built(path)
    found, told = measured(Warehouse(path, 1, print), ["add"])
    population = components()
    assert told.startswith("measured on 216 cells of earlier 0, earlier 1, earlier 2 and 3 more")
    assert found.own == pytest.approx(population.own, rel=0.1)
    assert found.of_change >= 0
    assert found.shared.mean() == pytest.approx(population.shared.mean(), rel=0.15)
    assert found.luck == pytest.approx(population.luck, rel=0.35)
    assert found.same_target == pytest.approx(population.same_target, rel=0.2)
    assert smallest_of_cell(found, DESIGN, 200, 0.3) == pytest.approx(
        smallest_of_cell(population, DESIGN, 200, 0.3), rel=0.12
    )
    assert measured(Warehouse(path, 1, print), ["unheard of"])[0].own == found.own


GIVEN = """
study: theirs
models:
  - name: one
    checkpoint: hub/one
    sources: [{one}]
  - name: two
    checkpoint: hub/two
    sources: [{two}]
  - {{name: bare, checkpoint: hub/bare}}
targets: {{tasks: [parity], languages: [en, de, fr]}}
items: {{train: 10, dev: 0, test: 100}}
"""


def given(path: Path, one: str, two: str) -> Study:
    """Read a study that tunes nothing itself, its two models with these sources."""
    path.write_text(GIVEN.format(one=one, two=two))
    return read_study(path)


def test_sources_that_exist_are_reckoned_with_as_tuned_ones_of_their_seeds(tmp_path: Path) -> None:
    """Two tunings of a cell under each of two models show what four models tuned once on it would."""
    twice = ", ".join(f"{{name: {name}, adapter: a, task: parity, language: de}}" for name in ("mine", "theirs"))
    study = given(tmp_path / "a.yml", twice, twice)
    design = planned_design(study)
    targets = tuple(("parity", language) for language in ("en", "de", "fr"))
    assert design == Design(4, (("parity", "de"),), targets, dict.fromkeys(targets, 100), 1)
    told = foresee(study, Warehouse(tmp_path / "none.duckdb"), 0.3)
    rows = [line.split() for line in told.splitlines() if " x " in line and line[0].isdigit()]
    # More items, but no more seeds: what exists has those that it has.
    assert [row[:3] for row in rows] == [["1", "x", n] for n in ("100", "200", "400")]
    change = smallest_of_cell(DEFAULTS, design, 100, 0.3)
    assert change is not None and rows[0][3] == f"{100 * change:.1f}"


def test_sources_of_several_or_unknown_languages_have_no_regime(tmp_path: Path) -> None:
    mixed = (
        "{name: chat, adapter: a, seed: 1}, {name: chat, adapter: b, seed: 2}, {name: deep, adapter: c, task: parity}"
    )
    study = given(tmp_path / "a.yml", mixed.replace("task: parity", "task: parity, language: mul"), mixed.replace(
        "task: parity", "task: parity, language: mul"))  # fmt: skip
    told = foresee(study, Warehouse(tmp_path / "none.duckdb"), 0.3)
    assert "a cell" in told and "transfer" not in told.splitlines()[3]
    assert "given sources have 1 to 2 seeds: all are taken to have the fewest" in told
    assert planned_design(study).seeds == 1


def test_what_cannot_be_told_of_unlike_sources_is_said(tmp_path: Path) -> None:
    mine = "{name: mine, adapter: a, task: parity, language: de}"
    with pytest.raises(UserError, match="'theirs': what its given sources can show cannot be told beforehand"):
        planned_design(given(tmp_path / "a.yml", mine, mine.replace("de", "fr")))
    with pytest.raises(UserError, match="tunes on nothing"):
        planned_design(given(tmp_path / "a.yml", "", ""))


def test_a_warehouse_that_tells_nothing_is_said(tmp_path: Path) -> None:
    raw = RawRows()
    raw.study("s")
    raw.write(tmp_path / "w.duckdb")
    found, told = measured(Warehouse(tmp_path / "w.duckdb", 1, print), ["add"])
    assert found is DEFAULTS and "has not been built" in told
    _built(tmp_path / "w.duckdb")
    found, told = measured(Warehouse(tmp_path / "w.duckdb", 1, print), ["add"])
    assert found is DEFAULTS and "no study of" in told


def _built(path: Path) -> None:
    """What `measured` reads, in its schema, without dbt."""
    import duckdb

    with duckdb.connect(str(path)) as connection:
        connection.execute("create schema intermediate; set schema = 'intermediate'")
        derive(
            connection, "int_transfer_cells", "int_run_luck", "int_luck_sharing", "int_cell_mean_squares",
            "int_computed_cells",
        )  # fmt: skip
