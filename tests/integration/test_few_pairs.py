"""A dictionary of which the vectors know few words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

from compute.embeddings.vectors import Vectors
from compute.embeddings.writing import write_word2vec_text
from compute.engine.plan import study_jobs
from compute.plugin import Context, load_plugin
from compute.store.artifacts import ArtifactStore
from compute.study.file import read_study


@pytest.mark.parametrize("known", [5, 8])
def test_fewer_known_pairs_than_dimensions_are_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, known: int
) -> None:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for language in ("en", "de"):
        words = Vectors([f"{language}{i}" for i in range(40)], rng.normal(size=(40, 8)).astype(np.float32))
        write_word2vec_text(words, tmp_path / f"v.{language}.vec")
    for part, first in (("train", 0), ("test", 20)):
        rows = "".join(f"en{i}\t{'de' if i < known or i >= 20 else 'unknown'}{i}\n" for i in range(first, first + 20))
        (tmp_path / f"en-de.{part}.tsv").write_text(rows)
    embeddings = {
        "vectors": {"mine": {"path": "v.{language}.vec"}},
        "languages": ["en", "de"],
        "pairs": "once",
        "methods": ["proc", "rcsls"],
        "dictionaries": {part: f"{{source}}-{{target}}.{part}.tsv" for part in ("train", "test")},
        "dictionary_sizes": [20],
    }
    (tmp_path / "study.yml").write_text(yaml.safe_dump({"study": "test", "embeddings": embeddings}))
    jobs = list(study_jobs(read_study(tmp_path / "study.yml")).values())
    told: list[str] = []
    context = Context("cpu", ArtifactStore(tmp_path / "artifacts"), note=told.append)
    for plugin in ("vectors", "mapping"):
        outcomes = list(load_plugin(plugin).run([job for job in jobs if job.plugin == plugin], context))
        assert all(outcome == {} for _, outcome in outcomes)
    few = "mine en-de: of 20 training pairs 5 have two known words, fewer than the vectors have dimensions, 8"
    assert told == ([few] if known == 5 else [])
