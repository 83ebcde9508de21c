"""One visit of the plugin `sources`: adapters one after the other on one base, and checkpoints in its place."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from compute.engine.plan import study_jobs
from compute.errors import JobError
from compute.language_models.given_adapters import read_adapter
from compute.language_models.loading import load_model
from compute.language_models.peft_models import with_adapter
from compute.language_models.scoring import score_items
from compute.plugin import Context, Job
from compute.plugins.baseline import Baseline
from compute.plugins.items import Items
from compute.plugins.scoring_rows import asked_items
from compute.plugins.sources import Sources
from compute.store.artifacts import ArtifactStore
from compute.study.schema import Study
from tests.helpers.given_adapters import METHODS, lora, train_adapter
from tests.helpers.tiny_model import tiny_model

Row = Mapping[str, Any]
TARGETS = {"tasks": ["parity"], "languages": ["de", "en"]}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base, adapters of it of which one writes into it, and a tuned checkpoint."""
    folder = tmp_path_factory.mktemp("made")
    model, tokenizer = tiny_model()
    for name in ("base", "tuned"):
        for part in (model, tokenizer):
            part.save_pretrained(folder / name)
        for parameter in model.parameters():
            parameter.data.add_(0.05)
    model, _ = tiny_model()
    train_adapter(model, METHODS["OLoRA"](), folder / "writes")
    for seed in (1, 2):
        train_adapter(model, lora(), folder / f"seed{seed}", seed)
    train_adapter(model, METHODS["prompt tuning"](), folder / "prompts")
    return folder


def study_of(made: Path, *sources: dict[str, Any], checkpoint: str = "base") -> Study:
    entry = {"name": "tiny", "checkpoint": str(made / checkpoint), "sources": list(sources)}
    return Study.model_validate({"study": "s", "models": [entry], "targets": TARGETS, "items": {"test": 6}})


def visit(study: Study, plugin: Any, context: Context) -> dict[str, list[Row] | str]:
    """Rows of raw.item_scores by the job's label, or why there are none."""
    jobs = list(study_jobs(study).values())
    list(Items().run([job for job in jobs if job.plugin == "items"], context))
    batches: dict[str, list[Job]] = {}
    for job in jobs:
        if job.plugin == plugin.name:
            batches.setdefault(job.batch, []).append(job)
    outcomes = [outcome for batch in batches.values() for outcome in plugin.run(batch, context)]
    assert [job.key for job, _ in outcomes] == [job.key for batch in batches.values() for job in batch]
    return {
        job.label: str(found) if isinstance(found, JobError) else list(found["item_scores"]) for job, found in outcomes
    }


def keys_of(rows: list[Row] | str) -> tuple[Any, ...]:
    assert not isinstance(rows, str), rows
    names = ("model", "variant", "source_task", "source_language", "control", "seed")
    [keys] = {tuple(row[name] for name in names) for row in rows}
    return keys


def test_rows_tell_sources_apart(made: Path, tmp_path: Path) -> None:
    """Several seeds of one name are one source's; two names on one cell are two variants; several tasks are `mul`."""
    context = Context("cpu", ArtifactStore(tmp_path))
    study = study_of(
        made,
        {"name": "mine", "adapter": str(made / "seed1"), "task": "parity", "language": "de", "seed": 1},
        {"name": "mine", "adapter": str(made / "seed2"), "task": "parity", "language": "de", "seed": 2},
        {"name": "theirs", "adapter": str(made / "seed1"), "task": "parity", "language": "de", "seed": 1},
        {"name": "chat", "adapter": str(made / "prompts"), "task": "mul", "language": "mul"},
        {"name": "whole", "checkpoint": str(made / "tuned"), "variant": "full"},
    )
    scored = visit(study, Sources(), context)
    assert len(scored) == 10
    (model,) = {keys_of(rows)[0] for rows in visit(study, Baseline(), context).values()}
    assert {keys_of(rows) for rows in scored.values()} == {
        (model, "mine", "parity", "de", None, 1),
        (model, "mine", "parity", "de", None, 2),
        (model, "theirs", "parity", "de", None, 1),
        (model, "chat", "mul", "mul", None, 0),
        (model, "full", "und", "und", None, 0),
    }


def test_what_one_adapter_leaves_another_does_not_see(made: Path, tmp_path: Path) -> None:
    context = Context("cpu", ArtifactStore(tmp_path))
    clean = {"name": "clean", "adapter": str(made / "seed1")}
    alone = visit(study_of(made, clean), Sources(), context)
    after = visit(study_of(made, {"name": "first", "adapter": str(made / "writes")}, clean), Sources(), context)
    assert len(alone) == 2 and alone.items() <= after.items()
    assert len({str(rows) for rows in after.values()}) == 4

    model, tokenizer = load_model(made / "base")
    jobs = [job for job in study_jobs(study_of(made, clean)).values() if job.plugin == "sources"]
    for job in jobs:
        with with_adapter(model, read_adapter(made / "seed1")) as usable:
            expected = score_items(usable, tokenizer, asked_items(job, "test", 6, context))
        assert [row["logprobs"] for row in alone[job.label]] == [one.logprobs for one in expected]  # type: ignore[index]


def test_a_tuned_checkpoint_scores_as_a_model_does(made: Path, tmp_path: Path) -> None:
    context = Context("cpu", ArtifactStore(tmp_path))
    study = study_of(made, {"name": "whole", "checkpoint": str(made / "tuned")})
    tuned, as_model, base = (
        [[row["logprobs"] for row in rows] for rows in visit(one, plugin, context).values()]  # type: ignore[index]
        for one, plugin in ((study, Sources()), (study_of(made, checkpoint="tuned"), Baseline()), (study, Baseline()))
    )
    assert tuned == as_model != base


def test_an_adapter_that_has_changed_fails_alone(made: Path, tmp_path: Path) -> None:
    """Between planning and scoring; and one whose weights are no numbers."""
    context = Context("cpu", ArtifactStore(tmp_path / "artifacts"))
    model, _ = tiny_model()
    changed = train_adapter(model, lora(), tmp_path / "changed")
    nothing = train_adapter(model, lora(), tmp_path / "nothing")
    path = nothing / "adapter_model.safetensors"
    save_file({key: torch.full_like(value, float("nan")) for key, value in load_file(path).items()}, path)
    names = {"changed": changed, "nothing": nothing, "sound": made / "seed1"}
    study = study_of(made, *({"name": name, "adapter": str(place)} for name, place in names.items()))
    jobs = list(study_jobs(study).values())
    list(Items().run([job for job in jobs if job.plugin == "items"], context))
    train_adapter(model, lora(), changed, seed=5)
    outcomes = list(Sources().run([job for job in jobs if job.plugin == "sources"], context))
    told = [str(found) if isinstance(found, JobError) else "scored" for _, found in outcomes]
    assert [text.partition("; ")[0] for text in told[:2]] == [
        f"{changed}: the adapter has changed since the study was planned"
    ] * 2
    assert all("the log-probabilities of its choices are nan" in text for text in told[2:4])
    assert told[4:] == ["scored"] * 2
