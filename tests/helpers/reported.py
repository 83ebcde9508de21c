"""Studies to report on: whole ones, halves, an empty one, and one with hostile names everywhere."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import duckdb

from tests.helpers.warehouse_fixture import Cell, RawRows

EVIL = "<script>alert('x')</script>"
EVIL_MODEL = "<img src=http://evil.example/x onerror=alert(1)>@1"
EVIL_TASK = "</svg><b>task"
TRANSFER_ONLY, EMBEDDINGS_ONLY, NOTHING_LANDED, SEVERAL_WAYS = "transfer only", "words only", "nothing", "several ways"
EVERYTHING, IMPORTED = "everything", "imported"
STUDIES = (EVIL, TRANSFER_ONLY, EMBEDDINGS_ONLY, NOTHING_LANDED, SEVERAL_WAYS, EVERYTHING, IMPORTED)
CONTRASTS = {"parity or read": {"a": {"source": "parity/de"}, "b": {"source": "read/de"}}}
MODELS_IN_FILE = {"models": [{"name": "m"}], "sources": {"tasks": ["t"]}}


def one_row(warehouse: Path, sql: str, *parameters: str) -> tuple[Any, ...]:
    """Return the first row of a query, which has one."""
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        row = connection.execute(sql, parameters).fetchone()
    assert row is not None
    return tuple(row)


def _transfer(raw: RawRows, study: str, model: str, tasks: tuple[str, str], placebo: bool = True, **keys: str) -> None:
    """Two sources, four targets; the source's own task gains, the other loses, a placebo changes nothing."""
    targets: list[Cell] = [(task, language) for task in tasks for language in ("de", "en")]
    for position, target in enumerate(targets):
        right = [i < 10 + position for i in range(20)]
        common = {"model": model, "target": target, "parallel_ids": [f"p{i}" for i in range(20)]}
        raw.scores(study, correct=right, **common, **keys)  # type: ignore[arg-type]
        for source in targets[:2]:
            gain = 8 if source == target else 3 if source[0] == target[0] else -4
            tuned = [i < 10 + position + gain for i in range(20)]
            raw.scores(study, source=source, seed=1, correct=tuned, **common, **keys)  # type: ignore[arg-type]
            if placebo:
                raw.scores(study, source=source, seed=1, control="placebo", correct=right, **common, **keys)  # type: ignore[arg-type]


def _embeddings(raw: RawRows, study: str, languages: tuple[str, ...], method: str = "PROC") -> None:
    """The more pairs, the worse they are."""
    pairs = [(source, target) for source in languages for target in languages if source != target]
    for number, (source, target) in enumerate(pairs):
        keys = {
            "method": method, "variant": "default", "vectors": "tiny@1", "source_language": source,
            "target_language": target, "dictionary_size": 100, "seed": 0,
        }  # fmt: skip
        key = raw.job(study, "bli", **keys)
        for retrieval in ("cosine", "csls"):
            for row, rank in enumerate([1, 2 + number, 7]):
                raw.add(
                    "bli_ranks", job_key=key, **keys, retrieval=retrieval, pair_number=row, concept_id=f"c{row}",
                    query=f"q{row}", gold=f"g{row}", rank=rank, is_leaked=False, is_duplicate=False,
                    is_identical=False,
                )  # fmt: skip


def _everything(raw: RawRows) -> None:
    """Three models on a grid of two tasks in three languages; three methods on six pairs, two of them downstream."""
    cells: list[Cell] = [(task, language) for task in ("parity", "read") for language in ("de", "en", "fi")]
    draw = random.Random(0)
    for number, model in enumerate(("a@1", "b@1", "c@1")):
        raw.model(model, "xy"[number % 2])
        for target in cells:
            common = {"model": model, "target": target, "parallel_ids": [f"p{i}" for i in range(20)]}
            right = [draw.random() < 0.5 for _ in range(20)]
            raw.scores(EVERYTHING, correct=right, **common)  # type: ignore[arg-type]
            for source in cells:
                gains = 0.5 if source[0] == target[0] else 0.1
                tuned = [was or draw.random() < gains for was in right]
                raw.scores(EVERYTHING, source=source, seed=1, correct=tuned, **common)  # type: ignore[arg-type]
    pairs = [(one, other) for one in ("de", "en", "fi") for other in ("de", "en", "fi") if one != other]
    for method, size, quality in (("PROC", 100, 3), ("PROC", 300, 2), ("RCSLS", 300, 1), ("VECMAP", 0, 40)):
        for source_language, target_language in pairs:
            keys = {
                "method": method, "variant": "default", "vectors": "small@1", "source_language": source_language,
                "target_language": target_language, "dictionary_size": size, "seed": 0,
            }  # fmt: skip
            key = raw.job(EVERYTHING, "bli", **keys)
            for retrieval in ("cosine", "csls"):
                for row in range(5):
                    raw.add(
                        "bli_ranks", job_key=key, **keys, retrieval=retrieval, pair_number=row, concept_id=f"c{row}",
                        query=f"q{row}", gold=f"g{row}", rank=quality + draw.randrange(3),
                        is_leaked=row < 2, is_duplicate=row == 1, is_identical=False,
                    )  # fmt: skip
            for collection in ("news", "talks"):
                key = raw.job(EVERYTHING, "cldc", **keys, collection=collection)
                for row in range(10):
                    raw.add(
                        "downstream_items", job_key=key, **keys, task="cldc", collection=collection, classifier="cnn",
                        item_id=f"d{row}", gold="x" if row % 2 else "y",
                        prediction="x" if draw.random() < 1 / quality else "y",
                    )  # fmt: skip


def _predictions(raw: RawRows) -> None:
    """Of `everything`: one source on two targets, one of them measured since, and a new model without intervals; two
    predictors of one target, of which `same_task` names the better source."""
    keys = {"study": EVERYTHING, "variant": "default", "prompt": "plain@1", "fitted_to": "before"}
    raw.add("prediction_fits", **keys, is_trained_cell=False, version="1", n_measured=90, n_predicted=3, variances="{}",
            n_validated=90, r2=0.25, coverage_50=0.5, coverage_95=0.96, asked="{}")  # fmt: skip
    cell = {"model": "a@1", "source_task": "parity", "source_language": "nl", "target_task": "read"}
    bounds = {"low_50": -1.5, "high_50": 4.0, "low_95": -4.25, "high_95": 6.75}
    raw.add("predictions", **keys, **cell, target_language="de", expected_pp=1.25, expected_se=1.0, measured_se=2.0,
            degrees_of_freedom=9.0, **bounds)  # fmt: skip
    raw.add("predictions", **keys, **cell | {"source_language": "de"}, target_language="en", expected_pp=-70.0,
            expected_se=1.0, measured_se=2.0, degrees_of_freedom=9.0, low_50=-71.0, high_50=-69.0, low_95=-74.0,
            high_95=-66.0)  # fmt: skip
    raw.add("predictions", **keys, **cell | {"model": "new@1"}, target_language="de", expected_pp=3.5)
    for predictor in ("same_task", "random", "<i>ours"):
        for task, value in (("parity", 0.0), ("read", 1.0)):
            raw.add("predictor_values", **keys, predictor=predictor, model="a@1", source_task=task,
                    source_language="en", target_task="read", target_language="de",
                    value={"same_task": value, "random": 0.0}.get(predictor, -value))  # fmt: skip


def reported_rows() -> RawRows:
    raw = RawRows()
    raw.study(EVIL, description=EVIL, embeddings={"languages": []}, **MODELS_IN_FILE)
    raw.study(TRANSFER_ONLY, **MODELS_IN_FILE)
    raw.study(EMBEDDINGS_ONLY, embeddings={"languages": []}, bli_map={"dictionary_size": 100, "retrieval": "cosine"})
    raw.study(NOTHING_LANDED, embeddings={"languages": []}, **MODELS_IN_FILE)
    raw.study(SEVERAL_WAYS, **MODELS_IN_FILE)
    raw.study(EVERYTHING, embeddings={"languages": []}, contrasts=CONTRASTS, **MODELS_IN_FILE)
    raw.study(IMPORTED, origin="lm-eval")
    for task in ("parity", EVIL_TASK):
        raw.task(task)
    for model in (EVIL_MODEL, "plain@1"):
        raw.model(model, "<family>")
        _transfer(raw, EVIL, model, ("parity", EVIL_TASK))
    _transfer(raw, TRANSFER_ONLY, "plain@1", ("parity", "read"), placebo=False)
    for variant, prompt in (("default", "p@1"), ("default", "q@1"), ("r32", "p@1")):
        _transfer(raw, SEVERAL_WAYS, "plain@1", ("parity", "read"), variant=variant, prompt=prompt)
    _transfer(raw, IMPORTED, "plain@1", ("parity", "read"), placebo=False)
    _everything(raw)
    _predictions(raw)
    _embeddings(raw, EVIL, ("de", "en"))
    _embeddings(raw, EMBEDDINGS_ONLY, ("de", "en", "fi", "nl"))
    _embeddings(raw, EMBEDDINGS_ONLY, ("de", "en"), "ICP")
    raw.job(NOTHING_LANDED, "baseline", ran=False, model="plain@1")
    key = raw.job(EVIL, "transfer", ran=False, broken=True)
    raw.add("jobs", job_key=key, plugin="transfer", state="failed", attempts=2, error=f"NaN {EVIL}",
            versions={"torch": "2.13"})  # fmt: skip
    return raw
