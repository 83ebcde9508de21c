"""Raw rows of studies in which models, sources, methods and languages are compared."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from tests.helpers.warehouse_fixture import RawRows

ROOT = Path(__file__).resolve().parents[3]
FAMILIES = {"a@1": "x", "b@1": "x", "c@1": "y", "d@1": "y", "e@1": "z"}
SOURCES = [(task, language) for task in ("add", "read") for language in ("de", "en", "fi")]
TARGETS = [(task, language) for task in ("add", "read", "sort") for language in ("de", "en", "fi", "fr")]
N_ITEMS = 20
LANGUAGES = ("de", "en", "fi", "fr", "hr", "it")
PAIRS = list(itertools.permutations(LANGUAGES, 2))
METHODS = [("MUSE", 0), ("PROC", 100), ("RCSLS", 100), ("PROC", 500), ("RCSLS", 500), ("VECMAP", 500)]
N_CONCEPTS = 30
Key = tuple[Any, ...]
Row = dict[str, Any]
Evaluate = Any
"""(model, **tables) -> rows of the model's compiled SQL over these tables alone."""


def add_grid(raw: RawRows, rng: np.random.Generator) -> None:
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


def add_imports(raw: RawRows, rng: np.random.Generator) -> None:
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


def add_words(raw: RawRows, rng: np.random.Generator) -> None:
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


def query(warehouse: Path, sql: str) -> list[Row]:
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        return as_rows(connection.execute(sql))


def as_rows(cursor: duckdb.DuckDBPyConnection) -> list[Row]:
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def grid_rows(
    deltas: np.ndarray, study: str = "s", sources: Sequence[Key] | None = None, targets: Sequence[Key] | None = None
) -> Iterator[Row]:
    """int_role_grid of delta [models, sources, targets]; NaN is no cell. By default one task and no common language."""
    sources = sources or [("t", f"s{i:03}") for i in range(deltas.shape[1])]
    targets = targets or [("t", f"t{i:03}") for i in range(deltas.shape[2])]
    for number, ((m, s, e), delta) in enumerate(np.ndenumerate(deltas)):
        if not np.isnan(delta):
            yield {
                "cell_number": number,
                "study": study, "variant": "default", "prompt_pool": "p", "scope": "all", "model": f"m{m:03}",
                "source_task": sources[s][0], "source_language": sources[s][1], "target_task": targets[e][0],
                "target_language": targets[e][1], "regime": regime_of(sources[s], targets[e]), "delta_pp": float(delta),
                "is_in_complete_grid": True, "is_planned": True,
            }  # fmt: skip


def regime_of(source: Key, target: Key) -> str:
    return f"{'M' if source[0] == target[0] else 'C'}T-{'M' if source[1] == target[1] else 'C'}L"


STUDY = [{"study": "s", "origin": "computed"}]


def reciprocal_ranks(raw: RawRows) -> dict[Key, dict[int, list[float]]]:
    """(method, size, retrieval, source, target) -> row of the dictionary -> reciprocal rank by seed."""
    found: dict[Key, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in raw.rows["bli_ranks"]:
        key = (row["method"], row["dictionary_size"], row["retrieval"], row["source_language"], row["target_language"])
        if row["rank"] is not None:
            found[key][row["pair_number"]].append(1 / row["rank"])
    return found


def mean_reciprocal_rank(ranks: dict[int, list[float]]) -> float:
    """Mean over seeds of the mean over rows."""
    return float(np.mean(list(ranks.values())))


def raw_rows() -> RawRows:
    """Return the raw rows that the tests of this folder ask the marts of."""
    rng = np.random.default_rng(72)
    rows = RawRows()
    for model, family in FAMILIES.items():
        rows.model(model, family)
    for task in ("add", "read", "sort", "parity", "t"):
        rows.task(task)
    add_grid(rows, rng)
    add_imports(rows, rng)
    add_words(rows, rng)
    return rows
