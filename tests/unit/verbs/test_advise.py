"""What `transfer advise` answers, over marts small enough to reckon by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from math import isnan
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

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


OTHERS: list[Cell] = [
    ("s", "default", "a@1", "qa/de", "qa/fr", "placebo", "p@1", "x", 99.0),  # no evidence
    ("other", "default", "a@1", "qa/de", "qa/fr", None, "p@1", "x", 99.0),  # another study
    ("s", "default", "d@1", "qa/de", "qa/fr", None, "p@1", "x", 99.0),  # a model that lacks the other cells
]


def effects(cells: Iterable[Cell], left_out: str | None = None) -> Iterator[list[Any]]:
    """What dbt derives from cells: here gains are drawn to nine tenths, and intervals have a stated width."""
    found: dict[tuple[str, str, str], dict[str, float]] = {}
    for study, _, model, source, target, control, _, _, delta in cells:
        if control is None and delta is not None and not isnan(delta):
            found.setdefault((study, source, target), {})[model] = delta
    for (study, source, target), by_model in found.items():
        asked = [delta for model, delta in by_model.items() if model != left_out]
        of_grid = [delta for model, delta in by_model.items() if model in MODELS and model != left_out]
        if not asked:
            continue
        mean, n = sum(asked) / len(asked), len(of_grid)
        gain = 0.9 * sum(of_grid) / n if n and source != target else None
        bounds = [gain - 1, gain + 1] if gain is not None else [None, None]
        bounds += [gain - 7, gain + 7] if gain is not None and n > 1 else [None, None]
        yield [
            study, "default", "p@1", *source.split("/"), *target.split("/"), len(asked), mean, mean - 1, mean + 1,
            sum(delta <= -1 for delta in asked), len(asked) / 4, sum(delta <= -2.5 for delta in asked),
            n if gain is not None else None, gain, *bounds, left_out, by_model.get(left_out or ""),
        ]  # fmt: skip


def written(path: Path, cells: Sequence[Cell]) -> Warehouse:
    """A warehouse with the marts that are asked."""
    with duckdb.connect(str(path)) as connection:
        connection.execute("create schema marts; create schema raw; create schema staging")
        connection.execute(
            "create table cells"
            " (study varchar, variant varchar, model varchar, source varchar, target varchar, control varchar,"
            " prompt varchar, metric varchar, delta_pp double)"
        )
        connection.executemany("insert into cells values (?, ?, ?, ?, ?, ?, ?, ?, ?)", cells)
        connection.execute(
            "create table marts.fct_transfer as select * exclude (target),"
            " split_part(source, '/', 1) as source_task, split_part(source, '/', 2) as source_language,"
            " split_part(target, '/', 1) as target_task, split_part(target, '/', 2) as target_language,"
            " delta_pp <= -1 as is_harm, delta_pp - 1 as ci_low, delta_pp + 1 as ci_high,"
            " if(delta_pp <= -2.5, 'harm', 'undecided') as verdict,"
            " if(source = target, 'MT-ML', 'MT-CL') as regime from cells"
        )
        connection.execute("drop table cells")
        for mart, models in (("rpt_source_effects", [None]), ("rpt_source_effects_held_out", [*MODELS, "d@1"])):
            connection.execute(
                f"create table marts.{mart} (study varchar, variant varchar, prompt varchar, source_task varchar,"
                " source_language varchar, target_task varchar, target_language varchar, n_models bigint,"
                " mean_pp double, ci_low double, ci_high double, n_harms bigint, n_null_harms double,"
                " n_harm_verdicts bigint, n_advising bigint, expected_gain_pp double, gain_low double,"
                " gain_high double, new_model_low double, new_model_high double, model varchar, measured_pp double)"
            )
            for row in (row for model in models for row in effects(cells, model)):
                connection.execute(f"insert into marts.{mart} values ({', '.join('?' * len(row))})", row)
        connection.execute(
            "create table marts.rpt_advice_worth as select 's' as study, 'default' as variant, 'p@1' as prompt,"
            " unnest(['random', 'advice']) as recommender, 'model' as held_out_kind, 1 as k,"
            " unnest([2.5, 0.5]) as regret"
        )
        connection.execute(
            "create table marts.rpt_stops (study varchar, variant varchar, prompt varchar, source varchar,"
            " model varchar, stop_fraction double, kept_pct double, whole_gain_pp double, spared_pp double,"
            " spared_low double, spared_high double)"
        )
        for row in (
            ("qa/en", "a@1", 0.25, 95.4, 8.0, 3.25, 0.5, 6.0),
            ("qa/de", "b@1", 0.5, 91.0, 6.0, 0.5, None, None),
            ("qa/de", "a@1", 1.0, 100.0, 5.0, None, None, None),
            ("sum/en", "c@2", 0.5, 90.0, 4.0, None, None, None),
        ):
            values = ["s", "default", "p@1", *row]
            connection.execute(f"insert into marts.rpt_stops values ({', '.join('?' * len(values))})", values)
        connection.execute(
            "create table staging.stg_given_sources"
            " (study varchar, model_name varchar, variant varchar, source_task varchar, source_language varchar,"
            " name varchar)"
        )
        connection.execute("create table raw.studies as select 's' as study, '{\"harm_threshold_pp\": 2.0}' as config")
    return Warehouse(path)


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    return written(tmp_path / "warehouse.duckdb", [*cells(), *OTHERS])


def changed(warehouse: Warehouse, change: Callable[[Cell], float | None]) -> Warehouse:
    """The same with other changes."""
    warehouse.path.unlink()
    return written(warehouse.path, [(*cell[:8], change(cell)) for cell in [*cells(), *OTHERS]])  # type: ignore[misc]


def by_source(found: Iterable[Advice]) -> dict[str, Advice]:
    return {one.source: one for one in found}


def test_variants_of_one_source_each_are_set_beside_each_other(warehouse: Warehouse) -> None:
    """As adapters are that were given by name; those of several sources have a table each."""
    with duckdb.connect(str(warehouse.path)) as connection:
        for name, source, gain in (("mine", "qa/en", 1.5), ("theirs", "qa/en", 6.0)):
            connection.execute(
                "insert into marts.rpt_source_effects select * replace (? as variant, ? as expected_gain_pp)"
                " from marts.rpt_source_effects where variant = 'default' and study = 's'"
                " and source_task || '/' || source_language = ?",
                [name, gain, source],
            )
    text = advise(warehouse, "s", ["qa/fr"]).text
    own, given = text.split("variants of one source each")
    assert "variant default" in own and "sum/en " in own and "(mine)" not in own
    first, second = (line.split()[1:4] for line in given.splitlines() if line.strip()[:1].isdigit())
    assert (first, second) == (["qa/en", "(theirs)", "+6.00"], ["qa/en", "(mine)", "+1.50"])


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


def test_where_to_stop_is_told_of_the_sources_shown_and_not_of_the_model_to_be_tuned(warehouse: Warehouse) -> None:
    told = advise(warehouse, "s", ["qa/fr"]).text
    begin = told.index("where to stop training: 90 % of the gain on its own task kept, least harm off it:")
    assert told[begin:].splitlines()[1:5] == [
        "  qa/de, a@1: train to the end",
        "  qa/de, b@1: stop at 50 %: keeps 91 % of +6.00 pp, spares +0.50 pp off its task",
        "  qa/en, a@1: stop at 25 %: keeps 95 % of +8.00 pp, spares +3.25 pp off its task (+0.50 to +6.00)",
        "  sum/en, c@2: stop at 50 %: keeps 90 % of +4.00 pp; nothing off its task was asked",
    ]
    without = advise(warehouse, "s", ["qa/fr"], model="a", max_harm=8.0).text
    assert "qa/de, b@1: stop at 50 %" in without and "a@1" not in without[without.index("where to stop") :]


def test_a_trained_cell_that_loses_is_harm_and_never_gain(warehouse: Warehouse) -> None:
    changed(warehouse, lambda cell: -18.75 if cell[3] == cell[4] else cell[-1])
    for targets in (["qa/fr"], ["qa/fr", "sum/fr"]):
        best = by_source(advice(warehouse, "s", targets))["qa/de"]
        assert (best.worst_harm_pp, best.worst_target, best.loss) == (-18.75, "qa/de", "-18.75 on qa/de (own cell)")
        assert not best.within(5)
    # Among the targets it is no gain, and still a loss.
    best = by_source(advice(warehouse, "s", ["qa/de", "sum/fr"]))["qa/de"]
    assert (best.expected_gain_pp, best.n_targets) == (pytest.approx(-1.8), 1)
    assert (best.least_wanted_pp, best.least_wanted_target) == (-18.75, "qa/de")
    assert not best.within(5)
    assert "; gain on 1 of 2 targets" in advise(warehouse, "s", ["qa/de", "sum/fr"]).text


def test_harm_counts_where_there_is_no_advice(warehouse: Warehouse) -> None:
    warehouse.path.unlink()
    written(warehouse.path, [*cells(), ("s", "default", "d@1", "qa/en", "sum/fi", None, "p@1", "x", -30.0)])
    found = by_source(advice(warehouse, "s", ["qa/fr"]))
    assert found["qa/en"].loss == "-30.00 on sum/fi"


def test_several_targets_are_one_goal(warehouse: Warehouse) -> None:
    found = by_source(advice(warehouse, "s", ["qa/fr", "sum/fr", "qa/fr"]))
    # The mean of two targets' gains, and of their bounds.
    gain = 0.9 * (-1 + 4) / 2
    assert found["sum/en"].expected_gain_pp == pytest.approx(gain)
    assert (found["sum/en"].ci_low, found["sum/en"].ci_high) == pytest.approx((gain - 1, gain + 1))
    assert (found["sum/en"].new_model_low, found["sum/en"].new_model_high) == pytest.approx((gain - 7, gain + 7))
    # Whatever gains is no harm.
    assert (found["sum/en"].worst_target, found["sum/en"].worst_harm_pp) == (None, 0.0)
    assert found["sum/en"].loss == "none lost"
    assert found["sum/en"].wanted_loss == "-1.00 on qa/fr"
    # A source among the targets is judged on the others.
    assert by_source(advice(warehouse, "s", ["qa/de", "sum/fr"]))["qa/de"].expected_gain_pp == pytest.approx(-1.8)


def test_an_interval_that_a_target_lacks_is_not_the_mean_of_the_others(warehouse: Warehouse) -> None:
    with duckdb.connect(str(warehouse.path)) as connection:
        connection.execute("update marts.rpt_source_effects set gain_low = null where target_task = 'sum'")
    found = by_source(advice(warehouse, "s", ["qa/fr", "sum/fr"]))
    assert found["sum/en"].ci_low is None and found["sum/en"].ci_high is not None
    assert by_source(advice(warehouse, "s", ["qa/fr"]))["sum/en"].ci_low is not None


@pytest.mark.parametrize("name", ["c", "c@2"])
def test_a_model_to_be_tuned_is_not_asked(warehouse: Warehouse, name: str) -> None:
    found = by_source(advice(warehouse, "s", ["qa/fr"], model=name))
    assert found["qa/de"].expected_gain_pp == pytest.approx(2.7)
    assert (found["qa/de"].measured_gain_pp, found["qa/de"].n_models) == (6.0, 2)
    assert found["sum/en"].worst_harm_pp == 0.0
    assert found["qa/de"].worst_target == "sum/fr"  # the own cell loses on the model left out only


def test_the_limit_of_harm(warehouse: Warehouse) -> None:
    told = advise(warehouse, "s", ["qa/fr"], max_harm=1.0)
    table, _, rest = told.text.partition("left out")
    assert " P(harm)  by noise  shown" in table
    assert [line.split()[1] for line in table.splitlines()[4:]] == ["qa/en", "sum/en"]
    assert rest.startswith(": 1 source ") and "qa/de +3.60 pp; largest loss elsewhere: -2.00 on" in rest
    assert "this advice 0.50, a random source 2.50" in rest
    assert told.code == 0
    assert "within 1 pp: on so many of all targets" in rest and "does not show that there is none" in rest
    free = advise(warehouse, "s", ["qa/fr"])
    assert free.code == 0 and "left out:" not in free.text
    none = advise(warehouse, "s", ["qa/de"], max_harm=0.0)
    assert "no source keeps within that limit" in none.text and none.code == 1


def test_no_harm_shown_is_not_shown_to_do_no_harm(warehouse: Warehouse) -> None:
    """Intervals here are 1 pp either way: a mean change of 1 above 0 rules out a loss, one of 0 does not."""
    found = by_source(advice(warehouse, "s", ["qa/fr"], max_harm=0.5))
    # qa/en: 1.0 on qa/de, 2.0 on qa/fr, -1/6 on sum/fr.
    assert (found["qa/en"].within(0.5), found["qa/en"].n_shown_within, found["qa/en"].n_asked) == (True, 2, 3)
    assert "shown on 2 of 3" in advise(warehouse, "s", ["qa/fr"], max_harm=0.5).text
    assert by_source(advice(warehouse, "s", ["qa/fr"], max_harm=2.0))["qa/en"].n_shown_within == 3
    with duckdb.connect(str(warehouse.path)) as connection:
        connection.execute("update marts.rpt_source_effects set ci_low = null where target_task = 'sum'")
    assert "not known" in advise(warehouse, "s", ["qa/fr"], max_harm=0.5).text


def test_harms_stand_beside_noise_and_what_is_shown(warehouse: Warehouse) -> None:
    found = by_source(advice(warehouse, "s", ["qa/fr"]))["qa/de"]
    # Elsewhere: 9, 9, -24 on its own cell and -3, -2, -1 on sum/fr.
    assert (found.p_harm, found.p_null_harm, found.p_shown_harm) == pytest.approx((4 / 6, 1 / 4, 2 / 6))


def test_no_number_is_no_loss(warehouse: Warehouse) -> None:
    values = {"a@1": None, "b@1": float("nan")}
    changed(warehouse, lambda cell: values.get(cell[2], cell[-1]) if cell[4].startswith("sum") else cell[-1])
    assert by_source(advice(warehouse, "s", ["qa/fr"]))["sum/en"].loss == "none lost"
    assert "nan" not in advise(warehouse, "s", ["qa/fr"]).text + harms(warehouse, "s").text


def test_what_each_adapter_loses(warehouse: Warehouse) -> None:
    told = harms(warehouse, "s", sources=["qa/de"], models=["c", "a"])
    lines = [" ".join(line.split()) for line in told.text.splitlines()]
    assert lines[2] == "a@1 qa/de: loses on 1 of 3 targets"
    assert lines[3] == "sum/fr -3.00 -4.00 to -2.00 harm"
    assert lines[5:7] == ["c@2 qa/de: loses on 1 of 3 targets", "qa/de (own cell) -24.00 -25.00 to -23.00 harm"]
    assert "0 of 2 adapters within the limit" in told.text and told.code == 1
    assert "'undecided' is not 'no harm'" in told.text


def test_who_keeps_within_the_limit_has_one_line(warehouse: Warehouse) -> None:
    told = harms(warehouse, "s", max_harm=1.5)
    assert "within the limit: c@2 qa/en: 3 targets, largest loss -1.50 on sum/fr" in told.text
    assert "within the limit: c@2 sum/en: 3 targets, none lost" in told.text
    assert told.code == 0
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


@pytest.mark.parametrize(
    ("regime", "message"),
    [
        ("null", r"its sources are of several or unknown tasks or languages, as qa/de is, .* no source is advised"),
        ("'MT-ML'", r"no source was measured on a target besides its own cell"),
    ],
)
def test_a_study_without_transfer_is_told_so(warehouse: Warehouse, regime: str, message: str) -> None:
    with duckdb.connect(str(warehouse.path)) as connection:
        connection.execute("alter table marts.fct_transfer add column if not exists regime varchar")
        connection.execute(f"update marts.fct_transfer set regime = {regime}")
        connection.execute("delete from marts.rpt_source_effects where study = 's'")
    with pytest.raises(UserError, match=rf"study 's': {message}"):
        advise(warehouse, "s", ["qa/fr"])


def test_one_model_alone_has_no_interval_of_a_new_one(warehouse: Warehouse) -> None:
    warehouse.path.unlink()
    written(warehouse.path, [cell for cell in cells() if cell[2] == "a@1"])
    (best, *_) = advice(warehouse, "s", ["qa/fr", "sum/fr"])
    assert (best.n_models, best.new_model_low, best.new_model_high) == (1, None, None)
    assert "one model tells nothing" in advise(warehouse, "s", ["qa/fr", "sum/fr"]).text
    with pytest.raises(UserError, match="no model besides a@1"):
        advice(warehouse, "s", ["qa/fr"], model="a")
