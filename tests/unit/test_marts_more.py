"""Marts of agreement, variance, advice and embeddings against independent NumPy, SciPy and scikit-learn.

One `dbt build` for the module. What needs many draws runs the compiled SQL of single models on tables made here.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import duckdb
import jinja2
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import f1_score

from compute.advise import advice
from compute.warehouse import Warehouse
from tests.unit.mantel import exact_mantel
from tests.warehouse_fixture import RawRows

ROOT = Path(__file__).resolve().parents[2]
FAMILIES = {"a@1": "x", "b@1": "x", "c@1": "y", "d@1": "y", "e@1": "z"}
SOURCES = [(task, language) for task in ("add", "read") for language in ("de", "en", "fi")]
TARGETS = [(task, language) for task in ("add", "read", "sort") for language in ("de", "en", "fi", "fr")]
N_ITEMS = 20
LANGUAGES = ("de", "en", "fi", "fr", "hr", "it")
PAIRS = list(itertools.permutations(LANGUAGES, 2))
METHODS = [("MUSE", 0), ("PROC", 100), ("RCSLS", 100), ("PROC", 500), ("RCSLS", 500), ("VECMAP", 500)]
N_CONCEPTS = 30
MARTS = (
    "fct_downstream", "rpt_advice_eval", "rpt_bli_downstream", "rpt_bli_method_pairs", "rpt_bli_methods",
    "rpt_consistency", "rpt_language_pairs", "rpt_pair_correlations", "rpt_variance", "rpt_advice",
)  # fmt: skip

Key = tuple[Any, ...]
Row = dict[str, Any]
Evaluate = Any
"""(model, **tables) -> rows of the model's compiled SQL over these tables alone."""


# --- raw rows -------------------------------------------------------------------------------------------------


def _add_grid(raw: RawRows, rng: np.random.Generator) -> None:
    """Two seeds; what a source does to a target is shared by all models in part."""
    raw.study("grid", harm_threshold_pp=5.0)
    effect = rng.normal(0, 0.2, (len(SOURCES), len(TARGETS)))
    for e, target in enumerate(TARGETS):
        keys: dict[str, Any] = {"target": target, "parallel_ids": [f"p{i}" for i in range(N_ITEMS)]}
        for model in FAMILIES:
            raw.scores("grid", model=model, **keys, correct=(rng.random(N_ITEMS) < 0.5).tolist())
            for s, source in enumerate(SOURCES):
                chance = np.clip(0.5 + effect[s, e] + rng.normal(0, 0.1), 0, 1)
                for seed in (1, 2):
                    raw.scores(
                        "grid", model=model, source=source, seed=seed, **keys,
                        correct=(rng.random(N_ITEMS) < chance).tolist(),
                    )  # fmt: skip
    for seed in (1, 2):  # a placebo is no evidence
        raw.scores(
            "grid", model="a@1", source=SOURCES[0], seed=seed, control="placebo", target=TARGETS[1],
            parallel_ids=[f"p{i}" for i in range(N_ITEMS)], correct=[True] * N_ITEMS,
        )  # fmt: skip


def _add_imports(raw: RawRows, rng: np.random.Generator) -> None:
    """Fully crossed: four models, or two of them; in study 'blind' one cell came without its error."""
    for study, models, blind in (("crossed", "klmn", False), ("pair", "kl", False), ("blind", "klmn", True)):
        raw.study(study, origin="importer")
        key = raw.job(study, "importer", file=study)
        for m, s, e in itertools.product(models, range(5), range(6)):
            raw.add(
                "aggregate_scores", job_key=key, model=f"{m}@1", variant="default", source_task="t",
                source_language=f"s{'abcde'[s]}", target_task="t", target_language=f"t{'abcdef'[e]}", prompt="p@1",
                metric="acc", score=0.5, baseline_score=0.5, n_items=100, n_seeds=1,
                delta_pp=round(float(rng.normal(ord(m) / 9 + s, 2)), 3),
                delta_stderr=None if blind and (m, s, e) == ("k", 0, 0) else 0.3 + 0.1 * e,
            )  # fmt: skip


def _add_words(raw: RawRows, rng: np.random.Generator) -> None:
    """Mapping methods on every ordered pair of six languages; transfer between the same languages in 'joined'."""
    raw.study("words")
    raw.study("joined", compare_with="words")
    raw.study("few", compare_with="words")
    raw.study(
        "chosen", compare_with="words", bli_map={"method": "rcsls", "dictionary_size": 100, "retrieval": "cosine"}
    )
    for source in LANGUAGES:
        raw.scores("joined", model="a@1", target=("parity", source), correct=[False] * 50)
    ease = {pair: rng.uniform(0.3, 0.8) for pair in PAIRS}
    skill = {method: rng.uniform(0.8, 1.2) for method in METHODS}
    key = raw.job("joined", "uriel")
    for source, target in PAIRS:
        right = rng.random(50) < ease[source, target] + rng.normal(0, 0.1)
        scored = {"model": "a@1", "source": ("parity", source), "seed": 1, "target": ("parity", target)}
        raw.scores("joined", **scored, correct=right.tolist())  # type: ignore[arg-type]
        if source in LANGUAGES[:4] and target in LANGUAGES[:4]:
            raw.scores("few", **scored, correct=right.tolist())  # type: ignore[arg-type]
            raw.scores("few", model="a@1", target=("parity", target), correct=[False] * 50)
        if source < target:
            distance = {"source_language": source, "target_language": target, "measure": "syntactic"}
            raw.add("language_distances", job_key=key, **distance, value=float(rng.random()))
        for method in METHODS:
            for seed in (1, 2) if method[0] == "MUSE" else (None,):
                _add_mapping(raw, rng, method, seed, source, target, ease[source, target] * skill[method])


def _add_mapping(
    raw: RawRows, rng: np.random.Generator, method: tuple[str, int], seed: int | None, source: str, target: str,
    quality: float,
) -> None:  # fmt: skip
    keys = {
        "job_key": raw.job("words", "bli", method=method, seed=seed, source=source, target=target),
        "method": method[0], "variant": "default", "vectors": "web@f00", "source_language": source,
        "target_language": target, "dictionary_size": method[1], "seed": seed,
    }  # fmt: skip
    fails = method == ("MUSE", 0) and seed == 2 and (source, target) == ("de", "hr")
    for retrieval in ("cosine", "csls"):
        for number in range(N_CONCEPTS):
            rank = 10_000 if fails else 1 + rng.geometric(min(quality, 0.95)) * (1 + number % 3) / 2
            raw.add(
                "bli_ranks", **keys, retrieval=retrieval, pair_number=number, query=f"w{number}", gold=f"g{number}",
                concept_id=f"c{number % (N_CONCEPTS - 5)}", rank=None if number % 13 == 4 else float(rank),
            )  # fmt: skip
    for task, labels in (("xnli", 3), ("cldc", 4), ("clir", 0)):
        for classifier in ("cnn", "logistic") if task == "cldc" else ("default",):
            for i in range(24):
                gold = int(rng.integers(labels)) if labels else None
                predicted = gold if rng.random() < quality else int(rng.integers(labels + 1)) if labels else None
                raw.add(
                    "downstream_items", **keys, task=task, classifier=classifier, item_id=f"i{i}",
                    gold=None if gold is None else f"l{gold}",
                    prediction=None if predicted is None or i == 7 else f"l{predicted}",
                    score=None if labels else float(np.clip(rng.normal(quality, 0.2), 0, 1)),
                )  # fmt: skip


@pytest.fixture(scope="module")
def raw() -> RawRows:
    rng = np.random.default_rng(72)
    rows = RawRows()
    for model, family in FAMILIES.items():
        rows.model(model, family)
    for task in ("add", "read", "sort", "parity", "t"):
        rows.task(task)
    _add_grid(rows, rng)
    _add_imports(rows, rng)
    _add_words(rows, rng)
    return rows


@pytest.fixture(scope="module")
def warehouse(raw: RawRows, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = raw.write(tmp_path_factory.mktemp("more") / "warehouse.duckdb")
    run = subprocess.run(
        [
            str(Path(sys.executable).with_name("dbt")), "build",
            "--target-path", str(path.parent / "target"), "--log-path", str(path.parent / "logs"),
            "--exclude-resource-type", "unit_test", "--select", *(f"+{mart}" for mart in MARTS),
            "--exclude", "cells_are_their_tuned_jobs",
        ],
        cwd=ROOT, env=os.environ | {"WAREHOUSE": str(path)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout[-6_000:]
    return path


def _query(warehouse: Path, sql: str) -> list[Row]:
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        return _rows(connection.execute(sql))


def _rows(cursor: duckdb.DuckDBPyConnection) -> list[Row]:
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


@pytest.fixture(scope="module")
def evaluate(warehouse: Path, tmp_path_factory: pytest.TempPathFactory) -> Evaluate:
    compiled = {path.stem: path.read_text() for path in (warehouse.parent / "target" / "compiled").rglob("*.sql")}
    folder = tmp_path_factory.mktemp("tables")

    def run(model: str, **tables: Sequence[Row]) -> list[Row]:
        with duckdb.connect() as connection:
            for schema in ("staging", "intermediate", "marts"):
                connection.execute(f"create schema {schema}")
            for name, rows in tables.items():
                schema = {"stg": "staging", "int": "intermediate"}.get(name[:3], "marts")
                pl.DataFrame(rows, infer_schema_length=None).write_parquet(folder / f"{name}.parquet")
                connection.execute(f"create table {schema}.{name} as from '{folder / name}.parquet'")
            return _rows(connection.execute(compiled[model]))

    return run


def _grid(
    deltas: np.ndarray, study: str = "s", sources: Sequence[Key] | None = None, targets: Sequence[Key] | None = None
) -> Iterator[Row]:
    """int_role_grid of delta [models, sources, targets]; NaN is no cell. By default one task and no common language."""
    sources = sources or [("t", f"s{i:03}") for i in range(deltas.shape[1])]
    targets = targets or [("t", f"t{i:03}") for i in range(deltas.shape[2])]
    for (m, s, e), delta in np.ndenumerate(deltas):
        if not np.isnan(delta):
            yield {
                "study": study, "variant": "default", "prompt_pool": "p", "scope": "all", "model": f"m{m:03}",
                "source_task": sources[s][0], "source_language": sources[s][1], "target_task": targets[e][0],
                "target_language": targets[e][1], "regime": _regime(sources[s], targets[e]), "delta_pp": float(delta),
                "is_in_complete_grid": True,
            }  # fmt: skip


def _regime(source: Key, target: Key) -> str:
    return f"{'M' if source[0] == target[0] else 'C'}T-{'M' if source[1] == target[1] else 'C'}L"


STUDY = [{"study": "s", "origin": "computed"}]


@pytest.fixture(scope="module")
def deltas(warehouse: Path) -> np.ndarray:
    """delta_pp of study grid, [models, sources, targets]; NaN for MT-ML."""
    found = np.full((len(FAMILIES), len(SOURCES), len(TARGETS)), np.nan)
    for row in _query(warehouse, "select * from marts.fct_transfer where study = 'grid' and control is null"):
        source, target = (
            tuple(row[f"{side}_{part}"] for part in ("task", "language")) for side in ("source", "target")
        )
        if source != target:
            found[list(FAMILIES).index(row["model"]), SOURCES.index(source), TARGETS.index(target)] = row["delta_pp"]
    assert np.isnan(found).sum() == len(FAMILIES) * len(SOURCES)
    return found


# --- distributions --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("skewness", [0.0, 1e-3, 0.05, 0.12, 0.5, 1.0, 2.0, 2.8])
def test_pearson_survival_is_scipys(skewness: float) -> None:
    macros = "".join(
        (ROOT / "dbt_project" / "macros" / f"{name}.sql").read_text() for name in ("student_t", "survival")
    )
    expression = jinja2.Template(macros + "{{ pearson_survival('points.z', 'points.skewness') }}").render()
    z = np.linspace(-3, 8, 45)
    with duckdb.connect() as connection:
        connection.execute(
            "create table points as select unnest(?) as z, ?::double as skewness", [z.tolist(), skewness]
        )
        found = [row[0] for row in connection.execute(f"select {expression} from points order by z").fetchall()]
    expected = stats.pearson3.sf(z, skewness)
    np.testing.assert_allclose(
        found, expected, rtol=2e-3 if skewness < 0.1 else 1e-8, atol=1e-4 if skewness < 0.1 else 0
    )


# --- consistency ----------------------------------------------------------------------------------------------


def _mean_tau(values: np.ndarray) -> float:
    """Over pairs of rows [models, targets]."""
    return float(np.mean([stats.kendalltau(a, b).statistic for a, b in itertools.combinations(values, 2)]))


def _permuted_p(values: np.ndarray, n: int = 3000) -> float:
    rng = np.random.default_rng(5)
    i, j = np.triu_indices(values.shape[1], 1)

    def mean_tau(drawn: np.ndarray) -> np.ndarray:
        signs = np.sign(drawn[..., i] - drawn[..., j])
        unit = signs / np.linalg.norm(signs, axis=-1, keepdims=True)
        m = len(values)
        return ((unit.sum(axis=-2) ** 2).sum(axis=-1) - m) / (m * (m - 1))

    drawn = mean_tau(rng.permuted(np.tile(values, (n, 1, 1)), axis=2))
    return float(np.mean(drawn >= mean_tau(values) - 1e-9))


def test_consistency_of_a_study(warehouse: Path, deltas: np.ndarray) -> None:
    rows = _query(warehouse, "select * from marts.rpt_consistency where study = 'grid'")
    assert len(rows) == len(SOURCES) * 4
    for row in rows:
        source = (row["source_task"], row["source_language"])
        inside = [
            e for e, target in enumerate(TARGETS)
            if target != source and row["regime"] in ("transfer", _regime(source, target))
        ]  # fmt: skip
        values = deltas[:, SOURCES.index(source), inside]
        assert (row["n_targets"], row["n_model_pairs"]) == (len(inside), 10)
        if len(inside) < 4:
            assert (row["kendall_tau_b"], row["p_value"]) == (None, None)
        else:
            assert row["kendall_tau_b"] == pytest.approx(_mean_tau(values))
            assert row["p_value"] == pytest.approx(_permuted_p(values), abs=0.045)
    assert {row["n_targets"] for row in rows} == {2, 3, 6, 11}


@pytest.mark.parametrize(("n_models", "n_targets", "steps"), [(2, 5, 3), (3, 8, 100), (2, 14, 6), (9, 30, 40)])
def test_p_of_consistency_holds_its_level(evaluate: Evaluate, n_models: int, n_targets: int, steps: int) -> None:
    """Over 250 sources of noise with ties; and it agrees with brute-force permutation on some."""
    n = 250
    values = np.random.default_rng(n_targets).integers(0, steps, (n_models, n, n_targets)).astype(float)
    found = _consistency(evaluate, values)
    p = np.array([row["p_value"] for row in found if row["n_model_pairs"]])
    assert len(p) > 0.95 * n
    for level in (0.05, 0.2):
        # Not beyond the level but by chance, and well used where ties are few.
        assert np.mean(p <= level) <= level + 3.5 * np.sqrt(level / n)
    if steps > 20:
        assert np.mean(p <= 0.2) >= 0.13
    for s in range(0, n, 50):
        if found[s]["n_model_pairs"] == n_models * (n_models - 1) / 2:
            assert found[s]["p_value"] == pytest.approx(_permuted_p(values[:, s]), abs=0.05 if n_targets < 11 else 0.03)


def _consistency(evaluate: Evaluate, values: np.ndarray) -> list[Row]:
    """Rows of regime MT-CL by source, of delta [models, sources, targets]."""
    rankings = evaluate("int_target_rankings", int_role_grid=list(_grid(values)))
    found = evaluate("rpt_consistency", int_target_rankings=rankings, stg_studies=STUDY)
    return sorted((row for row in found if row["regime"] == "MT-CL"), key=lambda row: row["source_language"])


@pytest.mark.parametrize("n_targets", [11, 30])
def test_p_of_two_models_with_ties_is_scipys(evaluate: Evaluate, n_targets: int) -> None:
    values = np.random.default_rng(1).integers(0, 7, (2, 12, n_targets)).astype(float)
    for s, row in enumerate(_consistency(evaluate, values)):
        expected = stats.kendalltau(*values[:, s], method="asymptotic", alternative="greater")
        assert row["kendall_tau_b"] == pytest.approx(expected.statistic)
        assert row["p_value"] == pytest.approx(expected.pvalue, rel=1e-3)


@settings(max_examples=3, deadline=None, derandomize=True)
@given(st.integers(0, 10_000), st.sampled_from([6, 12]))
def test_consistency_sees_ranks_only(evaluate: Evaluate, seed: int, n_targets: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 9, (3, 4, n_targets)).astype(float)
    stretched = np.exp(values) * [[[1.0]], [[7.0]], [[2.0]]] - 5
    for one, other in zip(_consistency(evaluate, values), _consistency(evaluate, stretched), strict=True):
        assert (one["kendall_tau_b"], one["p_value"]) == (
            pytest.approx(other["kendall_tau_b"]),
            pytest.approx(other["p_value"]),
        )
    agreeing = _consistency(evaluate, np.tile(rng.permutation(n_targets).astype(float), (3, 4, 1)))
    assert all(row["kendall_tau_b"] == pytest.approx(1) and row["p_value"] < 0.02 for row in agreeing)


def test_a_model_without_differences_ranks_nothing(evaluate: Evaluate) -> None:
    values = np.stack([np.arange(6.0), np.arange(6.0), np.zeros(6), np.zeros(6)])[:, None, :]
    (row,) = _consistency(evaluate, values)
    assert (row["kendall_tau_b"], row["n_model_pairs"]) == (pytest.approx(1), 1)
    (row,) = _consistency(evaluate, values[1:3])
    assert (row["kendall_tau_b"], row["p_value"], row["n_model_pairs"]) == (None, None, 0)


# --- variance -------------------------------------------------------------------------------------------------

NAMES = ("model", "source", "target", "model_source", "model_target", "source_target", "residual")


def _mean_squares(y: np.ndarray) -> dict[str, float]:
    """Components of a crossed layout [models, sources, targets] from its mean squares (textbook three-way ANOVA)."""
    sets = [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2)]
    effects: dict[Key, np.ndarray] = {(): y.mean(keepdims=True)}
    ms: dict[Key, float] = {}
    for kept in sets:
        mean = y.mean(axis=tuple(set(range(3)) - set(kept)), keepdims=True)
        effects[kept] = mean - sum(effect for other, effect in effects.items() if set(other) < set(kept))
        degrees = np.prod([y.shape[axis] - 1 for axis in kept])
        ms[kept] = float((effects[kept] ** 2).sum() * y.size / effects[kept].size / degrees)
    sizes = y.shape
    found = [(ms[i, j] - ms[0, 1, 2]) / sizes[3 - i - j] for i, j in ((0, 1), (0, 2), (1, 2))]
    singles = [
        (ms[(i,)] - ms[min(i, j), max(i, j)] - ms[min(i, k), max(i, k)] + ms[0, 1, 2]) / (sizes[j] * sizes[k])
        for i, j, k in ((0, 1, 2), (1, 0, 2), (2, 0, 1))
    ]
    return dict(zip(NAMES, [*singles, *found, ms[0, 1, 2]], strict=True))


def _shares(components: dict[str, float]) -> dict[str, float]:
    kept = {name: max(value, 0) for name, value in components.items()}
    return {name: value / sum(kept.values()) for name, value in kept.items()}


def _variance(evaluate: Evaluate, grid: list[Row], errors: float | None = None, shared: float = 0) -> dict[Key, float]:
    """(regime, component) -> share."""
    names = ("study", "variant", "model", "source_task", "source_language", "target_task", "target_language")
    columns = {tuple(row[name] for name in ("model", "target_task", "target_language")) for row in grid}
    found = evaluate(
        "rpt_variance",
        int_role_grid=grid,
        fct_transfer=[
            {name: row[name] for name in names} | {"prompt": "p", "control": None, "delta_se": errors} for row in grid
        ],
        int_prompt_pools=[{"study": "s", "variant": "default", "prompt": "p", "prompt_pool": "p"}],
        int_sampling_covariance=[
            {"study": "s", "variant": "default", "prompt_pool": "p", "model": model, "target_task": task,
             "target_language": language, "covariance_pp2": shared}
            for model, task, language in columns
        ],
        stg_studies=STUDY,
    )  # fmt: skip
    return {(row["regime"], row["component"]): row["share"] for row in found}


def test_variance_of_a_crossed_layout_is_that_of_mean_squares(warehouse: Path, raw: RawRows) -> None:
    key = raw.job("crossed", "importer", file="crossed")
    published = [row for row in raw.rows["aggregate_scores"] if row["job_key"] == key]
    y = np.array([row["delta_pp"] for row in published]).reshape(4, 5, 6)
    components = _mean_squares(y)
    components["sampling"] = float(np.mean([row["delta_stderr"] ** 2 for row in published]))
    components["residual"] -= components["sampling"]
    expected = _shares(components)
    for regime in ("MT-CL", "transfer"):
        rows = _query(warehouse, f"select * from marts.rpt_variance where study = 'crossed' and regime = '{regime}'")
        assert {row["component"]: row["share"] for row in rows} == pytest.approx(expected, abs=1e-9)


def test_variance_needs_three_models_and_errors_of_every_cell(warehouse: Path, raw: RawRows) -> None:
    pair = _query(warehouse, "select share from marts.rpt_variance where study = 'pair'")
    assert [row["share"] for row in pair] == [None] * 16
    key = raw.job("blind", "importer", file="blind")
    y = np.array([row["delta_pp"] for row in raw.rows["aggregate_scores"] if row["job_key"] == key]).reshape(4, 5, 6)
    blind = _query(warehouse, "select * from marts.rpt_variance where study = 'blind' and regime = 'transfer'")
    expected = {**_shares(_mean_squares(y)), "sampling": None}
    found = {row["component"]: row["share"] for row in blind}
    assert found.pop("sampling") is expected.pop("sampling")
    assert found == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("regime", ["MT-CL", "CT-CL", "transfer"])
def test_variance_where_regimes_leave_out_cells(evaluate: Evaluate, deltas: np.ndarray, regime: str) -> None:
    """Against all pairs of cells, one by one; within a task for MT-CL."""
    cells = [
        (m, SOURCES[s], TARGETS[e], delta)
        for (m, s, e), delta in np.ndenumerate(deltas)
        if not np.isnan(delta) and regime in ("transfer", _regime(SOURCES[s], TARGETS[e]))
    ]
    halves = defaultdict(list)
    for one, other in itertools.combinations(cells, 2):
        if regime != "MT-CL" or one[2][0] == other[2][0]:
            agree = tuple(a == b for a, b in zip(one[:3], other[:3], strict=True))
            halves[agree].append((one[3] - other[3]) ** 2 / 2)
    v = {agree: np.mean(values) for agree, values in halves.items()}
    none, model, source, target = (
        v[k] for k in ((False,) * 3, (True, False, False), (False, True, False), (False, False, True))
    )
    both = [v[k] for k in ((True, True, False), (True, False, True), (False, True, True))]
    components = dict(zip(NAMES, [
        none - model, none - source, none - target, model + source - none - both[0], model + target - none - both[1],
        source + target - none - both[2], none - model - source - target + sum(both),
    ], strict=True))  # fmt: skip
    found = _variance(evaluate, list(_grid(deltas, sources=SOURCES, targets=TARGETS)))
    assert {name: found[regime, name] for name in NAMES} == pytest.approx(_shares(components), abs=1e-9)


def test_planted_variance_is_found(evaluate: Evaluate) -> None:
    """Known components and known errors, of which part is one draw for a model and target."""
    rng = np.random.default_rng(11)
    shape = (40, 36, 36)
    planted = dict(zip(NAMES, (1.0, 2.0, 3.0, 0.5, 1.0, 1.5, 0.8), strict=True))
    axes = ((0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2))
    y = np.zeros(shape)
    for (_, variance), kept in zip(planted.items(), axes, strict=True):
        y = y + rng.normal(0, np.sqrt(variance), [n if axis in kept else 1 for axis, n in enumerate(shape)])
    y = y + rng.normal(0, np.sqrt(0.7), (shape[0], 1, shape[2])) + rng.normal(0, np.sqrt(0.5), shape)
    found = _variance(evaluate, list(_grid(y)), errors=float(np.sqrt(1.2)), shared=0.7)
    expected = _shares({**planted, "sampling": 1.2})
    for name, share in expected.items():
        assert found["MT-CL", name] == pytest.approx(share, abs=0.07 if len(name) < 7 else 0.02), name


@settings(max_examples=5, deadline=None, derandomize=True)
@given(st.integers(0, 10_000), st.floats(-50, 50), st.floats(0.1, 20))
def test_shares_know_neither_origin_nor_unit(evaluate: Evaluate, seed: int, shift: float, scale: float) -> None:
    y = np.random.default_rng(seed).normal(0, 3, (3, 4, 5)) + np.random.default_rng(seed + 1).normal(0, 2, (1, 4, 1))
    before = _variance(evaluate, list(_grid(y)), errors=1.0, shared=0.5)
    after = _variance(evaluate, list(_grid(y * scale + shift)), errors=scale, shared=0.5 * scale**2)
    assert before == pytest.approx(after, abs=1e-7)
    assert sum(share for (regime, _), share in before.items() if regime == "MT-CL") == pytest.approx(1)


def test_covariance_of_sampling_errors(warehouse: Path) -> None:
    """Against NumPy's covariance matrix over items of the differences, source by source."""
    answers = _query(
        warehouse,
        "select cells.model, cells.target_task, cells.target_language, cells.cell_number, items.item_id,"
        " items.n_correct / items.n_seeds - items.baseline_correct as d"
        " from intermediate.int_cell_items as items"
        " join intermediate.int_transfer_cells as cells on items.cell_number = cells.cell_number"
        " where cells.study = 'grid' and cells.control is null and cells.regime != 'MT-ML'"
        " order by cells.cell_number, items.item_id",
    )
    by_column: dict[Key, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in answers:
        by_column[row["model"], row["target_task"], row["target_language"]][row["cell_number"]].append(row["d"])
    found = _query(warehouse, "select * from intermediate.int_sampling_covariance where study = 'grid'")
    assert len(found) == len(by_column) == len(FAMILIES) * len(TARGETS)
    for row in found:
        matrix = np.cov(list(by_column[row["model"], row["target_task"], row["target_language"]].values())) / N_ITEMS
        expected = 1e4 * matrix[~np.eye(len(matrix), dtype=bool)].mean()
        assert row["covariance_pp2"] == pytest.approx(expected)


# --- advice ---------------------------------------------------------------------------------------------------


def test_advice(warehouse: Path, deltas: np.ndarray) -> None:
    rows = _query(warehouse, "select * from marts.rpt_advice where study = 'grid'")
    assert len(rows) == len(SOURCES) * len(TARGETS) - len(SOURCES)
    expected = deltas.mean(axis=0)
    for row in rows:
        s = SOURCES.index((row["source_task"], row["source_language"]))
        e = TARGETS.index((row["target_task"], row["target_language"]))
        elsewhere = [other for other in range(len(TARGETS)) if other != e and not np.isnan(expected[s, other])]
        low, high = stats.t.interval(0.95, 4, expected[s, e], stats.sem(deltas[:, s, e]))
        assert row["expected_gain_pp"] == pytest.approx(expected[s, e])
        assert (row["ci_low"], row["ci_high"]) == (pytest.approx(low, rel=1e-4), pytest.approx(high, rel=1e-4))
        assert row["worst_harm_pp"] == pytest.approx(expected[s, elsewhere].min())
        assert row["p_harm"] == pytest.approx(np.mean(deltas[:, s, elsewhere] <= -5.0))
        assert row["rank"] == 1 + np.sum(expected[:, e] > expected[s, e] + 1e-9)
        assert row["n_models"] == 5


def _half(warehouse: Path) -> dict[Key, tuple[float, float]]:
    """(model, source, target) -> delta_pp on either half, from the items themselves."""
    sums: dict[Key, np.ndarray] = defaultdict(lambda: np.zeros((2, 2)))
    for row in _query(
        warehouse,
        "select cells.*, items.n_seeds as n, items.parallel_number,"
        " items.n_correct - items.n_seeds * items.baseline_correct as gain from intermediate.int_cell_items as items"
        " join intermediate.int_transfer_cells as cells on items.cell_number = cells.cell_number"
        " where cells.study = 'grid' and cells.control is null and cells.regime != 'MT-ML'",
    ):
        digest = hashlib.md5(str(row["parallel_number"]).encode()).digest()
        key = (
            row["model"], (row["source_task"], row["source_language"]), (row["target_task"], row["target_language"])
        )  # fmt: skip
        sums[key][digest[8] % 2] += (row["gain"], row["n"])
    return {key: (100 * a[0] / a[1], 100 * b[0] / b[1]) for key, (a, b) in sums.items()}


def _orders(preferred: Sequence[int], others: Sequence[int], k: int) -> Iterator[tuple[int, ...]]:
    """Every ordered choice of the first k: the preferred ones in any order, then the others in any order."""
    for first in itertools.permutations(preferred, min(k, len(preferred))):
        for rest in itertools.permutations(others, k - len(first)):
            yield first + rest


def test_advice_is_evaluated_on_what_it_has_not_seen(warehouse: Path, deltas: np.ndarray) -> None:
    halves = _half(warehouse)
    digests = [
        int.from_bytes(hashlib.md5("/".join(source).encode()).digest()[8:], "little") for source in SOURCES
    ]  # fmt: skip
    found = {
        (row["recommender"], row["held_out_kind"], row["held_out"], row["k"]): row
        for row in _query(warehouse, "select * from marts.rpt_advice_eval where study = 'grid'")
    }
    folds = [("model", model) for model in FAMILIES] + [("family", family) for family in "xyz"]
    assert set(found) == {
        (name, *fold, k)
        for name in ("advice", "same_language", "same_task", "english", "random")
        for fold in folds
        for k in (1, 3)
    }
    for (name, kind, held_out, k), row in found.items():
        if k == 3 and held_out in ("b@1", "c@1", "e@1"):
            continue  # the same again, and slow
        inside = [m for m, model in enumerate(FAMILIES) if held_out in (model, FAMILIES[model])]
        asked = deltas[[m for m in range(len(FAMILIES)) if m not in inside]].mean(axis=0)
        regrets, ndcgs = [], []
        for m, (e, target) in itertools.product(inside, enumerate(TARGETS)):
            sources = [s for s, source in enumerate(SOURCES) if source != target]
            preferred = {
                "advice": sorted(sources, key=lambda s: -round(asked[s, e], 9)),
                "same_language": [s for s in sources if SOURCES[s][1] == target[1]],
                "same_task": [s for s in sources if SOURCES[s][0] == target[0]],
                "english": [s for s in sources if SOURCES[s][1] == "en"],
                "random": sources,
            }[name]
            orders = (
                [tuple(preferred[:k])]
                if name == "advice"
                else list(_orders(preferred, [s for s in sources if s not in preferred], k))
            )
            half = {s: halves[list(FAMILIES)[m], SOURCES[s], target] for s in sources}
            gain = {s: max(deltas[m, s, e], 0) for s in sources}
            for chooser in (0, 1):
                by_half = sorted(sources, key=lambda s: (-half[s][chooser], digests[s]))
                picks = [half[min(order, key=by_half.index)][1 - chooser] for order in orders]
                regrets.append(half[by_half[0]][1 - chooser] - np.mean(picks))
            discounts = 1 / np.log2(np.arange(k) + 2)
            ideal = sorted(gain.values(), reverse=True)[:k] @ discounts
            if ideal > 0:
                ndcgs.append(np.mean([[gain[s] for s in order] @ discounts for order in orders]) / ideal)
        assert row["regret"] == pytest.approx(np.mean(regrets)), (name, kind, held_out, k)
        assert row["ndcg"] == pytest.approx(np.mean(ndcgs)), (name, kind, held_out, k)
        assert row["n_targets"] == len(inside) * len(TARGETS)


def test_imports_have_no_halves_but_an_order(warehouse: Path) -> None:
    rows = _query(warehouse, "select * from marts.rpt_advice_eval where study = 'crossed'")
    assert {row["recommender"] for row in rows} == {"advice", "same_task", "random"}  # no English, no common language
    assert {row["regret"] for row in rows} == {None}
    assert all(0 < row["ndcg"] <= 1 for row in rows)


def test_the_verb_says_what_the_mart_says(warehouse: Path) -> None:
    rows = _query(
        warehouse,
        "select * from marts.rpt_advice where study = 'grid' and target_task = 'sort' and target_language = 'fi'",
    )
    expected = {f"{row['source_task']}/{row['source_language']}": row for row in rows}
    found = advice(Warehouse(warehouse), "grid", ["sort/fi"])
    assert len(found) == len(expected) == len(SOURCES)
    for one in found:
        row = expected[one.source]
        for name in ("expected_gain_pp", "worst_harm_pp", "p_harm", "n_models"):
            assert getattr(one, name) == pytest.approx(row[name])
        assert (one.ci_low, one.ci_high) == (pytest.approx(row["ci_low"], 1e-4), pytest.approx(row["ci_high"], 1e-4))
    assert [one.source for one in found] == sorted(expected, key=lambda source: expected[source]["rank"])


# --- embeddings -----------------------------------------------------------------------------------------------


def _ranks(raw: RawRows) -> dict[Key, dict[int, list[float]]]:
    """(method, size, retrieval, source, target) -> row of the dictionary -> reciprocal rank by seed."""
    found: dict[Key, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in raw.rows["bli_ranks"]:
        key = (row["method"], row["dictionary_size"], row["retrieval"], row["source_language"], row["target_language"])
        if row["rank"] is not None:
            found[key][row["pair_number"]].append(1 / row["rank"])
    return found


def _map(ranks: dict[int, list[float]]) -> float:
    """Mean over seeds of the mean over rows."""
    return float(np.mean(list(ranks.values())))


def test_methods_without_a_dictionary_compete_at_every_size(warehouse: Path, raw: RawRows) -> None:
    ranks = _ranks(raw)
    found = {
        (row["method"], row["dictionary_size"], row["retrieval"], row["scope"]): row
        for row in _query(warehouse, "select * from marts.rpt_bli_methods where study = 'words'")
    }
    assert len(found) == len(METHODS) * 2 * 2
    for (method, size, retrieval, scope), row in found.items():
        pairs = PAIRS if scope == "all" else [pair for pair in PAIRS if pair != ("de", "hr")]  # where MUSE fails
        assert row["n_pairs"] == len(pairs)
        assert row["n_failures"] == (method == "MUSE" and scope == "all")
        assert row["mean_map"] == pytest.approx(
            np.mean([_map(ranks[method, size, retrieval, *pair]) for pair in pairs])
        )


def test_pairs_of_methods(warehouse: Path, raw: RawRows) -> None:
    ranks = _ranks(raw)
    rng = np.random.default_rng(3)
    rows = _query(warehouse, "select * from marts.rpt_bli_method_pairs where study = 'words'")
    compared = {(row["method"], row["other_method"], row["dictionary_size"], row["retrieval"]) for row in rows}
    assert compared == {
        (one, other, size, retrieval)
        for size, methods in ((100, ("MUSE", "PROC", "RCSLS")), (500, ("MUSE", "PROC", "RCSLS", "VECMAP")))
        for one, other in itertools.combinations(methods, 2)
        for retrieval in ("cosine", "csls")
    }
    flips = rng.choice([-1.0, 1.0], (20_000, N_CONCEPTS - 5))
    for row in rows:
        concepts = np.zeros(N_CONCEPTS - 5)
        for pair in PAIRS:
            one, other = (
                ranks[name, 0 if name == "MUSE" else row["dictionary_size"], row["retrieval"], *pair]
                for name in (row["method"], row["other_method"])
            )
            for number in one:
                difference = np.mean(one[number]) - np.mean(other[number])
                concepts[number % (N_CONCEPTS - 5)] += difference / len(one) / len(PAIRS)
        p = np.mean(abs(flips @ concepts) >= abs(concepts.sum()) - 1e-12)
        comparisons = 3 if row["dictionary_size"] == 100 else 6
        assert row["difference"] == pytest.approx(concepts.sum())
        noise = 5 * np.sqrt(p * (1 - p) / 5_120) + 4e-4
        assert row["p_value"] == pytest.approx(min(1, comparisons * p), abs=comparisons * noise)
        drawn = rng.choice(concepts, (4_000, len(concepts))).sum(axis=1)
        assert (row["ci_high"] - row["ci_low"]) / 2 / 1.959964 == pytest.approx(drawn.std(), rel=0.06)
        assert (row["ci_high"] + row["ci_low"]) / 2 == pytest.approx(row["difference"])
    assert min(row["p_value"] for row in rows) < 0.01 < 0.1 < max(row["p_value"] for row in rows)


def test_p_of_method_pairs_holds_its_level(evaluate: Evaluate) -> None:
    """Two hundred studies of two methods that differ by noise alone, a few concepts by much more than the rest."""
    rng = np.random.default_rng(8)
    shared = {"variant": "v", "vector_set": "w", "retrieval": "csls", "method": "a", "other_method": "b"}
    rows = [
        {"study": f"s{s:03}", **shared, "dictionary_size": 500, "concept_id": f"c{c}", "difference": float(d)}
        for s in range(200)
        for c, d in enumerate(rng.normal(0, 1, 25) * np.where(np.arange(25) < 4, 8, 1))
    ]
    studies = [{"study": f"s{s:03}", "origin": "computed"} for s in range(200)]
    p = np.array(
        [row["p_value"] for row in evaluate("rpt_bli_method_pairs", int_concept_differences=rows, stg_studies=studies)]
    )
    assert len(p) == 200
    for level in (0.05, 0.2):
        assert np.mean(p <= level) == pytest.approx(level, abs=3.5 * np.sqrt(level / 200))


def test_downstream_scores(warehouse: Path, raw: RawRows) -> None:
    runs: dict[Key, dict[int | None, list[Row]]] = defaultdict(lambda: defaultdict(list))
    for row in raw.rows["downstream_items"]:
        key = tuple(
            row[name]
            for name in ("method", "dictionary_size", "source_language", "target_language", "task", "classifier")
        )
        runs[key][row["seed"]].append(row)
    found = _query(warehouse, "select * from marts.fct_downstream where study = 'words'")
    sample = np.random.default_rng(4).choice(len(found), 150, replace=False)
    metrics = {"xnli": ("accuracy",), "cldc": ("micro_f1", "macro_f1"), "clir": ("map",)}
    assert len(found) == sum(len(metrics[key[4]]) for key in runs)
    for row in [found[i] for i in sample]:
        assert row["metric"] in metrics[row["task"]]
        key = tuple(
            row[name]
            for name in ("method", "dictionary_size", "source_language", "target_language", "task", "classifier")
        )
        scores = []
        for items in runs[key].values():
            gold = [item["gold"] for item in items]
            predicted = [item["prediction"] or "nothing" for item in items]
            labels = sorted({*gold, *predicted} - {"nothing"}) if row["task"] != "clir" else []
            scores.append(
                np.mean([item["score"] for item in items])
                if row["metric"] == "map"
                else np.mean([g == p for g, p in zip(gold, predicted, strict=True)])
                if row["metric"] == "accuracy"
                else f1_score(gold, predicted, labels=labels, average=row["metric"][:5], zero_division=0)
            )
        assert row["score"] == pytest.approx(np.mean(scores))


def test_lexicon_induction_against_downstream(warehouse: Path, raw: RawRows) -> None:
    ranks = _ranks(raw)
    scores = defaultdict(list)
    for row in _query(warehouse, "select * from marts.fct_downstream where study = 'words' and metric != 'macro_f1'"):
        key = (row["task"], row["classifier"], (row["source_language"], row["target_language"]))
        scores[key].append(((row["method"], row["dictionary_size"]), row["score"]))
    rows = _query(warehouse, "select * from marts.rpt_bli_downstream where study = 'words'")
    assert {row["task"] for row in rows} == {"xnli", "cldc", "clir"}
    for row in rows:
        x, y = (np.zeros((len(METHODS), len(PAIRS))) for _ in "xy")
        for j, pair in enumerate(PAIRS):
            x[:, j] = [_map(ranks[name, size, "csls", *pair]) for name, size in METHODS]
            of_pair = [dict(values) for key, values in scores.items() if (key[0], key[2]) == (row["task"], pair)]
            y[:, j] = np.mean([[one[method] for method in METHODS] for one in of_pair], axis=0)
        x, y = (np.round(z - z.mean(axis=0), 12) for z in (x, y))
        assert row["n"] == x.size
        assert row["spearman"] == pytest.approx(stats.spearmanr(x.ravel(), y.ravel()).statistic)
        assert row["pearson"] == pytest.approx(np.corrcoef(x.ravel(), y.ravel())[0, 1])
        a, b = (stats.rankdata(z).reshape(z.shape) for z in (x, y))
        all_orders = [
            np.corrcoef(a[list(order)].ravel(), b.ravel())[0, 1]
            for order in itertools.permutations(range(len(METHODS)))
        ]
        assert row["p_value"] == pytest.approx(np.mean(np.abs(all_orders) >= abs(row["spearman"]) - 1e-9), abs=0.03)


def test_language_pairs_against_transfer(warehouse: Path) -> None:
    """The two parts apart; a distance landed for one direction serves both and has no antisymmetric part."""
    pairs = {
        (row["source_language"], row["target_language"]): row
        for row in _query(warehouse, "select * from marts.rpt_language_pairs where study = 'joined'")
    }
    assert set(pairs) == set(PAIRS)

    def matrix(name: str) -> np.ndarray:
        return np.array([[pairs[a, b][name] if a != b else 0.0 for b in LANGUAGES] for a in LANGUAGES])

    transfer = matrix("transfer_pp")
    rows = {
        row["measure"]: row
        for row in _query(warehouse, "select * from marts.rpt_pair_correlations where study = 'joined'")
    }
    assert set(rows) == {"bli_map", "syntactic"}
    for measure, row in rows.items():
        values = matrix(measure)
        assert (row["embedding_study"], row["vectors"], row["n_languages"]) == ("words", "web", 6)
        rho, p = exact_mantel(values + values.T, transfer + transfer.T)
        assert (row["spearman"], row["p_value"]) == (pytest.approx(rho), pytest.approx(p, abs=0.03))
        off = ~np.eye(6, dtype=bool)
        even, odd = ((transfer + sign * transfer.T)[off].var() for sign in (1, -1))
        assert row["antisymmetric_share"] == pytest.approx(odd / (even + odd))
        if measure == "syntactic":
            assert (row["antisymmetric_spearman"], row["antisymmetric_p_value"]) == (None, None)
        else:
            rho, p = exact_mantel(values - values.T, transfer - transfer.T)
            assert row["antisymmetric_spearman"] == pytest.approx(rho)
            assert row["antisymmetric_p_value"] == pytest.approx(p, abs=0.03)
    (few,) = _query(
        warehouse, "select * from marts.rpt_pair_correlations where study = 'few' and measure = 'bli_map'"
    )  # fmt: skip
    assert (few["spearman"], few["p_value"], few["n_languages"]) == (None, None, 4)


def test_the_study_says_which_lexicon_induction_stands_for_a_pair(warehouse: Path, raw: RawRows) -> None:
    ranks = _ranks(raw)
    for study, *asked in (("joined", "PROC", 500, "csls"), ("chosen", "RCSLS", 100, "cosine")):
        rows = _query(warehouse, f"select * from marts.rpt_language_pairs where study = '{study}'")
        assert len(rows) == len(PAIRS)
        for row in rows:
            assert row["embedding_study"] == "words"
            expected = _map(ranks[*asked, row["source_language"], row["target_language"]])
            assert row["bli_map"] == pytest.approx(expected)


def _pair_parts(study: str, x: np.ndarray, y: np.ndarray) -> Iterator[Row]:
    """int_pair_parts of two symmetric matrices; NaN is not known."""
    for i, j in itertools.permutations(range(len(x)), 2):
        if not np.isnan(x[i, j] + y[i, j]):
            yield {
                "study": study, "origin": "computed", "embedding_study": study, "variant": "v", "prompt_pool": "p",
                "embedding_variant": "v", "vector_set": "w", "measure": "d", "part": "symmetric",
                "language": f"l{i}", "other_language": f"l{j}", "measure_value": float(x[i, j]),
                "transfer_value": float(y[i, j]),
            }  # fmt: skip


def test_mantel_holds_its_level_where_pairs_share_languages(evaluate: Evaluate) -> None:
    """Values are sums of both languages' own, so pairs are anything but independent, and a plain test is fooled."""
    rng = np.random.default_rng(21)
    plain, rows = [], []
    for s in range(100):
        x, y = (own[:, None] + own[None, :] for own in rng.normal(size=(2, 7)))
        upper = np.triu_indices(7, 1)
        plain.append(stats.spearmanr(x[upper], y[upper]).pvalue)
        rows += _pair_parts(f"s{s:03}", x, y)
    p = np.array([row["p_value"] for row in evaluate("rpt_pair_correlations", int_pair_parts=rows)])
    assert len(p) == 100
    assert np.mean(np.array(plain) <= 0.05) > 0.2
    assert np.mean(p <= 0.05) <= 0.05 + 3.5 * np.sqrt(0.05 / 100)
    assert np.mean(p <= 0.5) == pytest.approx(0.5, abs=0.16)


@settings(max_examples=3, deadline=None, derandomize=True)
@given(st.integers(0, 10_000))
def test_names_of_languages_do_not_matter(evaluate: Evaluate, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = (z + z.T for z in rng.normal(size=(2, 8, 8)))
    x[0, 1] = x[1, 0] = np.nan  # and one pair may be missing
    order = rng.permutation(8)
    (one,) = evaluate("rpt_pair_correlations", int_pair_parts=list(_pair_parts("s", x, y)))
    (other,) = evaluate(
        "rpt_pair_correlations", int_pair_parts=list(_pair_parts("s", x[np.ix_(order, order)], y[np.ix_(order, order)]))
    )
    known = ~np.isnan(x) & ~np.eye(8, dtype=bool)
    assert one["spearman"] == pytest.approx(other["spearman"])
    assert one["spearman"] == pytest.approx(stats.spearmanr(x[known], y[known]).statistic)
    assert one["p_value"] == pytest.approx(other["p_value"], abs=0.04)
    (turned,) = evaluate("rpt_pair_correlations", int_pair_parts=list(_pair_parts("s", -x, y)))
    assert (turned["spearman"], turned["p_value"]) == (pytest.approx(-one["spearman"]), one["p_value"])
    (same,) = evaluate("rpt_pair_correlations", int_pair_parts=list(_pair_parts("s", x, np.exp(x))))
    assert (same["spearman"], same["p_value"] < 0.002) == (pytest.approx(1), True)
