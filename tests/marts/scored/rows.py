"""Raw rows of studies that were scored item by item, and what several modules reckon from them."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
from scipy import special

from tests.helpers.warehouse_fixture import RawRows

ROOT = Path(__file__).resolve().parents[3]
MODELS = {"one@1": "llama", "two@1": "llama", "three@1": "neox"}
LANGUAGES = ("de", "en", "fi", "fr")
SOURCES = [(task, language) for task in ("add", "read") for language in LANGUAGES[:3]]
TARGETS = [(task, language) for task in ("add", "read", "sort") for language in LANGUAGES]
PRIMARY = {"add": "acc", "read": "acc_norm", "sort": "acc_bytes"}
N_ITEMS = 24
CONTRASTS = {
    "placebo": {"a": {}, "b": {"control": "placebo"}},
    "sources": {"a": {"source": "add/de"}, "b": {"source": "read/fi"}, "targets": ["sort/de", "sort/fr", "add/fr"]},
    "models": {"a": {"model": "one"}, "b": {"model": "three@1"}, "targets": ["sort/de", "sort/fr"]},
    "nobody": {"a": {"variant": "r64"}, "b": {"variant": "r8"}},
}
BLI_LANGUAGES = ("de", "en", "fi", "fr", "ru")
Key = tuple[Any, ...]
Row = dict[str, Any]


def _random_answers(rng: np.random.Generator) -> dict[str, Any]:
    """Three choices with log-probabilities on a coarse grid, so that ties are common."""
    return {
        "logprobs": (-rng.integers(1, 5, (N_ITEMS, 3))).astype(float).tolist(),
        "golds": rng.integers(0, 3, N_ITEMS).tolist(),
        "lengths": rng.integers(1, 4, (N_ITEMS, 3)).tolist(),
    }


def add_grid(raw: RawRows, rng: np.random.Generator) -> None:
    """A complete grid with placebos; every task has a prompt of its own; items are parallel over languages."""
    raw.study("grid", harm_threshold_pp=2.0, contrasts=CONTRASTS)
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


def add_holes(raw: RawRows) -> None:
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


def add_given(raw: RawRows) -> None:
    """Tunings that were given beside trained ones: a variant each, some of several or unknown tasks and languages."""
    right = {None: 10, "default": 12, "mine": 14, "theirs": 8, "chat": 15, "scaled": 6}
    sources = {
        "default": [("add", "de"), ("add", "en"), ("read", "de")], "mine": [("add", "de")], "theirs": [("add", "de")],
        "chat": [("mul", "mul")], "scaled": [("add", "und"), ("und", "und")],
    }  # fmt: skip
    named = [
        {"name": name, "adapter": "a", "seed": seed, "task": task, "language": language, "variant": variant}
        for name, seed, task, language, variant in (
            ("mine", 1, "add", "de", None), ("mine", 2, "add", "de", None), ("theirs", 0, "add", "de", None),
            ("chat", 0, "mul", "mul", None), ("half", 0, "add", "und", "scaled"),
            ("hidden", 0, "und", "und", "scaled"),
        )
    ]  # fmt: skip
    other = {"name": "one-two", "sources": [named[2] | {"name": "another model's", "variant": "default"}]}
    whose = {"a": {"variant": "mine"}, "b": {"variant": "theirs"}}
    by_name = {arm: {"source": said["variant"]} for arm, said in whose.items()}
    unlike = {"a": {"variant": "mine"}, "b": {"variant": "chat"}}  # of two cells
    contrasts = {"whose": whose, "by name": by_name, "unlike": unlike}
    raw.study("given", models=[{"name": "one", "sources": named}, other], contrasts=contrasts)
    for target in [(task, language) for task in ("add", "read") for language in ("de", "en")]:
        common: dict[str, Any] = {
            "model": "one@1", "target": target, "prompt": "given@1", "parallel_ids": [f"p{i}" for i in range(20)]
        }  # fmt: skip
        raw.scores("given", **common, correct=[i < right[None] for i in range(20)])
        for variant, cells in sources.items():
            for source in cells:
                for seed in (1, 2) if variant in ("default", "mine") else (0,):
                    raw.scores(
                        "given", **common, source=source, variant=variant, seed=seed,
                        correct=[i < right[variant] + seed - 1 for i in range(20)],
                        ran=(source[0], target) != ("und", ("read", "en")),
                    )  # fmt: skip


def add_import(raw: RawRows) -> None:
    raw.study("published", origin="donors-recipients")
    key = raw.job("published", "donors-recipients", file="results.csv")
    for source, target, delta in (("ar", "bn", -0.5), ("ar", "cs", -1.0), ("ar", "ar", 3.25)):
        raw.add(
            "aggregate_scores", job_key=key, model="far@1", variant="default", source_task="arc",
            source_language=source, target_task="arc", target_language=target, prompt="paper@1", metric="acc_norm",
            score=0.31, baseline_score=0.30, delta_pp=delta, delta_stderr=0.2, n_items=400, n_seeds=3,
        )  # fmt: skip


def add_mixed(raw: RawRows, rng: np.random.Generator) -> None:
    """Two mixtures of one task, whose sources are both add/mul; every adapter on the way, where it harms less."""
    raw.study("mixed", contrasts={"mix": {"a": {"source": "mix"}, "b": {"source": "add/de"}}})
    doses = {"mix": {("add", "de"): 0.5, ("add", "en"): 0.5}, "wide": {("add", "de"): 1.0, ("add", "fi"): 1.0}}
    gains = {"add/de": (4, -6), "add/en": (3, -6), "add/fi": (2, -6), "mix": (8, -6), "wide": (5, -6)}
    for name, parts in doses.items():
        raw.mixture("mixed", name, parts)
    targets = [(task, language) for task in ("add", "sort") for language in LANGUAGES]
    for target in targets:
        keys: dict[str, Any] = {"model": "one@1", "target": target, "parallel_ids": [f"p{i}" for i in range(40)]}
        before = rng.random(40) < 0.5
        raw.scores("mixed", correct=before.tolist(), **keys)
        for source, (gain, loss) in gains.items():
            named: dict[str, Any] = {"source": ("add", "mul"), "source_name": source}
            if "/" in source:
                named = {"source": tuple(source.split("/"))}
            for seed in (1, 2):
                for fraction in (0.5, None):
                    share = (gain if target[0] == "add" else loss / 6 if fraction else loss) / 20
                    moved = rng.random(40) < abs(share)
                    after = np.where(moved, share > 0, before)
                    raw.scores("mixed", correct=after.tolist(), seed=seed, fraction=fraction, **named, **keys)


def add_words(raw: RawRows, rng: np.random.Generator) -> None:
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


def add_errors(raw: RawRows) -> None:
    """ICP ended in an error on one pair, and on another with one of two seeds; PROC did not."""
    raw.study("errors")
    for method, target, seed, ended in (
        ("PROC", "de", 1, True), ("PROC", "fr", 1, True), ("ICP", "de", 1, True), ("ICP", "de", 2, False),
        ("ICP", "fr", 1, False), ("ICP", "fr", 2, False), ("ICP", "ru", 1, True),
    ):  # fmt: skip
        keys: dict[str, Any] = {
            "method": method, "variant": "default", "vectors": "own@f00", "source_language": "en",
            "target_language": target, "dictionary_size": 500 if method == "PROC" else 0, "seed": seed,
        }  # fmt: skip
        raw.job("errors", "mapping", state="landed" if ended else "failed", **keys)
        if ended:
            key = raw.job("errors", "bli", **keys)
            for retrieval in ("cosine", "csls"):
                raw.add(
                    "bli_ranks", job_key=key, **keys, retrieval=retrieval, pair_number=0, concept_id="c0", query="w",
                    gold="g", rank=2.0, is_leaked=False, is_duplicate=False, is_identical=False,
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


def run_dbt(verb: str, warehouse: Path, *options: str) -> tuple[int, str]:
    folder = warehouse.parent
    run = subprocess.run(
        [
            str(Path(sys.executable).with_name("dbt")), verb,
            "--target-path", str(folder / "target"), "--log-path", str(folder / "logs"), *options,
        ],
        cwd=ROOT, env=os.environ | {"WAREHOUSE": str(warehouse)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return run.returncode, run.stdout + run.stderr


def query(warehouse: Path, sql: str) -> list[Row]:
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        cursor = connection.execute(sql)
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def choice_probabilities(row: Row, metric: str) -> np.ndarray:
    """Probability of each choice among the choices: the softmax of what the metric compares."""
    lengths = {"acc": 1, "acc_norm": row["char_counts"], "acc_bytes": row["byte_counts"]}[metric]
    return np.asarray(special.softmax(np.array(row["logprobs"]) / np.array(lengths)))


def is_right(row: Row, metric: str) -> bool:
    divisor = {"acc": [1] * 3, "acc_norm": row["char_counts"], "acc_bytes": row["byte_counts"]}[metric]
    scores = [logprob / length for logprob, length in zip(row["logprobs"], divisor, strict=False)]
    return scores.index(max(scores)) == row["gold"]


def regime_of(source: Key, target: Key) -> str:
    return f"{'M' if source[0] == target[0] else 'C'}T-{'M' if source[1] == target[1] else 'C'}L"


def mean_or_none(values: Iterable[float]) -> float | None:
    values = list(values)
    return statistics.fmean(values) if values else None


def cells_of(differences: dict[Key, np.ndarray], scope: str, regime: str) -> dict[Key, np.ndarray]:
    return {
        key: d
        for key, d in differences.items()
        if key[2] is None
        and scope in ("all", key[0])
        and (regime_of(key[1], key[3]) == regime or (regime == "transfer" and regime_of(key[1], key[3]) != "MT-ML"))
    }


def raw_rows() -> RawRows:
    """Return the raw rows that the tests of this folder ask the marts of."""
    rng = np.random.default_rng(20_191)
    rows = RawRows()
    for model, family in MODELS.items():
        rows.model(model, family, parameters=1_000)
    for task, metric in PRIMARY.items():
        rows.task(task, primary_metric=metric, chance=1 / 3)
    add_grid(rows, rng)
    add_holes(rows)
    add_given(rows)
    add_import(rows)
    add_words(rows, rng)
    add_errors(rows)
    add_mixed(rows, rng)
    return rows
