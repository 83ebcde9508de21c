"""Mixtures and adapters on the way in a visit: what is trained, once; what a killed visit leaves; what has landed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from compute.engine.plan import make_plan, study_jobs
from compute.language_models import training
from compute.language_models.adapters import load_adapter
from compute.plugin import Context, Job
from compute.plugins.transfer import Transfer
from compute.plugins.tunings import MixedTuning, Tuning, taken_parts, training_source
from compute.store.artifacts import ArtifactStore
from compute.store.landing import Landing
from compute.study.file import read_study
from compute.study.schema import Study
from tests.unit.plugins.test_transfer_visit import visit_of

STUDY = read_study(Path(__file__).parents[2] / "studies" / "mixed.yml")
SMALL = Study.model_validate(
    STUDY.model_dump() | {"seeds": [1], "placebo": {}, "targets": [{"tasks": ["parity"], "languages": ["en"]}]}
)


def with_fractions(*fractions: float) -> Study:
    return Study.model_validate(SMALL.model_dump() | {"lora": {"epochs": 2, "score_at": fractions}})


def trainings(study: Study) -> dict[str, Job]:
    jobs = [job for job in study_jobs(study).values() if job.plugin == "transfer" and job.config.step == "train"]
    return {job.label: job for job in jobs}


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[list[tuple[int, tuple[float, ...]]]]:
    """Of each stack that is trained: items and fractions of its sources."""
    told: list[list[tuple[int, tuple[float, ...]]]] = []
    train = training.train_stack

    def watched(model: Any, tokenizer: Any, sources: Any, *others: Any, **more: Any) -> Any:
        told.append([(len(source.items), source.fractions) for source in sources])
        return train(model, tokenizer, sources, *others, **more)

    monkeypatch.setattr(training, "train_stack", watched)
    return told


def test_the_whole_training_has_the_key_that_it_has_without_fractions() -> None:
    plain, followed = trainings(with_fractions()), trainings(with_fractions(0.25, 0.5, 1.0))
    assert {label: job.key for label, job in plain.items()}.items() <= {
        label: job.key for label, job in followed.items()
    }.items()
    assert len(followed) == 3 * len(plain) and len({job.key for job in followed.values()}) == len(followed)
    assert trainings(with_fractions(0.25, 0.5)).keys() == followed.keys()  # the whole is always scored
    scored = [job.config for job in study_jobs(with_fractions(0.5)).values() if job.plugin == "transfer"]
    assert {config.fraction for config in scored} == {None, 0.5}


def test_one_training_gives_all_its_fractions(tmp_path: Path, runs: list[Any]) -> None:
    context = Context("cpu", ArtifactStore(tmp_path))
    study = with_fractions(0.25, 0.5)
    train, score = visit_of(study, context)
    outcomes = dict(zip((job.key for job in train), Transfer().run(train, context), strict=True))
    assert runs == [[(48, (0.25, 0.5))] * 4 + [(96, (0.25, 0.5)), (48, (0.25, 0.5))]]
    rows = {job.label: outcome for job, outcome in outcomes.values()}
    assert all(not rows[label] for label in rows if " at " in label)  # what there is to tell is of the whole
    assert all(rows[label]["training_log"] for label in rows if " at " not in label)
    # Later the same, and nothing is trained again; each is scored by itself.
    found = {job.label: outcome for job, outcome in Transfer().run([*train, *score], context)}
    assert len(runs) == 1
    assert {row["fraction"] for outcome in found.values() for row in outcome.get("item_scores", ())} == {
        0.25,
        0.5,
        None,
    }
    first = [job for job in train if job.label.startswith(train[0].label)]
    adapters = [load_adapter(context.artifacts.path(job.key)) for job in first]
    layer = next(iter(adapters[0].matrices))
    grown = {
        job.config.fraction: a.matrices[layer][1].abs().sum().item() for job, a in zip(first, adapters, strict=True)
    }
    assert 0 < grown[0.25] < grown[0.5] and grown[0.5] != grown[None]


def test_fractions_that_are_asked_for_later_train_once_more_and_leave_the_whole_alone(
    tmp_path: Path, runs: list[Any]
) -> None:
    context = Context("cpu", ArtifactStore(tmp_path))
    train, _ = visit_of(with_fractions(), context)
    list(Transfer().run(train, context))
    before = {job.key: (context.artifacts.path(job.key) / "adapter_model.safetensors").stat() for job in train}
    later = list(trainings(with_fractions(0.5)).values())
    list(Transfer().run(later, context))
    assert [len(stack) for stack in runs] == [6, 6] and runs[1][0] == (48, (0.5,))
    assert {key: (context.artifacts.path(key) / "adapter_model.safetensors").stat() for key in before} == before
    assert all(context.artifacts.has(job.key) for job in later)
    list(Transfer().run(later, context))
    assert len(runs) == 2


def test_a_fraction_whose_artifact_is_gone_is_made_again_if_it_is_read(tmp_path: Path) -> None:
    landing, artifacts = Landing(tmp_path / "landing"), ArtifactStore(tmp_path / "artifacts")
    study = with_fractions(0.5)
    jobs = study_jobs(study)
    score = next(job for job in jobs.values() if job.label.endswith("at 0.5 -> parity/en"))
    plan = make_plan(study, landing, artifacts, set(jobs) - {score.key})
    base, adapter = score.inputs["base"], score.inputs["adapter"]
    assert {base, adapter, score.key} <= set(plan.pending) and jobs[adapter].config.fraction == 0.5


def test_a_mixture_is_the_first_items_of_its_parts(tmp_path: Path) -> None:
    context = Context("cpu", ArtifactStore(tmp_path))
    train, _ = visit_of(Study.model_validate(STUDY.model_dump()), context)
    by_name = {
        job.config.source_name or f"{job.config.source_task}/{job.config.source_language}": job
        for job in train
        if job.config.fraction is None
    }
    alone = {
        name: training_source(job, (), context).items for name, job in by_name.items() if isinstance(job.config, Tuning)
    }
    both, even = by_name["parity-both"], by_name["even"]
    assert isinstance(both.config, MixedTuning) and isinstance(even.config, MixedTuning)
    assert (both.config.source_task, both.config.source_language) == ("parity", "mul")
    assert (even.config.source_task, even.config.source_language) == ("mul", "mul")
    assert training_source(both, (), context).items == [*alone["parity/en"], *alone["parity/de"]]
    assert training_source(even, (), context).items == [*alone["parity/en"][:12], *alone["compare/de"][:36]]
    assert [(len(part.items), part.n_alone) for part in taken_parts(even, context)] == [(12, 48), (36, 48)]
    dev = training_source(even, (), context).eval_items
    assert len(dev) == 20 and {item.label.split()[0] for item in dev}
    # The placebo's labels move within each part.
    (placebo,) = (job for job in study_jobs(STUDY).values() if job.label.endswith("on placebo even seed 1"))
    mixed, shuffled = (training_source(job, (), context) for job in (even, placebo))
    assert not shuffled.shuffled_labels
    for part in (slice(0, 12), slice(12, 48)):
        golds = [[item.gold for item in source.items[part]] for source in (mixed, shuffled)]
        assert sorted(golds[0]) == sorted(golds[1]) and golds[0] != golds[1]


def test_a_part_that_has_too_few_items_fails_its_mixture_alone(tmp_path: Path) -> None:
    context = Context("cpu", ArtifactStore(tmp_path))
    train, _ = visit_of(SMALL, context)
    even = next(job for job in train if job.config.source_name == "even" and job.config.fraction is None)
    asked = Job(
        even.plugin,
        even.version,
        even.config.model_copy(update={"items": 80}),
        even.inputs,
        even.label,
        even.batch,
        leaves_artifact=True,
    )
    torch.set_num_threads(1)
    outcomes = dict(zip(("cell", "mixture"), Transfer().run([train[0], asked], context), strict=True))
    assert outcomes["cell"][1]["training_log"]  # type: ignore[index]
    assert "asked of compare/de, which alone is tuned on 48" in str(outcomes["mixture"][1])
