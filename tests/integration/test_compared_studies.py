"""A LoRA study compared with an embedding study of the same warehouse, URIEL's distances joined; against NumPy."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
from scipy.spatial.distance import cosine

from compute.catalog import find
from tests.helpers.mantel import exact_mantel

ROOT = Path(__file__).resolve().parents[2]
MIRROR = ROOT.parent / "shared" / "data"
LANGUAGES = {"de": "deu", "en": "eng", "es": "spa", "fi": "fin", "ru": "rus"}
GRID = "{tasks: [read], languages: [de, en, es, fi, ru]}"
TUNED = f"""
study: tuned
models:
  - name: small
    architecture: {{family: llama, hidden_size: 32, layers: 1, heads: 2, intermediate_size: 64}}
    pretrain: {{languages: [de, en, es, fi, ru], steps: 60, batch_tokens: 1024}}
sources: {GRID}
targets: {GRID}
items: {{train: 200, test: 60}}
seeds: [1]
lora: {{epochs: 3, learning_rate: 0.02}}
compare_with: words
plugins:
  uriel: {{}}
"""
WORDS = """
study: words
embeddings:
  vectors: {ft: {sentences: 1500, epochs: 1, dimension: 16}}
  languages: [de, en, es, fi, ru]
  methods: [proc, cca]
  dictionary_sizes: [50, 100]
  test_size: 50
  isometry: [relational_similarity]
"""

pytestmark = pytest.mark.skipif(not MIRROR.is_dir(), reason="the mirror of public data is not beside the project")


def _run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    settings = {"WAREHOUSE": str(folder / "warehouse.duckdb"), "DEVICE": "cpu", "TRANSFER_MIRROR": str(MIRROR)}
    return subprocess.run(
        command, cwd=folder, env=os.environ | settings, capture_output=True, text=True, timeout=600, check=False
    )


def _compute(folder: Path, text: str) -> str:
    (folder / "study.yml").write_text(text)
    done = _run(folder, sys.executable, "-m", "compute.cli", "compute", "--study", "study.yml")
    assert done.returncode == 0, done.stderr
    return done.stderr


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A directory with both studies computed and their marts built; and what was said before the words were there."""
    folder = tmp_path_factory.mktemp("compared")
    before = _compute(folder, TUNED)
    _compute(folder, WORDS)
    # Once more under another name: the same jobs, beside other scores of lexicon induction.
    choice = "bli_map: {method: cca, dictionary_size: 50, retrieval: cosine}\n"
    assert "compare_with" not in _compute(folder, TUNED.replace("study: tuned", "study: chosen") + choice)
    places = ["--project-dir", str(ROOT), "--profiles-dir", str(ROOT)]
    places += ["--target-path", str(folder / "target"), "--log-path", str(folder / "logs")]
    dbt = str(Path(sys.executable).with_name("dbt"))
    done = _run(folder, dbt, "build", *places, "--select", "+rpt_pair_correlations", "+rpt_language_pairs",
                "--exclude-resource-type", "unit_test")  # fmt: skip
    assert done.returncode == 0, done.stdout
    return folder, before


def _ask(folder: Path, sql: str) -> list[dict[str, Any]]:
    with duckdb.connect(str(folder / "warehouse.duckdb"), read_only=True) as connection:
        cursor = connection.execute(sql)
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _matrix(values: dict[tuple[str, str], float]) -> np.ndarray:
    return np.array([[0.0 if a == b else values[a, b] for b in LANGUAGES] for a in LANGUAGES])


def _transfer(folder: Path) -> np.ndarray:
    """Percentage points from source to target, from the log-probabilities as landed."""
    right: dict[tuple[str | None, str], list[bool]] = defaultdict(list)
    for row in _ask(folder, "select * from raw.item_scores"):
        answer = row["logprobs"].index(max(row["logprobs"]))
        right[row["source_language"], row["target_language"]].append(answer == row["gold"])
    return _matrix(
        {(a, b): 100 * (np.mean(right[a, b]) - np.mean(right[None, b])) for a, b in right if a is not None}
    )  # fmt: skip


def _bli(folder: Path, method: str, size: int, retrieval: str) -> np.ndarray:
    reciprocal: dict[tuple[str, str], list[float]] = defaultdict(list)
    for row in _ask(
        folder,
        f"select * from raw.bli_ranks where method = '{method}' and dictionary_size = {size}"
        f" and retrieval = '{retrieval}' and rank is not null",
    ):
        reciprocal[row["source_language"], row["target_language"]].append(1 / row["rank"])
    return _matrix({pair: float(np.mean(values)) for pair, values in reciprocal.items()})


def _syntactic() -> np.ndarray:
    with np.load(MIRROR / find("antonisa/lang2vec", "lang2vec/data/feature_predictions.npz").key) as archive:
        codes, names, values = archive["langs"].tolist(), archive["feats"], archive["data"][:, :, 0]
    kept = [name.startswith("S_") for name in names]
    vectors = {language: values[codes.index(code), kept].astype(float) for language, code in LANGUAGES.items()}
    return np.array([[cosine(vectors[a], vectors[b]) for b in LANGUAGES] for a in LANGUAGES])


def test_a_study_that_is_not_there_yet_is_named(said: tuple[Path, str]) -> None:
    assert "compare_with: " in said[1] and "unknown study 'words'" in said[1]


@pytest.mark.parametrize(("study", "asked"), [("tuned", ("proc", 100, "csls")), ("chosen", ("cca", 50, "cosine"))])
def test_the_join_and_its_correlations_are_numpys(
    said: tuple[Path, str], study: str, asked: tuple[str, int, str]
) -> None:
    folder, _ = said
    expected = {"bli_map": _bli(folder, *asked), "syntactic": _syntactic()}
    transfer = _transfer(folder)
    rows = _ask(folder, f"select * from marts.rpt_language_pairs where study = '{study}'")
    pairs = {(row["source_language"], row["target_language"]): row for row in rows}
    assert len(pairs) == len(rows) == 20
    assert {row["embedding_study"] for row in rows} == {"words"}
    assert all(row["relational_similarity"] is not None for row in rows)
    for name, matrix in (expected | {"transfer_pp": transfer}).items():
        np.testing.assert_allclose(_matrix({pair: row[name] for pair, row in pairs.items()}), matrix, atol=1e-6)
    found = {
        row["measure"]: row
        for row in _ask(folder, f"select * from marts.rpt_pair_correlations where study = '{study}'")
    }
    assert set(found) == {"bli_map", "relational_similarity", "syntactic", "phonological", "inventory"}
    assert np.ptp(transfer) > 0
    for measure, matrix in expected.items():
        rho, p = exact_mantel(matrix + matrix.T, transfer + transfer.T)
        row = found[measure]
        assert (row["n_languages"], row["spearman"]) == (5, pytest.approx(rho))
        assert row["p_value"] == pytest.approx(p, abs=0.03)
