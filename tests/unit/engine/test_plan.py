"""Jobs are content-addressed: a change recomputes exactly what depends on it."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from pathlib import Path

import pytest

from compute.engine.plan import Plan, make_plan, study_jobs
from compute.plugin import Job, canonical_json
from compute.store.artifacts import ArtifactStore
from compute.store.landing import Landing
from compute.study.file import read_study
from compute.study.schema import Study

TINY_FILE = Path(__file__).parents[2] / "studies" / "tiny.yml"


@pytest.fixture(scope="module")
def tiny() -> Study:
    return read_study(TINY_FILE)


def changed(before: Study, /, **changes: object) -> Study:
    return Study.model_validate(before.model_dump() | changes)


def step_of(job: Job) -> str | None:
    return getattr(job.config, "step", None)


def land(job: Job, landing: Landing) -> None:
    now = datetime(2026, 1, 1)
    landing.write(
        job.key,
        {},
        {
            "job_key": job.key,
            "plugin": job.plugin,
            "plugin_version": job.version,
            "config": canonical_json(job.config.identity()),
            "label": job.label,
            "state": "landed",
            "attempts": 1,
            "finished_at": now,
        },
    )


def plan_after_landing_all(before: Study, after: Study, folder: Path) -> Plan:
    landing, artifacts = Landing(folder / "landing"), ArtifactStore(folder / "artifacts")
    for job in study_jobs(before).values():
        land(job, landing)
        if job.leaves_artifact:
            (artifacts.root / job.key).mkdir(parents=True)
    return make_plan(after, landing, artifacts, set())


def test_keys_are_stable_and_inputs_come_first(tiny: Study) -> None:
    jobs = study_jobs(tiny)
    assert list(jobs) == list(study_jobs(read_study(TINY_FILE)))
    seen: set[str] = set()
    for key, job in jobs.items():
        assert all(source in seen or source not in jobs for source in job.inputs.values())
        seen.add(key)


def test_a_model_is_pretrained_on_questions_of_no_grid(tmp_path: Path) -> None:
    file = tmp_path / "study.yml"
    read = "pretrain: {corpus: tasks, tasks: [round], languages: [en, fr], "
    file.write_text(TINY_FILE.read_text().replace("pretrain: {languages: [en, de], ", read))
    jobs = study_jobs(read_study(file)).values()
    (pretraining,) = (job for job in jobs if job.plugin == "pretrain")
    read_in = [job.label for job in jobs if job.key in pretraining.inputs.values()]
    assert read_in == ["items of round/en", "items of round/fr"]


def test_labels_name_one_job_each(tiny: Study) -> None:
    jobs = study_jobs(tiny).values()
    assert len({(job.plugin, job.label) for job in jobs}) == len(jobs)


def test_nothing_is_pending_when_all_has_landed(tiny: Study, tmp_path: Path) -> None:
    assert not plan_after_landing_all(tiny, tiny, tmp_path).pending


def test_a_damaged_file_does_not_stop_a_plan(tiny: Study, tmp_path: Path) -> None:
    """What it says of the jobs only tells why others run: of one that a full disk or a crash has cut, nothing is."""
    landing = Landing(tmp_path / "landing")
    first, second, third, *_ = study_jobs(tiny).values()
    for job in (first, second):
        land(job, landing)
    segment = landing.open_segment()
    segment.add_failure(third.key, {"job_key": third.key, "state": "failed", "error": "x", "attempts": 1})
    segment.commit()
    for damaged in (landing.segments()[0], landing.segments()[2]):
        path = damaged.path(landing.root, "jobs")
        path.write_bytes(path.read_bytes()[:100])
    plan = make_plan(tiny, landing, ArtifactStore(tmp_path / "artifacts"), set())
    assert plan.pending[third.key] == "not computed yet"
    labels = {(job.plugin, job.label) for job in (first, second)}
    assert [record["job_key"] for record in landing.latest_by_label(labels).values()] == [second.key]


def test_a_lora_setting_recomputes_adapters_and_their_scores_only(tiny: Study, tmp_path: Path) -> None:
    after = changed(tiny, lora=tiny.lora.model_dump() | {"learning_rate": 0.5})
    plan = plan_after_landing_all(tiny, after, tmp_path)
    assert {job.plugin for job in plan.pending_jobs} == {"transfer"}
    assert len(plan.pending) == sum(job.plugin == "transfer" for job in plan.jobs.values())
    training = next(job for job in plan.pending_jobs if step_of(job) == "train")
    assert plan.pending[training.key] == "changed: lora.learning_rate 0.002 -> 0.5"
    scoring = next(job for job in plan.pending_jobs if step_of(job) == "score")
    assert plan.pending[scoring.key] == "an input changed"


def test_a_new_target_trains_nothing(tiny: Study, tmp_path: Path) -> None:
    assert tiny.targets is not None
    after = changed(tiny, targets={"tasks": tiny.targets.blocks[0].tasks, "languages": ["en", "de", "nl"]})
    plan = plan_after_landing_all(tiny, after, tmp_path)
    assert {job.plugin for job in plan.pending_jobs} == {"items", "baseline", "transfer"}
    assert all(step_of(job) in ("score", None) for job in plan.pending_jobs)
    languages = {"items": "language", "baseline": "target_language", "transfer": "target_language"}
    assert {getattr(job.config, languages[job.plugin]) for job in plan.pending_jobs} == {"nl"}


def test_a_pretraining_setting_recomputes_the_language_half_only(tiny: Study, tmp_path: Path) -> None:
    model = tiny.models[0].model_dump()
    model["pretrain"]["steps"] = 21
    plan = plan_after_landing_all(tiny, changed(tiny, models=[model]), tmp_path)
    assert {job.plugin for job in plan.pending_jobs} == {"pretrain", "baseline", "transfer"}


def test_a_vector_setting_recomputes_the_embedding_half_only(tiny: Study, tmp_path: Path) -> None:
    assert tiny.embeddings is not None
    embeddings = tiny.embeddings.model_dump()
    embeddings["vectors"]["ft"]["dimension"] = 17
    plan = plan_after_landing_all(tiny, changed(tiny, embeddings=embeddings), tmp_path)
    assert {job.plugin for job in plan.pending_jobs} == {"vectors", "isometry", "mapping", "bli"}


def test_a_name_and_a_description_decide_nothing(tiny: Study) -> None:
    assert set(study_jobs(changed(tiny, study="other", description="x"))) == set(study_jobs(tiny))


def test_a_missing_artifact_matters_only_to_a_pending_reader(tiny: Study, tmp_path: Path) -> None:
    landing, artifacts = Landing(tmp_path / "landing"), ArtifactStore(tmp_path / "artifacts")
    jobs = study_jobs(tiny)
    for job in jobs.values():
        land(job, landing)
    assert not make_plan(tiny, landing, artifacts, set()).pending
    scoring = next(job for job in jobs.values() if step_of(job) == "score")
    landing.withdraw([scoring.key])
    pending = make_plan(tiny, landing, artifacts, set()).pending
    labels = {jobs[key].plugin + " " + (step_of(jobs[key]) or "") for key in pending}
    assert labels == {"items ", "pretrain ", "transfer train", "transfer score"}
    assert len(pending) == 4


def test_what_the_warehouse_holds_is_not_computed_again(tiny: Study, tmp_path: Path) -> None:
    keys = set(study_jobs(tiny))
    plan = make_plan(tiny, Landing(tmp_path / "landing"), ArtifactStore(tmp_path / "artifacts"), keys)
    assert not plan.pending


def test_the_published_grid_is_planned_without_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nine models, 44 sources, 44 targets, three seeds: commits and digests stand in for what is fetched later."""

    def no_network(*_: object, **__: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr("socket.socket.connect", no_network)
    study = read_study(TINY_FILE.parents[2] / "studies" / "donors_recipients.yml")
    jobs = study_jobs(study)
    steps = Counter(step_of(job) or job.plugin for job in jobs.values())
    expected = {"score": 9 * 44 * 3 * 44, "train": 9 * 44 * 3, "baseline": 9 * 44, "items": 44, "checkpoint": 9}
    assert steps == expected | {"uriel": 1}
    prompts = {job.config.prompt.partition("@")[0] for job in jobs.values() if step_of(job) == "train"}
    assert prompts == {"cloze", "lettered"}
