"""One visit of the plugin `transfer`: what cannot be scored fails alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from compute.engine.plan import study_jobs
from compute.errors import JobError, UserError
from compute.language_models.adapters import initial_adapter, save_adapter
from compute.plugin import Context, Job
from compute.plugins.items import Items
from compute.plugins.transfer import Transfer
from compute.store.artifacts import ArtifactStore
from compute.study.file import read_study
from compute.study.schema import Study
from compute.tasks import Generation
from compute.tasks.store import load_questions
from tests.helpers.tiny_model import tiny_model

STUDY = read_study(Path(__file__).parents[2] / "studies" / "tiny.yml")


def visit_of(study: Study, context: Context) -> tuple[list[Job], list[Job]]:
    """Jobs that train the adapters of two sources, and that score them on four targets; base and items are there."""
    jobs = list(study_jobs(study).values())
    list(Items().run([job for job in jobs if job.plugin == "items"], context))
    visit = [job for job in jobs if job.plugin == "transfer" and job.config.control is None]
    with context.artifacts.commit([visit[0].inputs["base"]]) as folders:
        for part in tiny_model():
            part.save_pretrained(folders[visit[0].inputs["base"]])
    parts = [[job for job in visit if job.config.step == step] for step in ("train", "score")]
    return parts[0], parts[1]


@pytest.fixture
def scorings(tmp_path: Path) -> tuple[list[Job], Context]:
    """The jobs that score, adapters being there."""
    context = Context("cpu", ArtifactStore(tmp_path))
    trainings, scorings = visit_of(STUDY, context)
    model, _ = tiny_model()
    with context.artifacts.commit(job.key for job in trainings) as folders:
        for folder in folders.values():
            save_adapter(initial_adapter(model, STUDY.lora, 1), STUDY.lora, folder, "tiny")
    return scorings, context


def failures(jobs: Sequence[Job], context: Context) -> dict[str, str]:
    """Why jobs failed, by label; all the others landed."""
    outcomes = list(Transfer().run(jobs, context))
    assert [job.key for job, _ in outcomes] == [job.key for job in jobs]
    return {job.label: str(outcome) for job, outcome in outcomes if isinstance(outcome, JobError)}


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100])


@pytest.mark.parametrize("name", ["adapter_config.json", "adapter_model.safetensors"])
@pytest.mark.parametrize("damage", [cut, Path.unlink])
def test_an_adapter_that_cannot_be_read(
    scorings: tuple[list[Job], Context], name: str, damage: Callable[[Path], None]
) -> None:
    jobs, context = scorings
    folder = context.artifacts.path(jobs[0].inputs["adapter"])
    damage(folder / name)
    failed = failures(jobs, context)
    assert list(failed) == [job.label for job in jobs if job.inputs["adapter"] == folder.name] and len(
        failed
    ) == 4 < len(jobs)
    assert all(str(folder) in reason and name in reason and "trained again" in reason for reason in failed.values())


def test_a_model_that_answers_with_no_numbers(scorings: tuple[list[Job], Context]) -> None:
    jobs, context = scorings
    path = context.artifacts.path(jobs[0].inputs["adapter"]) / "adapter_model.safetensors"
    save_file({name: tensor.fill_(float("nan")) for name, tensor in load_file(path).items()}, path)
    failed = failures(jobs, context)
    assert list(failed) == [job.label for job in jobs if job.inputs["adapter"] == path.parent.name]
    first = load_questions(context.artifacts.path(jobs[0].inputs["items"]), "test")[0]
    assert failed[jobs[0].label].startswith(
        f"item {first.item_id}: the log-probabilities of its choices are nan, nan; "
    )


def test_answers_that_cannot_be_judged(scorings: tuple[list[Job], Context], monkeypatch: pytest.MonkeyPatch) -> None:
    jobs, context = scorings
    generation = Generation((".",), 2, "lm_eval:broken")
    answered = replace(jobs[1], config=jobs[1].config.model_copy(update={"generation": generation}))

    def refuse(name: str) -> Any:
        raise UserError(f"task {name}: the harness cannot judge it")

    monkeypatch.setattr("compute.plugins.scoring_rows.open_judge", refuse)
    failed = failures([jobs[0], answered, *jobs[2:]], context)
    assert failed == {answered.label: "task lm_eval:broken: the harness cannot judge it"}


def test_a_training_that_learns_nothing_is_told(tmp_path: Path) -> None:
    """As in Hugging Face's `Trainer` the first step of a warm-up has rate zero: alone it changes nothing."""
    notes: list[str] = []
    context = Context("cpu", ArtifactStore(tmp_path), note=notes.append)
    for items, epochs, warmup, told in ((16, 1, 0.05, 2), (16, 2, 0.05, 0), (16, 1, 0.0, 0)):
        changes = {"items": {"train": items, "dev": 0}, "lora": {"epochs": epochs, "warmup": warmup, "batch_size": 16}}
        trainings, _ = visit_of(Study.model_validate(STUDY.model_dump() | changes), context)
        list(Transfer().run(trainings, context))
        assert notes[0].startswith("small default: LoRA on 14 layers (down_proj, ") and "parameters" in notes[0]
        assert [note.partition(":")[0] for note in notes[1:]] == [job.label for job in trainings][:told]
        notes.clear()
