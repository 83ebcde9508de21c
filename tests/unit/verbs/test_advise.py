"""What `transfer advise` answers, over marts small enough to reckon by hand."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from compute.errors import UserError
from compute.store.warehouse import Warehouse
from compute.verbs.advice import Advice, advice, advise
from compute.verbs.asked import loses_more
from compute.verbs.harms import adapters, harms

SOURCES = ("qa/de", "qa/en", "sum/en")
TARGETS = ("qa/de", "qa/fr", "sum/fr")
DELTAS = {
    # source: by target, by model; the trained cell is no transfer
    "qa/de": {"qa/de": (9.0, 9.0, -24.0), "qa/fr": (2.0, 4.0, 6.0), "sum/fr": (-3.0, -2.0, -1.0)},
    "qa/en": {"qa/de": (1.0, 1.0, 1.0), "qa/fr": (1.0, 2.0, 3.0), "sum/fr": (0.5, 0.5, -1.5)},
    "sum/en": {"qa/de": (0.0, 0.0, 3.0), "qa/fr": (-5.0, 0.0, 2.0), "sum/fr": (4.0, 4.0, 4.0)},
}
MODELS = ("a@1", "b@1", "c@2")

Cell = tuple[str, str, str, str, str, str | None, str | None, str, float]


def cells() -> Iterable[Cell]:
    for source, by_target in DELTAS.items():
        for target, deltas in by_target.items():
            for model, delta in zip(MODELS, deltas, strict=True):
                yield "s", "default", model, source, target, None, "p@1", "x", delta


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    path = tmp_path / "warehouse.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("create schema marts")
        connection.execute(
            "create table cells"
            " (study varchar, variant varchar, model varchar, source varchar, target varchar, control varchar,"
            " prompt varchar, metric varchar, delta_pp double)"
        )
        extra: list[Cell] = [
            ("s", "default", "a@1", "qa/de", "qa/fr", "placebo", "p@1", "x", 99.0),  # no evidence
            ("other", "default", "a@1", "qa/de", "qa/fr", None, "p@1", "x", 99.0),  # another study
            ("s", "default", "d@1", "qa/de", "qa/fr", None, "p@1", "x", 99.0),  # a model that lacks the other cells
        ]
        connection.executemany("insert into cells values (?, ?, ?, ?, ?, ?, ?, ?, ?)", [*cells(), *extra])
        connection.execute(
            "create table marts.fct_transfer as select * exclude (source, target),"
            " split_part(source, '/', 1) as source_task, split_part(source, '/', 2) as source_language,"
            " split_part(target, '/', 1) as target_task, split_part(target, '/', 2) as target_language,"
            " delta_pp <= -1 as is_harm, delta_pp - 1 as ci_low, delta_pp + 1 as ci_high,"
            " if(delta_pp <= -2.5, 'harm', 'undecided') as verdict from cells"
        )
        connection.execute(
            "create table marts.rpt_advice as select study, variant, 'p@1' as prompt, source_task,"
            " source_language, target_task, target_language, 0.9 * avg(delta_pp) as expected_gain_pp,"
            " 0.9 * avg(delta_pp) - 1 as ci_low, 0.9 * avg(delta_pp) + 1 as ci_high,"
            " 0.9 * avg(delta_pp) - 7 as new_model_low, 0.9 * avg(delta_pp) + 7 as new_model_high,"
            " count(*) as n_models,"
            " rank() over (partition by study, target_task, target_language order by avg(delta_pp) desc) as rank"
            " from marts.fct_transfer"
            " where control is null and model != 'd@1'"
            " and (source_task, source_language) != (target_task, target_language)"
            " group by study, variant, source_task, source_language, target_task, target_language"
        )
        connection.execute(
            "create table marts.rpt_advice_eval as select 's' as study, 'default' as variant, 'p@1' as prompt,"
            " unnest(['random', 'advice']) as recommender, 'model' as held_out_kind, 'a@1' as held_out, 1 as k,"
            " unnest([2.5, 0.5]) as regret, 0.9 as ndcg"
        )
        connection.execute("drop table cells")
        connection.execute("create schema raw")
        connection.execute("create table raw.studies as select 's' as study, '{\"harm_threshold_pp\": 2.0}' as config")
    return Warehouse(path)


def by_source(found: Iterable[Advice]) -> dict[str, Advice]:
    return {one.source: one for one in found}


def test_one_target_is_the_mart_with_both_its_intervals(warehouse: Warehouse) -> None:
    found = advice(warehouse, "s", ["qa/fr"])
    assert [one.source for one in found] == ["qa/de", "qa/en", "sum/en"]
    best = found[0]
    assert (best.expected_gain_pp, best.ci_low, best.ci_high) == pytest.approx((3.6, 2.6, 4.6))
    assert (best.new_model_low, best.new_model_high) == pytest.approx((-3.4, 10.6))
    assert (best.worst_harm_pp, best.worst_target) == (-2.0, "qa/de")
    assert (best.n_models, best.measured_gain_pp) == (3, None)
    second = found[1]
    assert second.worst_harm_pp == pytest.approx(-1 / 6)
    assert second.p_harm == pytest.approx(1 / 6)


def test_a_trained_cell_that_loses_is_harm_and_never_gain(warehouse: Warehouse) -> None:
    with duckdb.connect(str(warehouse.path)) as connection:
        connection.execute(
            "update marts.fct_transfer set delta_pp = -18.75, is_harm = true"
            " where source_task = target_task and source_language = target_language"
        )
    for targets in (["qa/fr"], ["qa/fr", "sum/fr"]):
        best = by_source(advice(warehouse, "s", targets))["qa/de"]
        assert (best.worst_harm_pp, best.worst_target, best.loss) == (-18.75, "qa/de", "-18.75 on qa/de (own cell)")
        assert not best.within(5)
    # Among the targets it is no gain, and still a loss.
    best = by_source(advice(warehouse, "s", ["qa/de", "sum/fr"]))["qa/de"]
    assert (best.expected_gain_pp, best.least_wanted_pp, best.least_wanted_target) == (-2.0, -18.75, "qa/de")
    assert not best.within(5)


def test_harm_counts_where_the_complete_grid_lacks_the_target(warehouse: Warehouse) -> None:
    with duckdb.connect(str(warehouse.path)) as connection:
        connection.execute(
            "insert into marts.fct_transfer by name select * replace ('fi' as target_language, -30.0 as delta_pp)"
            " from marts.fct_transfer where study = 's' and model = 'a@1' and source_language = 'en'"
            " and source_task = 'qa' and target_task = 'sum'"
        )
    found = by_source(advice(warehouse, "s", ["qa/fr"]))
    assert found["qa/en"].loss == "-30.00 on sum/fi"


def test_several_targets_are_one_goal(warehouse: Warehouse) -> None:
    found = by_source(advice(warehouse, "s", ["qa/fr", "sum/fr", "qa/fr"]))
    gains = [(-5.0 + 4) / 2, 2.0, 3.0]
    assert found["sum/en"].expected_gain_pp == pytest.approx(sum(gains) / 3)
    # A prediction for one more model: Student's t, s * sqrt(1 + 1/M).
    low, high = stats.t.interval(0.95, 2, sum(gains) / 3, np.std(gains, ddof=1) * np.sqrt(1 + 1 / 3))
    assert (found["sum/en"].new_model_low, found["sum/en"].new_model_high) == pytest.approx((low, high))
    assert found["sum/en"].ci_low is None
    # Whatever gains is no harm.
    assert (found["sum/en"].worst_target, found["sum/en"].worst_harm_pp) == (None, 0.0)
    assert found["sum/en"].loss == "none lost"
    assert found["sum/en"].wanted_loss == "-1.00 on qa/fr"
    # A source among the targets is judged on the others.
    assert by_source(advice(warehouse, "s", ["qa/de", "sum/fr"]))["qa/de"].expected_gain_pp == -2.0


@pytest.mark.parametrize("name", ["c", "c@2"])
def test_a_model_to_be_tuned_is_not_asked(warehouse: Warehouse, name: str) -> None:
    found = by_source(advice(warehouse, "s", ["qa/fr"], model=name))
    assert (found["qa/de"].expected_gain_pp, found["qa/de"].measured_gain_pp, found["qa/de"].n_models) == (3.0, 6.0, 2)
    assert found["sum/en"].worst_harm_pp == 0.0
    assert found["qa/de"].worst_target == "sum/fr"  # the own cell loses on the model left out only


def test_the_limit_of_harm(warehouse: Warehouse) -> None:
    told = advise(warehouse, "s", ["qa/fr"], max_harm=1.0)
    table, _, rest = told.text.partition("left out")
    assert [line.split()[1] for line in table.splitlines()[4:]] == ["qa/en", "sum/en"]
    assert rest.startswith(": 1 source ") and "qa/de +3.60 pp; largest loss elsewhere: -2.00 on" in rest
    assert "this advice 0.50, a random source 2.50" in rest
    assert told.is_within
    free = advise(warehouse, "s", ["qa/fr"])
    assert free.is_within and "left out:" not in free.text
    none = advise(warehouse, "s", ["qa/de"], max_harm=0.0)
    assert "no source keeps within that limit" in none.text and not none.is_within


def test_no_number_is_no_loss(warehouse: Warehouse) -> None:
    with duckdb.connect(str(warehouse.path)) as connection:
        connection.execute("update marts.fct_transfer set delta_pp = 'nan' where target_task = 'sum' and model = 'b@1'")
        connection.execute("update marts.fct_transfer set delta_pp = null where target_task = 'sum' and model = 'a@1'")
    assert by_source(advice(warehouse, "s", ["qa/fr"]))["sum/en"].loss == "none lost"
    assert "nan" not in advise(warehouse, "s", ["qa/fr"]).text + harms(warehouse, "s").text


def test_what_each_adapter_loses(warehouse: Warehouse) -> None:
    told = harms(warehouse, "s", sources=["qa/de"], models=["c", "a"])
    lines = [" ".join(line.split()) for line in told.text.splitlines()]
    assert lines[2] == "a@1 qa/de: loses on 1 of 3 targets"
    assert lines[3] == "sum/fr -3.00 -4.00 to -2.00 harm"
    assert lines[5:7] == ["c@2 qa/de: loses on 1 of 3 targets", "qa/de (own cell) -24.00 -25.00 to -23.00 harm"]
    assert "0 of 2 adapters within the limit" in told.text and not told.is_within
    assert "'undecided' is not 'no harm'" in told.text


def test_who_keeps_within_the_limit_has_one_line(warehouse: Warehouse) -> None:
    told = harms(warehouse, "s", max_harm=1.5)
    assert "within the limit: c@2 qa/en: 3 targets, largest loss -1.50 on sum/fr" in told.text
    assert "within the limit: c@2 sum/en: 3 targets, none lost" in told.text
    assert told.is_within
    found, threshold = adapters(warehouse, "s")
    assert (len(found), threshold) == (10, 2.0)  # d@1 too, and no placebo
    text = harms(warehouse, "s").text
    assert text.count("within the limit: ") + text.count(": loses on ") == len(found)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"sources": ["qa/dee"]}, "unknown source 'qa/dee'; did you mean 'qa/de'?"),
        ({"models": ["b@2"]}, "unknown model 'b@2'; did you mean"),
        ({"study": "ss"}, "unknown study with transfer cells 'ss'; did you mean 's'?"),
        ({"max_harm": float("nan")}, "--max-harm nan: expected percentage points"),
    ],
)
def test_mistakes_about_harms_are_one_line(warehouse: Warehouse, asked: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as error:
        harms(warehouse, **({"study": "s"} | asked))
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@given(st.floats(0, 5), st.floats(0, 5))
def test_a_looser_limit_keeps_what_a_tighter_one_keeps(one: float, other: float) -> None:
    tight, loose = sorted((one, other))
    for change in (-5.0, -1.0, -0.0, 2.0):
        assert not loses_more(change, loose) or loses_more(change, tight)
        assert not loses_more(-tight, tight)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"targets": ["qa/fx"]}, "unknown target 'qa/fx'; did you mean 'qa/fr'?"),
        ({"targets": ["qa/fr"], "model": "b@2"}, "unknown model 'b@2'; did you mean"),
        ({"targets": ["qa/fr"], "study": "ss"}, "unknown study with transfer cells 'ss'; did you mean 's'?"),
        ({"targets": []}, "no target is asked for"),
        ({"targets": ["qa/fr"], "max_harm": -1.0}, "--max-harm -1.0: expected percentage points"),
    ],
)
def test_mistakes_are_one_line(warehouse: Warehouse, asked: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as error:
        advise(warehouse, **({"study": "s"} | asked))
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_warehouse_that_is_not_built(tmp_path: Path) -> None:
    path = tmp_path / "empty.duckdb"
    with pytest.raises(UserError, match="no such warehouse"):
        advise(Warehouse(path), "s", ["qa/fr"])
    duckdb.connect(str(path)).close()
    with pytest.raises(UserError, match="run `transfer build` first"):
        advise(Warehouse(path), "s", ["qa/fr"])


def test_one_model_alone_has_no_interval_of_a_new_one(warehouse: Warehouse) -> None:
    with duckdb.connect(str(warehouse.path)) as connection:
        connection.execute("delete from marts.fct_transfer where model != 'a@1'")
    (best, *_) = advice(warehouse, "s", ["qa/fr", "sum/fr"])
    assert (best.n_models, best.new_model_low, best.new_model_high) == (1, None, None)
    assert "one model tells nothing" in advise(warehouse, "s", ["qa/fr", "sum/fr"]).text
    with pytest.raises(UserError, match="no model besides a@1"):
        advice(warehouse, "s", ["qa/fr"], model="a")
