"""What `transfer advise` answers, over marts small enough to reckon by hand."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from compute.advise import Advice, advice, advise
from compute.errors import UserError
from compute.warehouse import Warehouse

SOURCES = ("qa/de", "qa/en", "sum/en")
TARGETS = ("qa/de", "qa/fr", "sum/fr")
DELTAS = {
    # source: by target, by model; the trained cell is no transfer
    "qa/de": {"qa/de": (9.0, 9.0, 9.0), "qa/fr": (2.0, 4.0, 6.0), "sum/fr": (-3.0, -2.0, -1.0)},
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
            " delta_pp <= -1 as is_harm from cells"
        )
        connection.execute(
            "create table marts.rpt_advice as select distinct study, variant, 'p@1' as prompt, source_task,"
            " source_language, target_task, target_language from marts.fct_transfer"
            " where control is null and (source_task, source_language) != (target_task, target_language)"
        )
        connection.execute(
            "create table marts.rpt_advice_eval as select 's' as study, 'default' as variant, 'p@1' as prompt,"
            " unnest(['random', 'advice']) as recommender, 'model' as held_out_kind, 'a@1' as held_out, 1 as k,"
            " unnest([2.5, 0.5]) as regret, 0.9 as ndcg"
        )
        connection.execute("drop table cells")
    return Warehouse(path)


def by_source(found: Iterable[Advice]) -> dict[str, Advice]:
    return {one.source: one for one in found}


def test_one_target(warehouse: Warehouse) -> None:
    found = advice(warehouse, "s", ["qa/fr"])
    assert [one.source for one in found] == ["qa/de", "qa/en", "sum/en"]
    best = found[0]
    low, high = stats.t.interval(0.95, 2, 4.0, stats.sem([2.0, 4.0, 6.0]))
    assert (best.expected_gain_pp, best.ci_low, best.ci_high) == (4.0, pytest.approx(low), pytest.approx(high))
    assert (best.worst_harm_pp, best.worst_target, best.p_harm) == (-2.0, "sum/fr", 1.0)
    assert (best.n_models, best.measured_gain_pp) == (3, None)
    second = found[1]
    assert second.worst_harm_pp == pytest.approx(-1 / 6)
    assert second.p_harm == pytest.approx(1 / 6)


def test_several_targets_are_one_goal(warehouse: Warehouse) -> None:
    found = by_source(advice(warehouse, "s", ["qa/fr", "sum/fr", "qa/fr"]))
    gains = [(-5.0 + 4) / 2, 2.0, 3.0]
    assert found["sum/en"].expected_gain_pp == pytest.approx(sum(gains) / 3)
    assert found["sum/en"].ci_low == pytest.approx(stats.t.interval(0.95, 2, sum(gains) / 3, stats.sem(gains))[0])
    assert (found["sum/en"].worst_target, found["sum/en"].worst_harm_pp) == ("qa/de", 1.0)
    assert found["qa/de"].worst_harm_pp is None  # nothing else was measured
    # A source among the targets is judged on the others.
    assert by_source(advice(warehouse, "s", ["qa/de", "sum/fr"]))["qa/de"].expected_gain_pp == -2.0


@pytest.mark.parametrize("name", ["c", "c@2"])
def test_a_model_to_be_tuned_is_not_asked(warehouse: Warehouse, name: str) -> None:
    found = by_source(advice(warehouse, "s", ["qa/fr"], model=name))
    assert (found["qa/de"].expected_gain_pp, found["qa/de"].measured_gain_pp, found["qa/de"].n_models) == (3.0, 6.0, 2)
    assert found["sum/en"].worst_harm_pp == 0.0


def test_the_limit_of_harm(warehouse: Warehouse) -> None:
    text = advise(warehouse, "s", ["qa/fr"], max_harm=1.0)
    table, _, rest = text.partition("left out")
    assert [line.split()[1] for line in table.splitlines()[4:]] == ["qa/en", "sum/en"]
    assert rest.startswith(": 1 source ") and "qa/de +4.00 pp, -2.00 pp on sum/fr" in rest
    assert "this advice 0.50, a random source 2.50" in rest
    assert "left out:" not in advise(warehouse, "s", ["qa/fr"])
    assert "no source keeps within that limit" in advise(warehouse, "s", ["qa/de"], max_harm=0.0)


@given(st.floats(0, 5), st.floats(0, 5))
def test_a_looser_limit_keeps_what_a_tighter_one_keeps(one: float, other: float) -> None:
    tight, loose = sorted((one, other))
    for worst in (-5.0, -1.0, -0.0, 2.0, None):
        row = Advice("default", "p", "qa/de", 1.0, None, None, worst, "x/y", 0.1, None, 3)
        assert row.within(loose) or not row.within(tight)


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
    with pytest.raises(UserError, match="run `make build` first"):
        advise(Warehouse(path), "s", ["qa/fr"])


def test_one_model_alone_has_no_interval(warehouse: Warehouse) -> None:
    with duckdb.connect(str(warehouse.path)) as connection:
        connection.execute("delete from marts.fct_transfer where model != 'a@1'")
    (best, *_) = advice(warehouse, "s", ["qa/fr"])
    assert (best.n_models, best.ci_low, best.ci_high) == (1, None, None)
    with pytest.raises(UserError, match="no model besides a@1"):
        advice(warehouse, "s", ["qa/fr"], model="a")
