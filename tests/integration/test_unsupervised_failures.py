"""Methods without a dictionary fail more often than others, and a failure is a result: of itself only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from compute.embeddings import bli
from compute.embeddings.retrieval import Ranker
from compute.embeddings.vectors import Vectors
from compute.embeddings.writing import write_word2vec_text
from compute.engine.plan import study_jobs
from compute.errors import JobError
from compute.plugin import Context, Job, Outcome, load_plugin
from compute.store.artifacts import ArtifactStore
from compute.study.file import read_study

WORDS = 120
METHODS = [
    {"name": "icp", "settings": {"restarts": 2, "restart_epochs": 3, "learning_rate": 1e30}},
    {"name": "vecmap", "settings": {"initial_keep": 0.5, "patience": 3}},
    "proc",
]


def planned(folder: Path, methods: list[Any], length: float = 1.0) -> list[Job]:
    """The jobs of a study of two languages whose vectors, about as long as said, have nothing in common."""
    rng = np.random.default_rng(0)
    for language in ("en", "de"):
        unlike = rng.normal(scale=length, size=(WORDS, 6)).astype(np.float32)
        write_word2vec_text(Vectors([f"{language}{i}" for i in range(WORDS)], unlike), folder / f"v.{language}.vec")
    for part, rows in (("train", range(60)), ("test", range(60, WORDS))):
        (folder / f"en-de.{part}.tsv").write_text("".join(f"en{i}\tde{i}\n" for i in rows))
    embeddings = {
        "vectors": {"mine": {"path": "v.{language}.vec"}},
        "languages": ["en", "de"],
        "pairs": "once",
        "methods": methods,
        "dictionaries": {part: f"{{source}}-{{target}}.{part}.tsv" for part in ("train", "test")},
        "dictionary_sizes": [50],
    }
    (folder / "study.yml").write_text(yaml.safe_dump({"study": "test", "embeddings": embeddings}))
    return list(study_jobs(read_study(folder / "study.yml")).values())


def mapped(jobs: list[Job], context: Context) -> dict[str, Outcome]:
    """What became of the vectors and of each method."""
    outcomes = {}
    for plugin in ("vectors", "mapping"):
        for job, outcome in load_plugin(plugin).run([job for job in jobs if job.plugin == plugin], context):
            outcomes[getattr(job.config, "method", job.label)] = outcome
    return outcomes


def test_one_that_diverges_and_one_that_is_wrong_leave_the_others_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    jobs = planned(tmp_path, METHODS)
    context = Context("cpu", ArtifactStore(tmp_path / "artifacts"))
    outcomes = mapped(jobs, context)
    failed = {name: str(outcome) for name, outcome in outcomes.items() if isinstance(outcome, JobError)}
    assert list(failed) == ["icp"]
    assert "a lower learning_rate may help" in failed["icp"] and "\n" not in failed["icp"]

    ranked = [job for job in jobs if job.plugin == "bli" and job.config.method == "vecmap"]
    ((_, landed),) = load_plugin("bli").run(ranked, context)
    assert not isinstance(landed, JobError)
    ranks = [row["rank"] for row in landed["bli_ranks"] if row["retrieval"] == "cosine"]
    assert len(ranks) == WORDS - 60 and np.mean([1 / rank for rank in ranks]) < 0.1  # chance is 0.045


@pytest.mark.filterwarnings("ignore:overflow")
def test_vectors_too_long_for_a_decomposition_fail_one_method_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    jobs = planned(tmp_path, [{"name": "vecmap", "preprocessing": "none"}, "proc"], length=1e30)
    outcomes = mapped(jobs, Context("cpu", ArtifactStore(tmp_path / "artifacts")))
    failed = {name: str(outcome) for name, outcome in outcomes.items() if isinstance(outcome, JobError)}
    assert list(failed) == ["vecmap"] and len(outcomes) == 4
    assert "svd" in failed["vecmap"] and "\n" not in failed["vecmap"]


def test_memory_that_runs_out_fails_one_job_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    jobs = planned(tmp_path, ["proc", "cca"])
    context = Context("cpu", ArtifactStore(tmp_path / "artifacts"))
    mapped(jobs, context)
    refusals = [torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB.\nSee the documentation.")]

    def ranker(*arguments: Any) -> Ranker:
        if refusals:
            raise refusals.pop()
        return Ranker(*arguments)

    monkeypatch.setattr(bli, "Ranker", ranker)
    (_, first), (_, second) = load_plugin("bli").run([job for job in jobs if job.plugin == "bli"], context)
    assert isinstance(first, JobError) and str(first) == "CUDA out of memory. Tried to allocate 9 GiB."
    assert not isinstance(second, JobError) and len(second["bli_ranks"]) == 2 * (WORDS - 60)
