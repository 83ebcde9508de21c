"""The marts against the same numbers worked out in Python from the same raw rows: one `dbt build` for the module."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
from scipy import stats

from compute.raw_schema import dbt_sources
from tests.warehouse_fixture import RawRows

ROOT = Path(__file__).resolve().parents[2]
MODELS = {"one@1": "llama", "two@1": "llama", "three@1": "neox"}
LANGUAGES = ("de", "en", "fi", "fr")
SOURCES = [(task, language) for task in ("add", "read") for language in LANGUAGES[:3]]
TARGETS = [(task, language) for task in ("add", "read", "sort") for language in LANGUAGES]
PRIMARY = {"add": "acc", "read": "acc_norm", "sort": "acc_bytes"}
N_ITEMS = 24
BLI_LANGUAGES = ("de", "en", "fi", "fr", "ru")

Key = tuple[Any, ...]
Row = dict[str, Any]


# --- raw rows -------------------------------------------------------------------------------------------------


def _random_answers(rng: np.random.Generator) -> dict[str, Any]:
    """Three choices with log-probabilities on a coarse grid, so that ties are common."""
    return {
        "logprobs": (-rng.integers(1, 5, (N_ITEMS, 3))).astype(float).tolist(),
        "golds": rng.integers(0, 3, N_ITEMS).tolist(),
        "lengths": rng.integers(1, 4, (N_ITEMS, 3)).tolist(),
    }


def _add_grid(raw: RawRows, rng: np.random.Generator) -> None:
    """A complete grid with placebos; every task has a prompt of its own; items are parallel over languages."""
    raw.study("grid", harm_threshold_pp=2.0)
    for target in TARGETS:
        common: dict[str, Any] = {
            "target": target, "prompt": f"{target[0]}@1", "parallel_ids": [f"p{i}" for i in range(N_ITEMS)]
        }  # fmt: skip
        for model in MODELS:
            raw.scores("grid", model=model, **common, **_random_answers(rng))
            for source in SOURCES:
                for seed, control in ((1, None), (2, None), (1, "placebo")):
                    raw.scores(
                        "grid", model=model, source=source, seed=seed, control=control, **common,
                        **_random_answers(rng),
                    )  # fmt: skip


def _add_holes(raw: RawRows) -> None:
    """What an unfinished or odd study looks like."""
    yes, no = [True] * 10, [False] * 10
    raw.study("holes")
    for language in ("en", "fr", "it"):
        for prompt in ("p@1", "q@1"):
            if (language, prompt) != ("it", "q@1"):  # no baseline
                raw.scores("holes", model="one@1", target=("read", language), prompt=prompt, correct=no[:5] + yes[:5])
    raw.scores("holes", model="one@1", target=("read", "en"), prompt="p@1", variant="r32", correct=no)
    for language in ("en", "fr", "it"):
        for prompt, right in (("p@1", 7), ("q@1", 2)):
            for source in ("de", "es"):
                raw.scores(
                    "holes", model="one@1", source=("read", source), seed=1, target=("read", language), prompt=prompt,
                    correct=yes[:right] + no[right:], ran=(source, language, prompt) != ("es", "fr", "p@1"),
                )  # fmt: skip
    # Variant r32 has a baseline of its own on en only; its second seed did not answer the last item.
    for language in ("en", "fr"):
        for seed, n in ((1, 10), (2, 9)):
            raw.scores(
                "holes", model="one@1", source=("read", "de"), seed=seed, variant="r32", target=("read", language),
                prompt="p@1", correct=yes[:n],
            )  # fmt: skip
    # Another study asks for one of the same jobs, and for its baseline.
    raw.study("shares")
    for seed, source in ((None, None), (1, ("read", "de"))):
        raw.scores(
            "shares", model="one@1", source=source, seed=seed, target=("read", "en"), prompt="p@1",
            correct=no[:5] + yes[:5] if source is None else yes[:7] + no[7:],
        )  # fmt: skip


def _add_import(raw: RawRows) -> None:
    raw.study("published", origin="donors-recipients")
    key = raw.job("published", "donors-recipients", file="results.csv")
    for source, target, delta in (("ar", "bn", -0.5), ("ar", "cs", -1.0), ("ar", "ar", 3.25)):
        raw.add(
            "aggregate_scores", job_key=key, model="far@1", variant="default", source_task="arc",
            source_language=source, target_task="arc", target_language=target, prompt="paper@1", metric="acc_norm",
            score=0.31, baseline_score=0.30, delta_pp=delta, delta_stderr=0.2, n_items=400, n_seeds=3,
        )  # fmt: skip


def _add_words(raw: RawRows, rng: np.random.Generator) -> None:
    """Two methods on every pair of five languages, and transfer between the same languages in another study."""
    raw.study("words")
    raw.study("joined", compare_with="words")
    for source in BLI_LANGUAGES:
        raw.scores("joined", model="one@1", target=("parity", source), correct=[False] * 50)
        for target in BLI_LANGUAGES:
            if source == target:
                continue
            raw.scores(
                "joined", model="one@1", source=("parity", source), seed=1, target=("parity", target),
                correct=(rng.random(50) < 0.5).tolist(),
            )  # fmt: skip
            for method, scale in (("PROC", 6), ("VECMAP", 12)):
                for size in (100, 500) if method == "PROC" else (500,):
                    _add_ranks(raw, rng, method, size, scale, source, target)
            if source < target:  # measured once for both directions
                key = raw.job("words", "isometry", source=source, target=target)
                pair = {"job_key": key, "vectors": "web@f00", "source_language": source, "target_language": target}
                raw.add("isometry", **pair, measure="gromov_hausdorff", value=rng.random())
            key = raw.job("joined", "uriel")
            for measure in ("syntactic", "homemade"):
                raw.add(
                    "language_distances", job_key=key, source_language=source, target_language=target,
                    measure=measure, value=rng.random(),
                )  # fmt: skip


def _add_ranks(
    raw: RawRows, rng: np.random.Generator, method: str, size: int, scale: int, source: str, target: str
) -> None:
    key = raw.job("words", "bli", method=method, size=size, source=source, target=target)
    if method == "VECMAP" and (source, target) == ("fi", "ru"):
        scale = 100_000  # fails
    for retrieval in ("cosine", "csls"):
        for number in range(30):
            covered = rng.random() > 0.1
            raw.add(
                "bli_ranks", job_key=key, method=method, variant="default", vectors="web@f00", source_language=source,
                target_language=target, dictionary_size=size, seed=None, retrieval=retrieval, pair_number=number,
                concept_id=f"c{number}", query=f"w{number // 2}", gold=f"g{number}",
                rank=float(rng.integers(scale // 2, scale * 2)) / 2 + 1 if covered else None,
                is_leaked=number % 7 == 0, is_duplicate=number % 11 == 0, is_identical=False,
            )  # fmt: skip


@pytest.fixture(scope="module")
def raw() -> RawRows:
    rng = np.random.default_rng(20_191)
    rows = RawRows()
    for model, family in MODELS.items():
        rows.model(model, family, parameters=1_000)
    for task, metric in PRIMARY.items():
        rows.task(task, primary_metric=metric, chance=1 / 3)
    _add_grid(rows, rng)
    _add_holes(rows)
    _add_import(rows)
    _add_words(rows, rng)
    return rows


def _dbt(verb: str, warehouse: Path, *options: str) -> tuple[int, str]:
    folder = warehouse.parent
    run = subprocess.run(
        [
            str(Path(sys.executable).with_name("dbt")), verb,
            "--target-path", str(folder / "target"), "--log-path", str(folder / "logs"), *options,
        ],
        cwd=ROOT, env=os.environ | {"WAREHOUSE": str(warehouse)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return run.returncode, run.stdout + run.stderr


@pytest.fixture(scope="module")
def warehouse(raw: RawRows, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = raw.write(tmp_path_factory.mktemp("marts") / "warehouse.duckdb")
    code, output = _dbt("build", path)
    assert code == 0, output[-6_000:]
    return path


def _query(warehouse: Path, sql: str) -> list[Row]:
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        cursor = connection.execute(sql)
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


# --- the same in Python ---------------------------------------------------------------------------------------


def _right(row: Row, metric: str) -> bool:
    divisor = {"acc": [1] * 3, "acc_norm": row["char_counts"], "acc_bytes": row["byte_counts"]}[metric]
    scores = [logprob / length for logprob, length in zip(row["logprobs"], divisor, strict=False)]
    return scores.index(max(scores)) == row["gold"]


@pytest.fixture(scope="module")
def answers(raw: RawRows) -> dict[Key, dict[str, Row]]:
    """(model, source, control, seed, target) of study grid -> item -> raw row."""
    keys = {row["job_key"] for row in raw.rows["study_jobs"] if row["study"] == "grid"}
    found: dict[Key, dict[str, Row]] = defaultdict(dict)
    for row in raw.rows["item_scores"]:
        if row["job_key"] in keys:
            source = (row["source_task"], row["source_language"]) if row["source_task"] else None
            target = (row["target_task"], row["target_language"])
            found[row["model"], source, row["control"], row["seed"], target][row["item_id"]] = row
    return found


@pytest.fixture(scope="module")
def differences(answers: dict[Key, dict[str, Row]]) -> dict[Key, np.ndarray]:
    """(model, source, control, target) of study grid -> after - before, [seeds, items]."""
    found = {}
    for model in MODELS:
        for target in TARGETS:
            metric = PRIMARY[target[0]]
            before = np.array([_right(row, metric) for row in answers[model, None, None, None, target].values()], int)
            for source in SOURCES:
                for control, seeds in ((None, (1, 2)), ("placebo", (1,))):
                    after = [
                        [_right(row, metric) for row in answers[model, source, control, seed, target].values()]
                        for seed in seeds
                    ]
                    found[model, source, control, target] = np.array(after, int) - before
    return found


def _regime(source: Key, target: Key) -> str:
    return f"{'M' if source[0] == target[0] else 'C'}T-{'M' if source[1] == target[1] else 'C'}L"


def _mean(values: Iterable[float]) -> float | None:
    values = list(values)
    return statistics.fmean(values) if values else None


# --- scores and transfer --------------------------------------------------------------------------------------


def test_every_metric_variant_of_every_score(warehouse: Path, answers: dict[Key, dict[str, Row]]) -> None:
    rows = _query(warehouse, "select * from marts.fct_scores where study = 'grid'")
    assert len(rows) == 3 * len(answers)
    for row in rows:
        source = (row["source_task"], row["source_language"]) if row["source_task"] else None
        key = (row["model"], source, row["control"], row["seed"], (row["target_task"], row["target_language"]))
        right = [_right(item, row["metric"]) for item in answers[key].values()]
        assert (row["score"], row["n_items"]) == (sum(right) / len(right), len(right))


def test_transfer_cells(warehouse: Path, differences: dict[Key, np.ndarray]) -> None:
    rows = _query(warehouse, "select * from marts.fct_transfer where study = 'grid'")
    assert len(rows) == len(differences)
    for row in rows:
        source = (row["source_task"], row["source_language"])
        target = (row["target_task"], row["target_language"])
        d = differences[row["model"], source, row["control"], target]
        assert row["delta_pp"] == 100 * int(d.sum()) / d.size
        assert row["gain_pct"] == pytest.approx(100 * np.mean(d == 1))
        assert row["loss_pct"] == pytest.approx(100 * np.mean(d == -1))
        assert (row["n_seeds"], row["n_items"]) == d.shape
        assert row["score"] - row["baseline_score"] == pytest.approx(d.mean())
        assert row["headroom_gain"] == pytest.approx(d.mean() / (1 - row["baseline_score"]))
        assert row["regime"] == _regime(source, target)
        assert row["is_positive"] == (row["delta_pp"] > 0)
        assert row["is_harm"] == (row["delta_pp"] <= -2.0)
        assert (row["family"], row["metric"]) == (MODELS[row["model"]], PRIMARY[target[0]])
        assert row["chance_score"] == pytest.approx(1 / 3)
        assert row["origin"] == "computed"


def test_baselines_prompts_and_common_items(warehouse: Path) -> None:
    rows = _query(
        warehouse,
        "select variant, target_language, prompt, baseline_score, delta_pp, n_items, n_seeds, is_harm"
        " from marts.fct_transfer where study = 'holes' and source_language = 'de'",
    )
    found = {(row.pop("variant"), row.pop("target_language"), row.pop("prompt")): tuple(row.values()) for row in rows}
    assert found == {
        ("default", "en", "p@1"): (0.5, 20.0, 10, 1, False),
        ("default", "fr", "p@1"): (0.5, 20.0, 10, 1, False),
        ("default", "it", "p@1"): (0.5, 20.0, 10, 1, False),
        ("default", "en", "q@1"): (0.5, -30.0, 10, 1, True),
        ("default", "fr", "q@1"): (0.5, -30.0, 10, 1, True),
        ("default", "it", "q@1"): (None, None, 10, 1, None),  # no baseline: the row stays
        ("r32", "en", "p@1"): (0.0, 100.0, 9, 2, False),  # its own baseline; the items of both seeds
        ("r32", "fr", "p@1"): (4 / 9, 100 * 10 / 18, 9, 2, False),  # the baseline of 'default'
    }
    shared = _query(warehouse, "select delta_pp from marts.fct_transfer where study = 'shares'")
    assert shared == [{"delta_pp": 20.0}]


def test_imports_are_taken_as_published(warehouse: Path) -> None:
    rows = _query(warehouse, "select * from marts.fct_transfer where study = 'published' order by target_language")
    assert [(row["target_language"], row["regime"], row["delta_pp"], row["is_harm"]) for row in rows] == [
        ("ar", "MT-ML", 3.25, False), ("bn", "MT-CL", -0.5, False), ("cs", "MT-CL", -1.0, True)
    ]  # fmt: skip
    assert {(row["origin"], row["n_items"], row["n_seeds"], row["delta_se"], row["gain_pct"]) for row in rows} == {
        ("donors-recipients", 400, 3, 0.2, None)
    }
    regimes = _query(warehouse, "select * from marts.rpt_regimes where study = 'published' and scope = 'all'")
    assert {row["regime"]: (row["mean_pp"], row["harm_pct"], row["ci_low"]) for row in regimes} == {
        "MT-ML": (3.25, 0.0, None), "MT-CL": (-0.75, 50.0, None), "transfer": (-0.75, 50.0, None)
    }  # fmt: skip


# --- regimes --------------------------------------------------------------------------------------------------


def _cells_of(differences: dict[Key, np.ndarray], scope: str, regime: str) -> dict[Key, np.ndarray]:
    return {
        key: d
        for key, d in differences.items()
        if key[2] is None
        and scope in ("all", key[0])
        and (_regime(key[1], key[3]) == regime or (regime == "transfer" and _regime(key[1], key[3]) != "MT-ML"))
    }


def test_regimes(warehouse: Path, differences: dict[Key, np.ndarray]) -> None:
    rows = _query(warehouse, "select * from marts.rpt_regimes where study = 'grid'")
    assert len(rows) == 4 * 5
    for row in rows:
        deltas = [100 * d.mean() for d in _cells_of(differences, row["scope"], row["regime"]).values()]
        assert row["prompt"] == "per target"
        assert row["n_cells"] == len(deltas)
        assert row["mean_pp"] == pytest.approx(np.mean(deltas))
        assert row["median_pp"] == pytest.approx(np.median(deltas))
        assert row["positive_pct"] == pytest.approx(100 * np.mean([delta > 0 for delta in deltas]))
        assert row["harm_pct"] == pytest.approx(100 * np.mean([delta < -1.999999 for delta in deltas]))


def _half_width(cells: dict[Key, np.ndarray], weights: dict[Key, float]) -> float:
    """95 % half width, pp, of a weighted sum of cells: a task's parallel items, and a source's runs, drawn jointly."""
    variance = spread = 0.0
    for task in {key[3][0] for key in cells}:
        by_item = sum(weights[key] * d.mean(axis=0) for key, d in cells.items() if key[3][0] == task)
        of_task = np.var(by_item, ddof=1) / N_ITEMS
        variance += of_task
        spread += of_task**2 / (N_ITEMS - 1)
    seeds = seeds_spread = residuals = 0.0
    for run in {key[:3] for key in cells}:
        of_run = {key: d for key, d in cells.items() if key[:3] == run}
        n_seeds = len(next(iter(of_run.values())))
        if n_seeds == 1:
            continue
        of_source = np.var(sum(weights[key] * d.mean(axis=1) for key, d in of_run.items()), ddof=1) / n_seeds
        seeds += of_source
        seeds_spread += of_source**2 / (n_seeds - 1)
        for key, d in of_run.items():
            residual = d - d.mean(axis=0) - d.mean(axis=1, keepdims=True) + d.mean()
            mean_square = (residual**2).sum() / ((N_ITEMS - 1) * (n_seeds - 1))
            residuals += weights[key] ** 2 * mean_square / d.size
    if seeds > residuals * (1 + 1e-9):
        variance, spread = variance + seeds - residuals, spread + seeds_spread
    return float(100 * stats.t.ppf(0.975, max(1, variance**2 / spread)) * np.sqrt(variance))


def test_intervals_of_regimes(warehouse: Path, differences: dict[Key, np.ndarray]) -> None:
    rows = _query(warehouse, "select * from marts.rpt_regimes where study = 'grid'")
    for row in rows:
        cells = _cells_of(differences, row["scope"], row["regime"])
        half = _half_width(cells, dict.fromkeys(cells, 1 / len(cells)))
        assert row["mean_pp"] - row["ci_low"] == pytest.approx(half, rel=1e-4)
        assert row["ci_high"] - row["mean_pp"] == pytest.approx(half, rel=1e-4)


@pytest.mark.parametrize(("scope", "regime"), [("all", "transfer"), ("two@1", "MT-CL")])
def test_the_items_part_of_an_error_is_that_of_a_bootstrap(
    warehouse: Path, differences: dict[Key, np.ndarray], scope: str, regime: str
) -> None:
    rng = np.random.default_rng(1)
    cells = _cells_of(differences, scope, regime)
    # Each replicate draws every task's parallel items once, for all models, sources and languages.
    total = np.zeros(4_000)
    for task in PRIMARY:
        of_items = np.array([d.mean(axis=0) for key, d in cells.items() if key[3][0] == task])
        drawn = rng.multinomial(N_ITEMS - 1, np.full(N_ITEMS, 1 / N_ITEMS), len(total)) / (N_ITEMS - 1)
        total += (drawn @ of_items.T).sum(axis=1) if len(of_items) else 0
    (row,) = _query(
        warehouse,
        "select sqrt(standard_error ** 2 - seed_se ** 2) as error from intermediate.int_mean_errors"
        f" where study = 'grid' and scope = '{scope}' and entity = '{regime}'",
    )
    assert row["error"] == pytest.approx(100 * np.std(total) / len(cells), rel=0.05)


def test_significant_harms_are_harms_of_small_q(warehouse: Path) -> None:
    cells = _query(warehouse, "select * from marts.fct_transfer where control is null and delta_pp is not null")
    for row in _query(warehouse, "select * from marts.rpt_regimes where scope = 'all' and regime != 'transfer'"):
        of = [
            cell for cell in cells
            if (cell["study"], cell["variant"], cell["regime"]) == (row["study"], row["variant"], row["regime"])
            and row["prompt"] in ("per target", cell["prompt"])
        ]  # fmt: skip
        assert len(of) == row["n_cells"]
        harms = [cell for cell in of if cell["is_harm"] and cell["q_value"] is not None and cell["q_value"] <= 0.05]
        assert row["sig_harm_pct"] == pytest.approx(100 * len(harms) / len(of))
        assert (row["null_harm_pct"] is None) == (row["study"] == "published")


def test_two_prompts_are_never_averaged(warehouse: Path) -> None:
    rows = _query(
        warehouse,
        "select prompt, n_cells, mean_pp from marts.rpt_regimes"
        " where study = 'holes' and variant = 'default' and scope = 'all' and regime = 'MT-CL'",
    )
    assert {row["prompt"]: (row["n_cells"], row["mean_pp"]) for row in rows} == {"p@1": (5, 20.0), "q@1": (4, -30.0)}


# --- roles ----------------------------------------------------------------------------------------------------


def _entity(axis: str, cell: Key) -> str:
    return {"language": cell[1], "task": cell[0], "cell": f"{cell[0]}/{cell[1]}"}[axis]


def test_roles(warehouse: Path, differences: dict[Key, np.ndarray]) -> None:
    rows = _query(warehouse, "select * from marts.rpt_roles where study = 'grid'")
    assert {row["scope"] for row in rows} == {"all", *MODELS, *MODELS.values(), "1K-3K parameters"}
    regimes = {"language": ("MT-CL",), "task": ("CT-ML",), "cell": ("MT-CL", "CT-ML", "CT-CL")}

    def mean_over_models(row: Row, side: int, control: str | None) -> float | None:
        by_model = defaultdict(list)
        for (model, source, found_control, target), d in differences.items():
            if (
                found_control == control
                and row["scope"] in ("all", "1K-3K parameters", model, MODELS[model])
                and _regime(source, target) in regimes[row["axis"]]
                and _entity(row["axis"], (source, target)[side]) == row["entity"]
            ):
                by_model[model].append(100 * d.mean())
        return _mean(statistics.fmean(deltas) for deltas in by_model.values())

    for row in rows:
        for name, side, control in (("donor", 0, None), ("recipient", 1, None), ("placebo", 0, "placebo")):
            expected = mean_over_models(row, side, control)
            assert row[f"{name}_pp"] == (None if expected is None else pytest.approx(expected)), row
        assert row["n_cells"] == row["n_planned"] > 0
    for row in (row for row in rows if row["donor_pp"] is not None):
        peers = [peer for peer in rows if (peer["scope"], peer["axis"]) == (row["scope"], row["axis"])]
        better = [peer for peer in peers if peer["donor_pp"] is not None and peer["donor_pp"] > row["donor_pp"] + 1e-9]
        assert row["donor_rank"] == 1 + len(better)


def test_intervals_of_roles(warehouse: Path, differences: dict[Key, np.ndarray]) -> None:
    regimes = {"language": ("MT-CL",), "task": ("CT-ML",), "cell": ("MT-CL", "CT-ML", "CT-CL")}
    rows = _query(
        warehouse, "select * from marts.rpt_roles where study = 'grid' and scope in ('all', 'llama', 'two@1')"
    )
    for row in rows:
        for role, side in (("donor", 1), ("recipient", 3)):
            cells = {
                key: d for key, d in differences.items()
                if key[2] is None and row["scope"] in ("all", key[0], MODELS[key[0]])
                and _regime(key[1], key[3]) in regimes[row["axis"]] and _entity(row["axis"], key[side]) == row["entity"]
            }  # fmt: skip
            if cells:
                half = _half_width(cells, dict.fromkeys(cells, 1 / len(cells)))
                assert row[f"{role}_ci_high"] - row[f"{role}_pp"] == pytest.approx(half, rel=1e-4)
                assert row[f"{role}_pp"] - row[f"{role}_ci_low"] == pytest.approx(half, rel=1e-4)
        assert (row["p_top"] is None) == (row["donor_pp"] is None or row["axis"] != "cell")
        assert row["is_hub"] is None  # six sources: too few to compete


def test_roles_of_an_incomplete_grid(warehouse: Path) -> None:
    # Under p@1, (es -> fr) was planned and is missing. Dropping source es leaves 3 cells, dropping target fr 4,
    # dropping the only model 0.
    rows = _query(
        warehouse,
        "select entity, donor_pp, recipient_pp, n_cells, n_planned from marts.rpt_roles where study = 'holes'"
        " and variant = 'default' and prompt = 'p@1' and scope = 'all' and axis = 'language' order by entity",
    )
    assert [tuple(row.values()) for row in rows] == [
        ("de", 20.0, None, 2, 3), ("en", None, 20.0, 2, 2), ("es", 20.0, None, 2, 3), ("fr", None, None, 0, 2),
        ("it", None, 20.0, 2, 2),
    ]  # fmt: skip


def test_asymmetry(warehouse: Path, differences: dict[Key, np.ndarray]) -> None:
    rows = _query(warehouse, "select * from marts.rpt_asymmetry where study = 'grid'")
    assert len(rows) == len(MODELS) * len(SOURCES)
    for row in rows:
        cells = {
            key: 100 * d.mean() for key, d in differences.items()
            if key[:3] == (row["model"], (row["source_task"], row["source_language"]), None)
        }  # fmt: skip
        on = _mean(delta for key, delta in cells.items() if _regime(key[1], key[3]) == "MT-CL")
        off = _mean(delta for key, delta in cells.items() if _regime(key[1], key[3]).startswith("CT"))
        assert (row["on_task_pp"], row["off_task_pp"]) == (pytest.approx(on), pytest.approx(off))
        rivals = [rival for rival in rows if rival["model"] == row["model"]]
        dominated = any(
            on_better >= -1e-9 and off_better >= -1e-9 and max(on_better, off_better) > 1e-9
            for rival in rivals
            for on_better in [rival["on_task_pp"] - row["on_task_pp"]]
            for off_better in [rival["off_task_pp"] - row["off_task_pp"]]
        )
        assert row["is_pareto"] == (not dominated)


# --- embeddings -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ranks(raw: RawRows) -> dict[Key, list[Row]]:
    found = defaultdict(list)
    for row in raw.rows["bli_ranks"]:
        key = (row["method"], row["dictionary_size"], row["retrieval"], row["source_language"], row["target_language"])
        found[key].append(row)
    return found


def _map(rows: list[Row]) -> float:
    return statistics.fmean(1 / row["rank"] for row in rows if row["rank"] is not None)


def test_bli(warehouse: Path, ranks: dict[Key, list[Row]]) -> None:
    rows = _query(warehouse, "select * from marts.fct_bli where study = 'words'")
    assert len(rows) == 2 * len(ranks)
    for row in rows:
        key = tuple(
            row[name] for name in ("method", "dictionary_size", "retrieval", "source_language", "target_language")
        )
        test = [r for r in ranks[key] if not (row["clean"] and (r["is_leaked"] or r["is_duplicate"]))]
        covered = [r for r in test if r["rank"] is not None]
        best: dict[str, float] = {}
        for r in covered:
            best[r["query"]] = min(r["rank"], best.get(r["query"], np.inf))
        assert row["map"] == pytest.approx(_map(test))
        assert row["map_all"] == pytest.approx(sum(1 / r["rank"] for r in covered) / len(test))
        for k in (1, 5, 10):
            assert row[f"p_at_{k}"] == pytest.approx(np.mean([rank <= k for rank in best.values()]))
        assert row["n_queries"] == len(test)
        assert row["n_words"] == len({r["query"] for r in test})
        assert row["n_oov"] == len(test) - len(covered)
        assert row["coverage"] == pytest.approx(len(covered) / len(test))
        cosine = [
            r for r in ranks[(*key[:2], "cosine", *key[3:])]
            if not (row["clean"] and (r["is_leaked"] or r["is_duplicate"]))
        ]  # fmt: skip
        assert row["is_failure"] == (_map(cosine) < 0.05)


def test_bli_methods(warehouse: Path, ranks: dict[Key, list[Row]]) -> None:
    rows = _query(warehouse, "select * from marts.rpt_bli_methods where study = 'words'")
    pairs = [(s, t) for s in BLI_LANGUAGES for t in BLI_LANGUAGES if s != t]
    assert len(rows) == 3 * 2 * 2
    for row in rows:
        size, retrieval = row["dictionary_size"], row["retrieval"]
        methods = ("PROC", "VECMAP") if size == 500 else ("PROC",)
        kept = [
            pair for pair in pairs
            if row["scope"] == "all" or all(_map(ranks[m, size, "cosine", *pair]) >= 0.05 for m in methods)
        ]  # fmt: skip
        failed = [pair for pair in kept if _map(ranks[row["method"], size, "cosine", *pair]) < 0.05]
        assert (row["n_pairs"], row["n_failures"]) == (len(kept), len(failed))
        expected = _mean(_map(ranks[row["method"], size, retrieval, *pair]) for pair in kept)
        assert row["mean_map"] == pytest.approx(expected)
        assert row["vectors"] == "web"


def test_language_pairs_and_their_correlations(warehouse: Path, raw: RawRows, ranks: dict[Key, list[Row]]) -> None:
    rows = _query(warehouse, "select * from marts.rpt_language_pairs where study = 'joined'")
    assert len(rows) == 20
    geometry = {(r["source_language"], r["target_language"]): r["value"] for r in raw.rows["isometry"]}
    distances = {
        (r["measure"], r["source_language"], r["target_language"]): r["value"] for r in raw.rows["language_distances"]
    }
    deltas = {
        (r["source_language"], r["target_language"]): r["delta_pp"]
        for r in _query(warehouse, "select * from marts.fct_transfer where study = 'joined'")
    }
    for row in rows:
        pair = (row["source_language"], row["target_language"])
        assert row["embedding_study"] == "words"
        assert row["bli_map"] == pytest.approx(_map(ranks["PROC", 500, "csls", *pair]))
        assert row["gromov_hausdorff"] == geometry[min(pair), max(pair)]
        assert row["syntactic"] == distances["syntactic", *pair]
        assert json.loads(row["other_measures"]) == {"homemade": distances["homemade", *pair]}
        assert row["transfer_pp"] == pytest.approx(deltas[pair])
    by_pair = {(row["source_language"], row["target_language"]): row for row in rows}
    unordered = sorted(pair for pair in by_pair if pair[0] < pair[1])
    for row in _query(warehouse, "select * from marts.rpt_pair_correlations where study = 'joined'"):
        if row["measure"] == "homemade":
            continue
        both = [
            [round(by_pair[pair][name] + by_pair[pair[::-1]][name], 9) for pair in unordered]
            for name in (row["measure"], "transfer_pp")
        ]
        assert row["spearman"] == pytest.approx(stats.spearmanr(*both).statistic)
        assert row["n_languages"] == 5


# --- the shape of it ------------------------------------------------------------------------------------------


def test_every_mart_leads_with_study_and_says_origin_and_variant(warehouse: Path) -> None:
    columns = defaultdict(list)
    for row in _query(
        warehouse,
        "select table_name, column_name from information_schema.columns where table_schema = 'marts'"
        " order by table_name, ordinal_position",
    ):
        columns[row["table_name"]].append(row["column_name"])
    assert len(columns) == 16
    for names in columns.values():
        assert names[:2] == ["study", "origin"]
        assert "variant" in names


def test_sources_are_the_raw_schema() -> None:
    written = (ROOT / "models" / "staging" / "_sources.yml").read_text(encoding="utf-8")
    assert written == dbt_sources(), "python -m compute.raw_schema > models/staging/_sources.yml"


def test_data_tests_can_fail(warehouse: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.duckdb"
    shutil.copy(warehouse, broken)
    with duckdb.connect(str(broken)) as connection:
        for statement in (
            "insert into raw.item_scores from raw.item_scores limit 1",
            "insert into marts.rpt_asymmetry from marts.rpt_asymmetry where study = 'published'",
            "update marts.fct_scores set score = 1.5 where rowid = 0",
            "update marts.fct_transfer set regime = 'XX-XX' where rowid = 0",
            "update marts.fct_transfer set delta_pp = delta_pp + 1e-6 where rowid = 1 and study = 'grid'",
            "update marts.fct_bli set p_at_1 = 1.1 where rowid = 0",
            "update marts.rpt_roles set axis = 'family' where rowid = 0",
        ):
            connection.execute(statement)
    broken_nodes = "source:raw.item_scores fct_bli fct_scores fct_transfer rpt_asymmetry rpt_roles"
    code, _ = _dbt("test", broken, "--select", *broken_nodes.split(), "--exclude-resource-type", "unit_test")
    assert code == 1
    results = json.loads((tmp_path / "target" / "run_results.json").read_text())["results"]
    failed = {result["unique_id"].split(".")[2] for result in results if result["status"] == "fail"}
    expected = (
        "source_unique_grain_raw_item_scores", "unique_grain_rpt_asymmetry", "fct_scores_score_is_a_proportion",
        "fct_transfer_regime_is_known", "fct_transfer_delta_is_the_difference_of_scores",
        "fct_transfer_delta_is_gain_less_loss", "fct_bli_is_ordered", "rpt_roles_axis_is_known",
    )  # fmt: skip
    assert {next((name for name in expected if test.startswith(name)), test) for test in failed} == set(expected)
