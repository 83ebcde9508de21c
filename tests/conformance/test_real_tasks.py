"""The tasks on the real files: counts, classes, what is parallel, and that nothing leaks from train to test."""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from functools import cache
from pathlib import Path

import pytest

from compute.catalog import MIRROR_VARIABLE, CatalogedFile, entries, fetch
from compute.tasks import SPLITS, Question, Split, Task, load_task
from compute.tasks.emotion import EMOTION, MALFORMED, REPEATED, SEVERAL, UNSAFE
from compute.tasks.emotion_lines import normalized

MIRROR = Path(__file__).parents[2].parent / "shared/data"

pytestmark = pytest.mark.skipif(not MIRROR.is_dir(), reason=f"the mirror of public data is not at {MIRROR}")

SIZES = {
    "topic": (701, 99, 204),
    "sentiment": (1839, 324, 870),
    "pos": (596, 100, 304),
    "causal": (80, 20, 500),
    "arithmetic": (0, 0, 250),
}
DIGESTS = {
    "topic": "1aa80d1503a33ccc447b03cefe015acdf0a6df1570907c0cb3110e8b06ef7a30",
    "sentiment": "c9fb66256e1c1be7cdaaf3de90e5507ef5bac5122031b722d9db123a46d2457b",
    "pos": "0b3a27dbd1cc0bfef8cf450a4610e37b1823105dd1546ffd32b760def42d2339",
    "emotion": "06f618215a8a283268ec760ae32342ed48b5917b977d71099f30987839f8e9d0",
    "causal": "d438ee4cea58b26b49f3d00c60febc1e528a50cb1396bdf1bb318fc05c037e96",
    "arithmetic": "a0edf5cc4ab551ce1ed359ce1c71981fa533a15f42d0439899ab00fe0b382a2d",
}
"""Of all questions of a task's first language. If one differs, raise the task's `revision` and put the new one here."""


@pytest.fixture(autouse=True)
def mirror(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MIRROR_VARIABLE, str(MIRROR))


@cache
def questions(name: str, language: str, split: Split) -> list[Question]:
    return load_task(name).questions(language, split)


def test_the_catalog_is_the_mirror_s_manifest() -> None:
    with open(MIRROR / "MANIFEST.tsv", encoding="utf-8") as file:
        rows = {row["path"]: row for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)}
    known = {entry.key: entry for paths in entries._catalog().values() for entry in paths.values()}
    assert {key: (str(entry.bytes), entry.sha256) for key, entry in known.items()} == {
        path: (row["bytes"], row["sha256"]) for path, row in rows.items()
    }


def test_a_path_with_spaces_is_fetched_from_the_mirror() -> None:
    entry = next(e for paths in entries._catalog().values() for e in paths.values() if "Luther 1912" in e.path)
    assert isinstance(entry, CatalogedFile)
    assert fetch(entry).stat().st_size == entry.bytes


@pytest.mark.parametrize("name", SIZES)
def test_every_language_has_as_many_questions(name: str) -> None:
    task = load_task(name)
    found = {language: tuple(len(questions(name, language, split)) for split in SPLITS) for language in task.languages}
    expected = dict.fromkeys(task.languages, SIZES[name])
    if name == "pos":
        expected["tr"] = (595, 100, 304)  # one sentence has no word of the eight classes that stands free
    assert found == expected


@pytest.mark.parametrize("name", ["topic", "pos", "causal", "arithmetic"])
def test_languages_are_parallel_in_the_same_order_and_no_meaning_is_in_two_splits(name: str) -> None:
    task = load_task(name)
    splits: dict[str, set[Split]] = defaultdict(set)
    for language in task.languages:
        for split in SPLITS:
            ids = [question.parallel_id for question in questions(name, language, split)]
            everywhere = [question.parallel_id for question in questions(name, task.languages[0], split)]
            assert ids == [one for one in everywhere if language != "tr" or one in ids]
            for one in ids:
                assert one is not None
                splits[one].add(split)
    assert all(len(found) == 1 for found in splits.values())


@pytest.mark.parametrize("name", ["topic", "causal", "arithmetic"])
def test_parallel_questions_have_the_same_answer(name: str) -> None:
    task = load_task(name)
    for split in task.splits:
        answers = {
            tuple(
                (one.gold, one.choices[one.gold] if task.kind == "generation" else "")
                for one in questions(name, language, split)
            )
            for language in task.languages
        }
        assert len(answers) == 1


@pytest.mark.parametrize(
    ("name", "split", "share"),
    [
        ("topic", "test", 0.251),
        ("sentiment", "train", 1 / 3),
        ("sentiment", "test", 1 / 3),
        ("pos", "train", 0.135),
        ("pos", "test", 0.135),
        ("causal", "test", 0.5),
        ("emotion", "test", 0.23),
    ],
)
def test_always_guessing_one_class_does_not_win(name: str, split: Split, share: float) -> None:
    task = load_task(name)
    for language in task.languages:
        found = questions(name, language, split)
        counts = Counter(question.gold for question in found)
        assert set(counts) == set(range(len(found[0].choices)))
        assert max(counts.values()) / len(found) <= share + 1e-9, language


def test_pos_marks_the_word_that_it_asks_about() -> None:
    for language in ("ar", "fr", "hi"):
        for question in questions("pos", language, "test"):
            assert question.fields["sentence"].count(f"[{question.fields['word']}]") == 1
            assert question.fields["sentence"].count("[") == 1


def test_causal_asks_the_same_in_every_language() -> None:
    relations = {
        tuple(question.fields["relation"] for question in questions("causal", language, "test"))
        for language in load_task("causal").languages
    }
    assert len(relations) == 1
    assert Counter(next(iter(relations))) == {"Cause": 250, "Effect": 250}


def test_sentiment_s_published_splits_overlap_by_three_texts() -> None:
    shared = {
        (language, one, other): len(
            {q.fields["text"] for q in questions("sentiment", language, one)}
            & {q.fields["text"] for q in questions("sentiment", language, other)}
        )
        for language in load_task("sentiment").languages
        for one, other in (("train", "dev"), ("train", "test"), ("dev", "test"))
    }
    assert {key: number for key, number in shared.items() if number} == {
        ("fr", "train", "test"): 2,
        ("fr", "dev", "test"): 1,
    }


def test_emotion_uses_single_labels_and_counts_the_rest() -> None:
    for language in EMOTION.languages:
        dropped = EMOTION.dropped(language)
        lines = fetch(EMOTION.sources(language)[0]).read_bytes().count(b"\n")
        kept = sum(len(questions("emotion", language, split)) for split in SPLITS)
        assert kept + sum(dropped.values()) == lines
        assert 0.2 < dropped[SEVERAL] / lines < 0.37
        assert dropped[UNSAFE] + dropped[REPEATED] < 0.02 * lines
    assert EMOTION.dropped("de") == {SEVERAL: 1928, MALFORMED: 478, UNSAFE: 53, REPEATED: 7}


def test_emotion_leaks_no_film_and_no_line_in_any_language() -> None:
    """What of the guard can be seen in the files: annotated lines and films by the table, texts by themselves."""
    films: dict[str, set[Split]] = defaultdict(set)
    texts: dict[tuple[str, str], set[Split]] = defaultdict(set)
    across: dict[str, dict[Split, set[str]]] = defaultdict(lambda: defaultdict(set))
    traced: Counter[str] = Counter()
    for language in EMOTION.languages:
        for split in SPLITS:
            for question in questions("emotion", language, split):
                text = normalized(question.fields["text"])
                texts[language, text].add(split)
                across[text][split].add(language)
                if question.parallel_id is not None:
                    films[question.parallel_id.split(":")[0]].add(split)
                    traced[language] += 1
    assert len(films) == 60 and all(len(splits) == 1 for splits in films.values())
    assert all(len(splits) == 1 for splits in texts.values())
    shared = [text for text, splits in across.items() if splits["train"] and splits["test"]]
    assert sum(len(across[text]["test"]) for text in shared) == 13 and max(map(len, shared)) < 10
    for language in set(EMOTION.languages) - {"en", "fi"}:
        total = sum(len(questions("emotion", language, split)) for split in SPLITS)
        assert total - traced[language] <= 4


def test_emotion_s_parallel_questions_are_translations() -> None:
    for language, word in {"en": "Councillor", "fr": "conseiller", "ru": "госсоветника"}.items():
        (text,) = (
            q.fields["text"] for q in questions("emotion", language, "test") if q.parallel_id == "2017/6411838:472"
        )
        assert word in text


def test_emotion_s_splits_have_the_shares_asked_for() -> None:
    for language in EMOTION.languages:
        sizes = [len(questions("emotion", language, split)) for split in SPLITS]
        train, dev, test = (size / sum(sizes) for size in sizes)
        assert 0.64 < train < 0.79 and 0.06 < dev < 0.13 and 0.14 < test < 0.26, language


@pytest.mark.parametrize("name", DIGESTS)
def test_questions_change_with_the_revision_only(name: str) -> None:
    task = load_task(name)
    assert Task.digest(task, task.languages[0]) == DIGESTS[name]
