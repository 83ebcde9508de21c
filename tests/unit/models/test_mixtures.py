"""What mixtures do beside their parts: against NumPy and SciPy, and by planted truth."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import duckdb
import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from tests.helpers.derived import Row, as_rows
from tests.helpers.luck import Cell, half_width, luck_of_runs
from tests.helpers.warehouse_fixture import derive, rendered
from tests.truth.population import Design, Plant, baseline_and_runs
from tests.truth.warehouse import ManyStudies

PARTS = (("add", "de"), ("add", "fr"), ("sort", "de"))
TARGETS = (("add", "de"), ("add", "en"), ("sort", "de"), ("sort", "en"))
MIXTURE = ("mul", "mul")
DESIGN = Design((*PARTS, MIXTURE), TARGETS, 1, 160, 2)
OTHERS = [target for target in TARGETS if target not in PARTS]


def drawn(effects: Sequence[float], rng: np.random.Generator) -> Plant:
    """Each part alone and the mixture, on every target alike, percentage points."""
    tuned = np.array(effects, dtype=float)[None, :, None] + np.zeros(DESIGN.shape)
    return Plant(DESIGN, rng.uniform(0.4, 0.6, (1, len(TARGETS))), tuned)


def marts(path: Path, plants: Sequence[Plant], doses: Sequence[float], rng: np.random.Generator) -> list[Row]:
    """Rows of rpt_mixtures of a study a plant, beside the answers."""
    many = ManyStudies()
    for number, plant in enumerate(plants):
        study = f"s{number:03d}"
        many.study(study)
        many.raw.mixture(study, "mix", dict(zip(PARTS, doses, strict=True)))
        base, runs = baseline_and_runs(plant, rng)
        for t, target in enumerate(TARGETS):
            many.score(study, base[0, t], model="m0@1", target=target)
            for run in runs:
                for s, source in enumerate(DESIGN.sources):
                    keys = {"source": source, "seed": run.seed} | ({"source_name": "mix"} if source == MIXTURE else {})
                    many.score(study, run.right[0, s, t], model="m0@1", target=target, **keys)
    many.write(path)
    with duckdb.connect(str(path)) as connection:
        derive(connection, "rpt_mixtures", "fct_transfer", "rpt_regimes", "rpt_task_effects", "rpt_items")
        rows = as_rows(connection, "from rpt_mixtures where scope = 'm0@1' order by all")
        # What pools sources is of the grid's alone.
        (found,) = connection.execute(
            "select sum(n_cells) from rpt_regimes where regime = 'transfer' and scope = 'all'"
        ).fetchall()
        grid = sum(source != target for source in PARTS for target in TARGETS)
        assert found == (grid * len(plants),)
        assert connection.execute("select max(n_adapters) from rpt_items").fetchone() == (len(PARTS),)
        regimes = connection.execute(
            "select distinct target_task || '/' || target_language, regime from fct_transfer where source = 'mix'"
        ).fetchall()
        assert dict(regimes) == {"add/de": "MT-ML", "add/en": "MT-CL", "sort/de": "MT-ML", "sort/en": "MT-CL"}
    return rows


def test_rows_are_those_of_numpy(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    plant, doses = drawn((4, 1, 0, 6), rng), (0.5, 0.3, 1.0)
    state = rng.bit_generator.state
    rows = marts(tmp_path / "w.duckdb", [plant], doses, rng)
    rng.bit_generator.state = state
    base, runs = baseline_and_runs(plant, rng)
    cells = {
        (source, target): Cell(
            source, source, target, base[0, t], np.array([run.right[0, s, t] for run in runs])
        )
        for s, source in enumerate(DESIGN.sources) for t, target in enumerate(TARGETS)
    }  # fmt: skip
    trained = {(s, t) for s in DESIGN.sources for t in TARGETS if s == t or (s == MIXTURE and t in PARTS)}
    luck = {own: luck_of_runs([c for key, c in cells.items() if (key in trained) == own]) for own in (True, False)}
    assert len(rows) == len(TARGETS) + 2
    for row in rows:
        whole = row["target_task"] is None
        targets = [(row["target_task"], row["target_language"])]
        if whole:
            targets = [t for t in TARGETS if (t in PARTS) == row["is_trained_cell"]]
        means = [np.mean([100 * cells[s, t].d.mean() for t in targets]) for s in DESIGN.sources]
        *alone, mixed = means
        assert row["delta_pp"] == pytest.approx(mixed)
        assert row["best_part"] == "/".join(PARTS[int(np.argmax(alone))])
        assert (row["best_part_pp"], row["added_pp"]) == pytest.approx((max(alone), float(np.dot(doses, alone))))
        if row["is_trained_cell"]:
            continue
        sides = []
        for weights in (*np.eye(len(PARTS)), np.array(doses)):
            chosen = [(s, t) for s in DESIGN.sources for t in targets]
            of = dict(zip(DESIGN.sources, (*-weights, 1.0), strict=True))
            named = [(cells[key], of[key[0]] / len(targets)) for key in chosen if of[key[0]]]
            sides.append(half_width(*zip(*named, strict=True), luck[False][0], luck[False][1]))
        *of_parts, of_sum = sides
        assert row["over_added_high"] - row["over_added_pp"] == pytest.approx(of_sum, rel=2e-4)
        lows = [mixed - part - side for part, side in zip(alone, of_parts, strict=True)]
        assert row["over_best_low"] == pytest.approx(min(lows), rel=2e-4, abs=1e-3)
        assert min(lows) < row["over_best_pp"] == pytest.approx(mixed - max(alone)) and row["over_best_high"] > 0
    of_targets = [row for row in rows if row["target_task"]]
    for name in ("best", "added"):
        q = multipletests([row[f"p_over_{name}"] for row in of_targets], method="fdr_bh")[1]
        assert [row[f"q_over_{name}"] for row in of_targets] == pytest.approx(q.tolist())


@pytest.mark.parametrize("degrees", [1, 1.3, 2, 3, 5, 8, 30, 400, 1e6])
def test_quantiles_for_several_tests_are_students_or_wider(degrees: float) -> None:
    sql = "select {{ t_quantile_of('asked.d', 'asked.n') }} from (select ? as d, ? as n) as asked"
    for tests, most in ((1, 1e-4), (2, 0.01), (5, 0.03), (10, 0.05)):
        (found,) = duckdb.execute(rendered(sql), [degrees, tests]).fetchall()[0]
        exact = stats.t.ppf(1 - 0.025 / tests, degrees)
        assert exact * (1 - 1e-4) <= found <= exact * (1 + most)


def test_a_mixture_that_beats_its_parts_is_found_and_one_that_does_not_is_not(tmp_path: Path) -> None:
    """Planted, in turn: 10 points above the best part and 6 above the sum; as good as equal parts, whose sum it is not
    above; worse than the best part."""
    rng, n = np.random.default_rng(2), 24
    worlds = {"above": (4, 0, 0, 14), "equal": (6, 6, 6, 6), "below": (10, 0, 0, 5)}
    doses = (1 / 3, 1 / 3, 1 / 3)
    plants = [drawn(effects, rng) for effects in worlds.values() for _ in range(n)]
    rows = [row for row in marts(tmp_path / "w.duckdb", plants, doses, rng) if not row["is_trained_cell"]]
    covered: list[bool] = []
    for number, (world, effects) in enumerate(worlds.items()):
        studies = {f"s{i:03d}" for i in range(number * n, (number + 1) * n)}
        of = [row for row in rows if row["study"] in studies]
        whole = [row for row in of if row["target_task"] is None]
        assert len(whole) == n and len(of) == n * (1 + len(OTHERS))
        over_best, over_added = effects[3] - max(effects[:3]), effects[3] - sum(effects[:3]) / 3
        for name, truth in (("over_best", over_best), ("over_added", over_added)):
            covered += [row[f"{name}_low"] <= truth <= row[f"{name}_high"] for row in of]
        is_above = np.mean([row["is_above_best"] for row in whole])
        is_beyond = np.mean([row["q_over_added"] <= 0.05 for row in whole])
        if world == "above":
            assert is_above >= 0.7 and is_beyond >= 0.8
        elif world == "equal":
            assert is_above <= 0.1 and is_beyond <= 0.15
        else:
            assert is_above == 0 and np.mean([row["best_part"] == "add/de" for row in whole]) >= 0.9
    assert np.mean(covered) >= 0.93
