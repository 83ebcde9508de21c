"""Embedding studies from file to rows: the user's own vectors, text and dictionaries, and the cataloged ones."""

from __future__ import annotations

import json
import os
import shutil
import socket
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from compute.catalog import MIRROR_VARIABLE
from compute.embeddings.mappings import METHODS, MappingMethod, Seeds, load_method
from compute.embeddings.mappings import Mapping as LearntMap
from compute.embeddings.vectors import Vectors, load_vectors
from compute.embeddings.writing import export_mapping, write_word2vec_text
from compute.engine.plan import study_jobs
from compute.errors import JobError, UserError
from compute.plugin import Context, Job, load_plugin
from compute.store.artifacts import ArtifactStore
from compute.study.file import read_study

ROOT = Path(__file__).parents[2]
MIRROR = ROOT.parent / "shared" / "data"

Rows = Sequence[Mapping[str, Any]]


def write_study(folder: Path, **embeddings: Any) -> Path:
    path = folder / "study.yml"
    path.write_text(yaml.safe_dump({"study": "test", "embeddings": embeddings}))
    return path


def plan(study: Path) -> list[Job]:
    return list(study_jobs(read_study(study)).values())


def run(jobs: Sequence[Job], folder: Path) -> dict[str, Mapping[str, Rows] | JobError]:
    """What came of each job, by label; jobs whose inputs failed are left out."""
    context = Context("cpu", ArtifactStore(folder / "artifacts"))
    outcomes: dict[str, Mapping[str, Rows] | JobError] = {}
    lost: set[str] = set()
    for job in jobs:
        if lost.intersection(job.inputs.values()):
            lost.add(job.key)
            continue
        ((_, outcome),) = load_plugin(job.plugin).run([job], context)
        outcomes[job.label] = outcome
        if isinstance(outcome, JobError):
            lost.add(job.key)
    return outcomes


def rows(outcomes: Mapping[str, Mapping[str, Rows] | JobError], table: str) -> list[Mapping[str, Any]]:
    failed = {label: str(outcome) for label, outcome in outcomes.items() if isinstance(outcome, JobError)}
    assert not failed
    return [row for outcome in outcomes.values() for row in outcome.get(table, ())]  # type: ignore[union-attr]


def failure(outcomes: Mapping[str, Mapping[str, Rows] | JobError]) -> str:
    """The only failure there is, which is one line."""
    (error,) = [str(outcome) for outcome in outcomes.values() if isinstance(outcome, JobError)]
    assert "\n" not in error
    return error


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with English vectors, German ones that are the same turned round, and dictionaries of
    `en-de` only. Word i of one language means word i of the other."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    english = rng.normal(size=(300, 8)).astype(np.float32)
    rotation = np.linalg.qr(rng.normal(size=(8, 8)))[0].astype(np.float32)
    for language, matrix in (("en", english), ("de", english @ rotation)):
        write_word2vec_text(Vectors([f"{language}{i}" for i in range(300)], matrix), tmp_path / f"v.{language}.vec", 6)
    dictionary = [f"en{i}\tde{i}\n" for i in range(300)]
    (tmp_path / "en-de.train.tsv").write_text("".join(dictionary[:100]))
    # One row seen in training, one twice, one of identical words, and two that the vectors do not have.
    rest = [dictionary[3], dictionary[200], dictionary[200], "same\tsame\n", "en0\tder\n", *dictionary[210:215]]
    (tmp_path / "en-de.test.tsv").write_text("".join(rest))
    return tmp_path


OWN_FILES: dict[str, Any] = {
    "vectors": {"mine": {"path": "v.{language}.vec"}},
    "languages": ["en", "de"],
    "methods": ["proc"],
    "dictionaries": {"train": "{source}-{target}.train.tsv", "test": "{source}-{target}.test.tsv"},
    "dictionary_sizes": [50, 100],
    "seeds": [3, 4],
    "isometry": ["relational_similarity", "eigenvector_similarity"],
}


def test_the_users_own_files_from_vectors_to_ranks(world: Path) -> None:
    jobs = plan(write_study(world, **OWN_FILES))
    # PROC draws nothing and the dictionaries do not depend on the seed: once, whatever the seeds.
    assert [job.plugin for job in jobs] == ["vectors"] * 2 + ["isometry"] * 4 + ["mapping"] * 4 + ["bli"] * 4
    outcomes = run(jobs, world)
    found = [row for row in rows(outcomes, "bli_ranks") if row["retrieval"] == "cosine"]
    assert len(found) == 4 * 10
    for direction in (("en", "de"), ("de", "en")):
        own = [
            row
            for row in found
            if (row["source_language"], row["target_language"], row["dictionary_size"]) == (*direction, 50)
        ]
        assert [row["rank"] for row in own] == [1, 1, 1, None, None, 1, 1, 1, 1, 1]
        assert [row["is_leaked"] for row in own] == [True] + [False] * 9
        assert [row["is_duplicate"] for row in own] == [False, False, True] + [False] * 7
        assert [row["is_identical"] for row in own].index(True) == 3
        assert own[1]["query"].startswith(direction[0]) and own[1]["gold"].startswith(direction[1])
        assert [row["concept_id"] for row in own] == [f"en-de/test/{i}" for i in range(10)]
    similarity = [row["value"] for row in rows(outcomes, "isometry") if row["measure"] == "relational_similarity"]
    assert similarity == pytest.approx([1, 1], abs=1e-4)


def test_mapped_vectors_can_be_exported(world: Path) -> None:
    jobs = plan(write_study(world, **OWN_FILES | {"dictionary_sizes": [50], "isometry": []}))
    run(jobs, world)
    mapping = next(job for job in jobs if job.plugin == "mapping")
    artifact = world / "artifacts" / mapping.key
    paths = export_mapping(artifact, world / "out", "en", "de")
    assert [path.name for path in paths] == ["en-de.en.vec", "en-de.de.vec"]
    source, target = (load_vectors(artifact / side) for side in ("source", "target"))
    np.testing.assert_allclose(source.matrix, target.matrix, atol=1e-4)


def test_files_may_move_but_not_change(world: Path) -> None:
    study = write_study(world, **OWN_FILES)
    keys = [job.key for job in plan(study)]
    moved = world / "elsewhere"
    moved.mkdir()
    for path in world.glob("*.[vt]*"):
        if path != study:
            shutil.move(path, moved)
    there = {
        "vectors": {"other_name": {"path": str(moved / "v.{language}.vec")}},
        "dictionaries": {part: f"{moved}/{{source}}-{{target}}.{part}.tsv" for part in ("train", "test")},
    }
    renamed = plan(write_study(world, **OWN_FILES | there))
    assert [job.key for job in renamed if job.plugin == "vectors"] == keys[:2]
    same_name = {"vectors": {"mine": there["vectors"]["other_name"]}}
    assert [job.key for job in plan(write_study(world, **OWN_FILES | there | same_name))] == keys
    test_file = moved / "en-de.test.tsv"
    test_file.write_text(test_file.read_text() + "en299\tde299\n")
    changed = plan(write_study(world, **OWN_FILES | there | same_name))
    assert [job.key in keys for job in changed] == [job.plugin != "bli" for job in changed]
    vectors = moved / "v.en.vec"
    vectors.write_text(vectors.read_text().replace("en299 ", "en300 "))
    assert [job.key in keys for job in plan(write_study(world, **OWN_FILES | there | same_name))][:2] == [False, True]
    (unread,) = [job for job in changed if job.label == "read vectors mine for en"]
    assert "has changed since the study was planned" in failure(run([unread], world))
    bli = next(job for job in changed if job.plugin == "bli")
    test_file.write_text("en1\tde1\n")
    assert "test dictionary en-de has changed" in failure(run([bli], world))


def test_what_was_met_while_reading_is_kept(world: Path) -> None:
    lines = (world / "v.en.vec").read_text().splitlines()
    lines[5] = "broken 1.0"
    lines[7] = lines[8].replace("en7", "EN6")
    (world / "v.en.vec").write_text("\n".join(lines) + "\n")
    options = {"vectors": {"mine": {"path": "v.{language}.vec", "vocabulary": 250, "fold_case": True}}}
    job = plan(write_study(world, **OWN_FILES | options))[0]
    told: list[str] = []
    context = Context("cpu", ArtifactStore(world / "artifacts"), note=told.append)
    list(load_plugin("vectors").run([job], context))
    assert told == [f"{job.label}: 1 malformed, left out: line 6: expected a word and 8 numbers, found 2 fields"]
    kept = load_vectors(world / "artifacts" / job.key)
    assert len(kept) == 250 and isinstance(kept.matrix, np.memmap)
    notes = json.loads((world / "artifacts" / job.key / "reading.json").read_text())
    assert notes["malformed_lines"] == ["line 6: expected a word and 8 numbers, found 2 fields"]
    assert (notes["words"], notes["malformed"], notes["repeated"]) == (250, 1, 0)
    assert notes["sha256"] == job.inputs["file"]


def test_vectors_trained_on_the_users_text(world: Path) -> None:
    for language in ("en", "de"):
        text = "".join(
            f"The {language}{'abcdefgh'[i % 8]} stands by {language}{'bcdefgha'[i % 8]}.\n" for i in range(400)
        )
        (world / f"{language}.txt").write_text(text)
    (world / "en-de.train.tsv").write_text("".join(f"EN{c}\tde{c}\n" for c in "abcdef"))
    (world / "en-de.test.tsv").write_text("eng\tdeg\nenh\tdeh\n")
    own = {"corpus": "files", "path": "{language}.txt", "dimension": 8, "epochs": 1, "min_count": 1}
    jobs = plan(write_study(world, **OWN_FILES | {"vectors": {"mine": own}, "dictionary_sizes": [6], "isometry": []}))
    outcomes = run(jobs, world)
    assert len(rows(outcomes, "bli_ranks")) == 2 * 2 * 2
    first = load_vectors(world / "artifacts" / jobs[0].key)
    assert {"the", "stands", "by", "ena"} <= set(first.words)  # in lower case, and so the dictionary
    shutil.rmtree(world / "artifacts")
    run(jobs[:1], world)
    assert load_vectors(world / "artifacts" / jobs[0].key).matrix.tobytes() == first.matrix.tobytes()


def test_a_method_is_given_the_device_the_seed_and_only_the_pairs_it_may_see(
    world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[tuple[int, str, int]] = []

    class Spy(MappingMethod):
        def fit(self, source: Vectors, target: Vectors, seeds: Seeds, device: str = "?", seed: int = -1) -> LearntMap:
            given.append((len(seeds), device, seed))
            np.testing.assert_allclose(np.linalg.norm(source.matrix, axis=1), 1, rtol=1e-5)
            return LearntMap(source_map=None)

    jobs = plan(write_study(world, **OWN_FILES | {"pairs": "once", "isometry": [], "preprocessing": "iterative"}))
    maps = [job for job in jobs if job.plugin == "mapping"]
    nothing = {"dictionary": None, "train_sha256": None, "dictionary_size": 0, "seed": 7}
    unsupervised = replace(maps[0], config=maps[0].config.model_copy(update=nothing))
    run(jobs[:2], world)
    spying = [replace(job, config=job.config.model_copy(update={"settings": Spy()})) for job in (*maps, unsupervised)]
    run(spying, world)
    assert given == [(50, "cpu", 3), (100, "cpu", 3), (0, "cpu", 7)]


# Bad input


def test_what_is_missing_is_said_before_anything_runs(world: Path) -> None:
    (world / "v.de.vec").unlink()
    with pytest.raises(UserError, match=r"embeddings\.vectors\.mine: v\.de\.vec: No such file"):
        plan(write_study(world, **OWN_FILES))
    (world / "v.de.vec").write_text("de0 1.0 2.0\n")
    (world / "en-de.train.tsv").unlink()
    with pytest.raises(UserError, match=r"no dictionary .*en-de\.train\.tsv, and none of the other direction, .*de-en"):
        plan(write_study(world, **OWN_FILES))
    with pytest.raises(UserError, match="no `train` is given"):
        plan(write_study(world, **OWN_FILES | {"dictionaries": {"test": "{source}-{target}.test.tsv"}}))


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("en-de.train.tsv", "en1 de1\n", "en-de.train.tsv, line 1: .* found no tab"),
        ("en-de.train.tsv", "en1\tde1\n", "50 pairs are asked for, it has 1"),
        ("en-de.test.tsv", "en1\tde1\tx\n", "en-de.test.tsv, line 1: expected two columns, found 3"),
    ],
)
def test_a_damaged_dictionary_is_said_before_anything_runs(world: Path, name: str, content: str, expected: str) -> None:
    (world / name).write_text(content)
    with pytest.raises(UserError, match=expected) as error:
        plan(write_study(world, **OWN_FILES | {"isometry": []}))
    assert len(str(error.value).splitlines()) == 1


def test_an_empty_intersection_fails_its_jobs_with_what_was_found(world: Path) -> None:
    (world / "en-de.train.tsv").write_text("".join(f"en{i}\tword{i}\n" for i in range(100)))
    jobs = plan(write_study(world, **OWN_FILES | {"pairs": [["en", "de"]], "dictionary_sizes": [50], "isometry": []}))
    assert "of 50 pairs, 50 source words and 0 target words are in the vocabularies" in failure(run(jobs, world))


def test_a_dictionary_of_no_use_fails_the_measures_that_read_it_alone(world: Path) -> None:
    (world / "en-de.train.tsv").write_text("".join(f"en{i}\tword{i}\n" for i in range(100)))
    jobs = plan(write_study(world, **OWN_FILES | {"pairs": [["en", "de"]]}))
    outcomes = run([job for job in jobs if job.plugin in ("vectors", "isometry")], world)
    assert "of 100 pairs, 100 source words and 0 target words" in failure(outcomes)
    done = {label: outcome for label, outcome in outcomes.items() if not isinstance(outcome, JobError)}
    assert [row["measure"] for row in rows(done, "isometry")] == ["eigenvector_similarity"]


def test_a_dictionary_in_the_wrong_direction_fails_its_jobs_with_the_remedy(world: Path) -> None:
    turned = "".join(f"de{i}\ten{i}\n" for i in range(100))
    one_pair: dict[str, Any] = OWN_FILES | {"pairs": [["en", "de"]], "dictionary_sizes": [50], "isometry": []}
    right = (world / "en-de.train.tsv").read_text()
    (world / "en-de.train.tsv").write_text(turned)
    assert "is it in the wrong direction?" in failure(run(plan(write_study(world, **one_pair)), world))
    (world / "en-de.train.tsv").write_text(right)
    (world / "en-de.test.tsv").write_text(turned)
    assert "is it in the wrong direction?" in failure(run(plan(write_study(world, **one_pair)), world))


def test_vectors_of_two_dimensions_fail_the_map_not_the_run(world: Path) -> None:
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(300, 5)).astype(np.float32)
    write_word2vec_text(Vectors([f"de{i}" for i in range(300)], matrix), world / "v.de.vec")
    jobs = plan(write_study(world, **OWN_FILES | {"pairs": [["en", "de"]], "dictionary_sizes": [50], "isometry": []}))
    assert "both sides need the same dimension, not 8 (source) and 5 (target)" in failure(run(jobs, world))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"pairs": [["en", "en"]]}, "source and target are the same language"),
        ({"dictionaries": "numerals"}, "vectors 'mine' are not of the numerals world"),
        ({"dictionaries": "xling-eval", "languages": ["en", "sv"]}, "language 'sv' of xling-eval's dictionaries"),
        ({"dictionaries": "xling-eval", "dictionary_sizes": [6000]}, "6000 pairs is asked for; xling-eval has 5000"),
        ({"dictionaries": "xling-eval", "test_size": 2001}, "2001 pairs is asked for; xling-eval has 2000"),
        ({"vectors": {"b": {"corpus": "bible"}}, "languages": ["en", "tr"]}, "language 'tr' of corpus 'bible'"),
        ({"dictionary_sizes": []}, "'proc' learns from training pairs, and dictionary_sizes is empty"),
        ({"methods": ["proc", "proc"]}, "'proc' is listed twice"),
        ({"methods": [{"name": "proc", "pairs": [["en", "fr"]]}]}, "unknown pair 'en-fr' of method 'proc'"),
        ({"languages": ["en"], "pairs": "all"}, "one language makes no pair"),
        (
            {"methods": [{"name": "proc", "variant": "x"}], "variants": {"x": {"preprocessing": "none"}}},
            "'x' is a variant of the study and of its method",
        ),
    ],
)
def test_a_study_that_cannot_be_is_refused(world: Path, changes: dict[str, Any], expected: str) -> None:
    with pytest.raises(UserError) as error:
        read_study(write_study(world, **OWN_FILES | changes))
    assert expected in str(error.value)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("path: v", "pathh: v", "embeddings.vectors.mine.pathh: unknown key 'pathh'; did you mean 'path'?"),
        ("fold_case: true", "fold_cse: true", "embeddings.vectors.mine.fold_cse: unknown key 'fold_cse'; did you mean"),
        ("v.{language}.vec", "v.vec", "embeddings.vectors.mine.path: expected {language} in it, found 'v.vec'"),
        ("test: '{source}", "tset: '{source}", "embeddings.dictionaries.tset: unknown key 'tset'; did you mean"),
    ],
)
def test_a_mistake_is_told_with_its_line_and_key(world: Path, old: str, new: str, expected: str) -> None:
    study = write_study(world, **OWN_FILES | {"vectors": {"mine": {"path": "v.{language}.vec", "fold_case": True}}})
    text = study.read_text()
    assert old in text
    study.write_text(text.replace(old, new, 1))
    line = next(number for number, line in enumerate(study.read_text().splitlines(), 1) if new in line)
    with pytest.raises(UserError) as error:
        read_study(study)
    assert str(error.value).startswith(f"{study}:{line}: {expected}")


# What is planned


def test_one_direction_or_both_or_a_list(world: Path) -> None:
    def pairs(**changes: Any) -> list[tuple[str, str]]:
        embeddings = read_study(write_study(world, **OWN_FILES | changes)).embeddings
        assert embeddings is not None
        return embeddings.language_pairs

    languages = {"languages": ["de", "en", "fr"]}
    assert pairs(**languages, pairs="once") == [("de", "en"), ("de", "fr"), ("en", "fr")]
    assert sorted(pairs(**languages)) == sorted(
        [*pairs(pairs="once", **languages), ("en", "de"), ("fr", "de"), ("fr", "en")]
    )
    assert pairs(**languages, pairs=[["fr", "de"]]) == [("fr", "de")]


def test_a_method_may_stand_for_several_settings_and_for_some_pairs(world: Path) -> None:
    methods = ["proc_b", {"name": "proc_b", "variant": "more", "settings": {"rounds": 3}, "pairs": [["en", "de"]]}]
    own: dict[str, Any] = OWN_FILES | {
        "methods": methods, "variants": {"iterative": {"preprocessing": "iterative"}}, "dictionary_sizes": [50],
        "isometry": [],
    }  # fmt: skip

    def variants(**changes: Any) -> list[tuple[str, str, int]]:
        jobs = [job for job in plan(write_study(world, **own | changes)) if job.plugin == "mapping"]
        return [(f"{j.config.source_language}", j.config.variant, j.config.settings.rounds) for j in jobs]

    both = [("default", 1), ("iterative", 1)]
    assert variants() == [
        *[("en", *rest) for rest in [*both, ("more", 3), ("more+iterative", 3)]],
        *[("de", *rest) for rest in both],
    ]
    assert len(variants(full=True)) == 8


UNSUPERVISED = [name for name in METHODS if load_method(name).supervision == "unsupervised"]


@pytest.mark.parametrize("method", UNSUPERVISED)
def test_an_unsupervised_method_is_planned_once_for_all_sizes_and_for_each_seed(world: Path, method: str) -> None:
    own: dict[str, Any] = OWN_FILES | {"methods": ["proc", method], "isometry": [], "pairs": "once"}
    jobs = plan(write_study(world, **own))
    runs = [(j.config.method, j.config.dictionary_size, j.config.seed) for j in jobs if j.plugin == "bli"]
    seeds = (3, 4) if load_method(method).draws else (3,)
    assert runs == [("proc", 50, 3), ("proc", 100, 3), *((method, 0, seed) for seed in seeds)]
    # No dictionary is in the key of what does not look at one.
    (world / "en-de.train.tsv").write_text("".join(f"de{i}\ten{i}\n" for i in range(100)))
    again = plan(write_study(world, **own))
    kept = {job.key for job in again} & {job.key for job in jobs if job.plugin == "mapping"}
    assert kept == {job.key for job in jobs if job.plugin == "mapping" and job.config.method == method}


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any) -> None:
        raise AssertionError("a plan needs no network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.delenv(MIRROR_VARIABLE, raising=False)


@pytest.mark.usefixtures("no_network")
def test_the_papers_experiment_is_planned_without_data_or_network() -> None:
    jobs = plan(ROOT / "studies" / "xling_eval.yml")
    maps = [job for job in jobs if job.plugin == "mapping"]
    pairs = {f"{job.config.source_language}-{job.config.target_language}" for job in maps}
    assert len([job for job in jobs if job.plugin == "vectors"]) == 8 and len(pairs) == 28
    # The published directions, so that results stand beside the paper's.
    published = [path.name for path in (MIRROR / "codogogo").glob("xling-eval/*/bli_datasets/*-*")]
    assert not published or pairs == set(published)
    supervised = [job for job in maps if job.config.dictionary_size]
    assert {job.config.dictionary_size for job in supervised} == {500, 1000, 3000, 5000}
    assert {job.config.settings.vocabulary for job in jobs if job.plugin == "vectors"} == {200_000}


@pytest.mark.usefixtures("no_network")
def test_the_bible_study_runs_the_costly_on_three_pairs_unless_told_otherwise(tmp_path: Path) -> None:
    def pairs(study: Path, supervised: bool) -> set[str]:
        return {
            f"{job.config.source_language}-{job.config.target_language}"
            for job in plan(study)
            if job.plugin == "mapping" and (load_method(job.config.method).supervision == "supervised") == supervised
        }

    study = ROOT / "studies" / "bible_bli.yml"
    assert len(pairs(study, supervised=True)) == 21
    full = tmp_path / "bible_bli.yml"
    full.write_text(study.read_text().replace("full: false", "full: true"))
    if UNSUPERVISED:
        assert len(pairs(study, supervised=False)) == 3
        assert len(pairs(full, supervised=False)) == 21


@pytest.mark.skipif(not MIRROR.is_dir(), reason=f"no mirror of public data at {MIRROR}")
def test_cataloged_text_and_dictionaries(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MIRROR_VARIABLE, os.fspath(MIRROR))
    quick = {"corpus": "bible", "dimension": 20, "epochs": 1, "min_count": 20}
    jobs = plan(
        write_study(
            world, vectors={"bible": quick}, languages=["it", "fr"], pairs=[["fr", "it"]], methods=["proc"],
            dictionaries="xling-eval", dictionary_sizes=[5000],
        )
    )  # fmt: skip
    assert [job.label for job in jobs[:2]] == ["train vectors bible for it", "train vectors bible for fr"]
    found = [row for row in rows(run(jobs, world), "bli_ranks") if row["retrieval"] == "csls"]
    assert len(found) == 2000 and found[0]["concept_id"] == "xling-eval/test/0"
    assert found[0]["query"] == "dévouement" and found[0]["gold"] == "dedicazione"  # published as it-fr
    assert 0 < sum(row["rank"] is not None for row in found) < 400
    # The flaws of the published dictionaries, as known.
    assert 105 <= sum(row["is_leaked"] for row in found) <= 144
    assert 22 <= sum(row["is_duplicate"] for row in found) <= 40
    assert sum(row["is_identical"] for row in found) > 0
