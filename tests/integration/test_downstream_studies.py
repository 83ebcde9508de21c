"""A study of the three downstream tasks, from files to marts: `transfer compute`, then `dbt build`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
import yaml

from compute.embeddings.vectors import Vectors
from compute.embeddings.writing import write_word2vec_text
from compute.engine.plan import study_jobs
from compute.errors import UserError
from compute.plugin import Job
from compute.study.file import read_study
from tests.helpers.rotated import random_rotation
from tests.helpers.translated import languages, text, topical, word

ROOT = Path(__file__).parents[2]

QUICK_ESIM = {"name": "esim", "settings": {"hidden": 8, "epochs": 1}}
DOWNSTREAM: list[dict[str, Any]] = [
    {
        "task": "cldc",
        "collection": "folder",
        "folder": "documents",
        "classifiers": ["averages", "cnn"],
        "seeds": [1, 2],
    },
    {"task": "clir", "collection": "folder", "folder": "search", "classifiers": ["query_likelihood", "agg_idf"]},
    {"task": "xnli", "collection": "folder", "folder": "pairs", "classifiers": [QUICK_ESIM]},
]


def lines(path: Path, records: Iterable[Mapping[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(record) + "\n" for record in records))


def write_study(folder: Path, downstream: list[dict[str, Any]] = DOWNSTREAM) -> Path:
    embeddings = {
        "vectors": {"mine": {"path": "v.{language}.vec", "fold_case": True}},
        "languages": ["en", "de"],
        "pairs": "once",
        "methods": ["proc", "cca"],
        "dictionaries": {"train": "{source}-{target}.train.tsv", "test": "{source}-{target}.test.tsv"},
        "dictionary_sizes": [100],
        "downstream": downstream,
    }
    path = folder / "study.yml"
    path.write_text(yaml.safe_dump({"study": "downstream", "embeddings": embeddings}))
    return path


def make_world(folder: Path) -> None:
    """English vectors that are the German ones turned round, dictionaries, and items of all three tasks. One document
    and one query of German and English have no known word."""
    rng = np.random.default_rng(0)
    english, german = languages()
    turned = Vectors(english.words, (english.matrix @ random_rotation(rng, 20)).astype(np.float32))
    write_word2vec_text(turned, folder / "v.en.vec", 6)
    write_word2vec_text(german, folder / "v.de.vec", 6)
    for part, numbers in (("train", range(100)), ("test", range(100, 130))):
        entries = [f"{word(i, 'en')}\t{word(i, 'de')}\n" for i in numbers]
        (folder / f"en-de.{part}.tsv").write_text("".join(entries))
    for language, part, n in (("en", "train", 80), ("de", "test", 40)):
        texts, topics = topical(rng, n)
        lines(
            folder / "documents" / language / f"{part}.jsonl",
            (
                {"item_id": i, "text": text(numbers, language) if i or part == "train" else "???", "label": f"l{topic}"}
                for i, (numbers, topic) in enumerate(zip(texts, topics, strict=True))
            ),
        )
        lines(
            folder / "pairs" / language / f"{part}.jsonl",
            (
                {
                    "item_id": i,
                    "premise": text(numbers[:4], language).upper(),
                    "hypothesis": text(numbers[4:6], language),
                    "label": f"l{topic}",
                }
                for i, (numbers, topic) in enumerate(zip(texts, topics, strict=True))
            ),
        )
    meant = rng.integers(200, size=(20, 12)).tolist()
    documents = ({"item_id": f"d{i}", "text": text(numbers, "de")} for i, numbers in enumerate(meant))
    lines(folder / "search" / "de" / "documents.jsonl", documents)
    queries = (
        {"item_id": f"q{i}", "text": text(numbers[:8], "en") if i else "42", "relevant": [f"d{i}"]}
        for i, numbers in enumerate(meant)
    )
    lines(folder / "search" / "en" / "queries.jsonl", queries)


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    settings = {"WAREHOUSE": str(folder / "warehouse.duckdb"), "STUDY": str(folder / "study.yml"), "DEVICE": "cpu"}
    return subprocess.run(
        command, cwd=folder, env=os.environ | settings, capture_output=True, text=True, timeout=600, check=False
    )


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the study computed and its marts built."""
    folder = tmp_path_factory.mktemp("downstream")
    make_world(folder)
    write_study(folder)
    done = run(folder, sys.executable, "-m", "compute.cli", "compute", "--workers", "1")
    assert done.returncode == 0, done.stderr
    dbt = str(Path(sys.executable).with_name("dbt"))
    places = ["--project-dir", str(ROOT), "--profiles-dir", str(ROOT)]
    places += ["--target-path", str(folder / "target"), "--log-path", str(folder / "logs")]
    marts = ["--select", "+fct_downstream", "+rpt_bli_downstream", "--exclude-resource-type", "unit_test"]
    done = run(folder, dbt, "build", *places, *marts)
    assert done.returncode == 0, done.stdout
    return folder


def ask(folder: Path, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(folder / "warehouse.duckdb"), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def test_a_row_an_item_lands_for_each_mapping_classifier_and_seed(built: Path) -> None:
    found = ask(
        built,
        "select method, task, collection, classifier, list(distinct seed order by seed), count(*),"
        " count(*) filter (where known_words = 0), count(distinct job_key)"
        " from raw.downstream_items group by 1, 2, 3, 4 order by 1, 2, 4",
    )
    of_method = [
        ("cldc", "folder", "averages", [0], 40, 1, 1),
        ("cldc", "folder", "cnn", [1, 2], 80, 2, 2),
        ("clir", "folder", "agg_idf", [0], 20, 1, 1),
        ("clir", "folder", "query_likelihood", [0], 20, 1, 1),
        ("xnli", "folder", "esim", [0], 40, 0, 1),
    ]
    assert found == [(method, *rest) for method in ("cca", "proc") for rest in of_method]


def test_the_marts_have_the_published_measures(built: Path) -> None:
    scores = dict(
        ask(
            built,
            "select (task, classifier, metric), (score, n_items, n_oov) from marts.fct_downstream"
            " where method = 'proc' and study = 'downstream'",
        )
    )
    assert set(scores) == {
        ("cldc", "averages", "micro_f1"), ("cldc", "averages", "macro_f1"),
        ("cldc", "cnn", "micro_f1"), ("cldc", "cnn", "macro_f1"),
        ("clir", "agg_idf", "map"), ("clir", "query_likelihood", "map"),
        ("xnli", "esim", "accuracy"),
    }  # fmt: skip
    assert scores["cldc", "averages", "macro_f1"][0] > 0.85
    assert scores["cldc", "cnn", "micro_f1"][0] > 0.85
    # One query of twenty is a guess.
    assert scores["clir", "query_likelihood", "map"][0] > 0.9
    assert scores["clir", "query_likelihood", "map"][1:] == (20, 1)
    assert scores["cldc", "cnn", "micro_f1"][1:] == (40, 1)
    compared = ask(built, "select task, n from marts.rpt_bli_downstream order by 1")
    assert compared == [("cldc", 2), ("clir", 2), ("xnli", 2)]


def test_running_again_computes_nothing_and_starting_over_gives_the_same(built: Path) -> None:
    again = run(built, sys.executable, "-m", "compute.cli", "plan")
    assert ", 0 to run" in again.stdout
    before = ask(built, "from raw.downstream_items order by all")
    for place in ("landing", "artifacts"):
        (built / place).rename(built / f"old-{place}")
    (built / "warehouse.duckdb").rename(built / "old.duckdb")
    try:
        done = run(built, sys.executable, "-m", "compute.cli", "compute", "--workers", "1")
        assert done.returncode == 0, done.stderr
        assert ask(built, "from raw.downstream_items order by all") == before
    finally:
        (built / "old.duckdb").replace(built / "warehouse.duckdb")


def jobs(study: Path) -> dict[str, Job]:
    return {job.label: job for job in study_jobs(read_study(study)).values() if job.plugin in ("cldc", "clir", "xnli")}


def test_items_may_move_but_not_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make_world(tmp_path)
    before = jobs(write_study(tmp_path))
    (tmp_path / "documents").rename(tmp_path / "moved")
    moved = [DOWNSTREAM[0] | {"folder": "moved"}, *DOWNSTREAM[1:]]
    after = jobs(write_study(tmp_path, moved))
    assert {label: job.key for label, job in after.items()} == {label: job.key for label, job in before.items()}
    with open(tmp_path / "moved" / "de" / "test.jsonl", "a") as file:
        file.write('{"item_id": "new", "text": "deaab", "label": "l0"}\n')
    changed = jobs(write_study(tmp_path, moved))
    assert {changed[label].key == before[label].key for label in before if label.startswith("cldc")} == {False}
    assert all(changed[label].key == before[label].key for label in before if not label.startswith("cldc"))


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("task: clir", "task: clri", "embeddings.downstream[1].task: unknown downstream task 'clri'; did you mean"),
        (
            "collection: folder\n    folder: search",
            "collection: xqad\n    folder: search",
            "embeddings.downstream[1].collection: unknown collection 'xqad' of clir; did you mean 'xquad'?",
        ),
        ("agg_idf", "agg_tfidf", "embeddings.downstream[1].classifiers: unknown classifier 'agg_tfidf' of clir; did"),
        ("epochs: 1", "epoch: 1", "embeddings.downstream[2].classifiers[0].settings.epoch: unknown key 'epoch'; did"),
        ("folder: search", "folder: serch", "embeddings.downstream[1].folder: no folder serch"),
        ("folder: search", "pairs: [[en, de]]", "collection 'folder' is read from a folder of yours: say which"),
        ("- 1\n    - 2\n", "- 1\n    - 1\n", "embeddings.downstream[0].seeds: 1 is listed twice"),
        ("- 1\n    - 2\n", f"- {2**63}\n", "embeddings.downstream[0].seeds[0]: input should be less than 4294967296"),
        (
            "    task: cldc\n",
            "    pairs: [[de, en]]\n    task: cldc\n",
            "[0].pairs: unknown pair 'de-en' of embeddings.pairs",
        ),
        (
            "collection: folder\n    folder: search",
            "collection: clef\n    folder: search",
            "embeddings.downstream[1].folder: collection 'clef' of clir has no data for any pair of the study",
        ),
    ],
)
def test_a_mistake_is_told_with_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str, expected: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("documents/en/train", "documents/de/test", "pairs/en/train", "pairs/de/test"):
        lines(tmp_path / f"{folder}.jsonl", [])
    for name in ("en/queries", "de/documents"):
        lines(tmp_path / "search" / f"{name}.jsonl", [])
    study = write_study(tmp_path)
    read_study(study)
    written = study.read_text()
    assert old in written
    study.write_text(written.replace(old, new, 1))
    with pytest.raises(UserError) as error:
        read_study(study)
    assert expected in str(error.value) and str(error.value).startswith(f"{study}:")
