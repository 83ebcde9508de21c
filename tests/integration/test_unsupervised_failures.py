"""Methods without a dictionary fail more often than others, and a failure is a result: of itself only."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

from compute.artifacts import ArtifactStore
from compute.embeddings.vectors import Vectors
from compute.embeddings.writing import write_word2vec_text
from compute.errors import JobError
from compute.plan import study_jobs
from compute.plugin import Context, load_plugin
from compute.study_file import read_study

WORDS = 120
METHODS = [
    {"name": "icp", "settings": {"restarts": 2, "restart_epochs": 3, "learning_rate": 1e30}},
    {"name": "vecmap", "settings": {"initial_keep": 0.5, "patience": 3}},
    "proc",
]


def test_one_that_diverges_and_one_that_is_wrong_leave_the_others_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for language in ("en", "de"):
        unlike = rng.normal(size=(WORDS, 6)).astype(np.float32)
        write_word2vec_text(Vectors([f"{language}{i}" for i in range(WORDS)], unlike), tmp_path / f"v.{language}.vec")
    for part, rows in (("train", range(60)), ("test", range(60, WORDS))):
        (tmp_path / f"en-de.{part}.tsv").write_text("".join(f"en{i}\tde{i}\n" for i in rows))
    embeddings = {
        "vectors": {"mine": {"path": "v.{language}.vec"}},
        "languages": ["en", "de"],
        "pairs": "once",
        "methods": METHODS,
        "dictionaries": {part: f"{{source}}-{{target}}.{part}.tsv" for part in ("train", "test")},
        "dictionary_sizes": [50],
    }
    (tmp_path / "study.yml").write_text(yaml.safe_dump({"study": "test", "embeddings": embeddings}))
    jobs = list(study_jobs(read_study(tmp_path / "study.yml")).values())
    context = Context("cpu", ArtifactStore(tmp_path / "artifacts"))

    outcomes = {}
    for plugin in ("vectors", "mapping"):
        for job, outcome in load_plugin(plugin).run([job for job in jobs if job.plugin == plugin], context):
            outcomes[job.config.get("method", job.label)] = outcome
    failed = {name: str(outcome) for name, outcome in outcomes.items() if isinstance(outcome, JobError)}
    assert list(failed) == ["icp"]
    assert "a lower learning_rate may help" in failed["icp"] and "\n" not in failed["icp"]

    ranked = [job for job in jobs if job.plugin == "bli" and job.config["method"] == "vecmap"]
    ((_, landed),) = load_plugin("bli").run(ranked, context)
    assert not isinstance(landed, JobError)
    ranks = [row["rank"] for row in landed["bli_ranks"] if row["retrieval"] == "cosine"]
    assert len(ranks) == WORDS - 60 and np.mean([1 / rank for rank in ranks]) < 0.1  # chance is 0.045
