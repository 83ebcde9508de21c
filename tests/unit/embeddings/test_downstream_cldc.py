"""Classification of documents across languages: planted topics, and the collections it reads."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import f1_score

from compute.catalog import MIRROR_VARIABLE
from compute.embeddings.downstream.averages import AverageVectors
from compute.embeddings.downstream.classifiers import DocumentClassifier
from compute.embeddings.downstream.cnn import ConvolutionalNetwork
from compute.embeddings.downstream.own_files import OwnDocuments
from compute.embeddings.downstream.sib_200 import Sib200
from compute.embeddings.downstream.ted import Ted
from compute.embeddings.downstream.texts import Texts, embed, words_of
from compute.embeddings.vectors import Vectors
from compute.errors import UserError
from tests.helpers.translated import languages, text, topical

MIRROR = Path(__file__).parents[4] / "shared" / "data"

QUICK = (AverageVectors(), ConvolutionalNetwork(epochs=8))


def planted(right: bool, seed: int = 0) -> tuple[Texts, np.ndarray, Texts, np.ndarray]:
    """English texts to learn from and German ones to tell, with their topics."""
    english, german = languages(right=right, seed=seed)
    rng = np.random.default_rng(seed)
    sides = []
    for language, vectors, n in (("en", english, 160), ("de", german, 100)):
        texts, topics = topical(rng, n)
        words = [words_of(text(numbers, language), language, True) for numbers in texts]
        sides += [embed(words, vectors), np.array(topics)]
    return tuple(sides)  # type: ignore[return-value]


@pytest.mark.parametrize("classifier", QUICK, ids=lambda one: type(one).__name__)
def test_a_topic_is_told_in_the_other_language_where_the_map_is_right(classifier: DocumentClassifier) -> None:
    train, labels, test, gold = planted(right=True)
    probabilities = classifier.predict(train, labels, test, seed=1)
    assert probabilities.shape == (100, 2)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert f1_score(gold, probabilities.argmax(axis=1), average="macro") > 0.9


@pytest.mark.parametrize("classifier", QUICK, ids=lambda one: type(one).__name__)
def test_it_is_guessed_where_the_map_is_of_no_sense(classifier: DocumentClassifier) -> None:
    right = []
    for seed in range(5):
        train, labels, test, gold = planted(right=False, seed=seed)
        right.append(np.mean(classifier.predict(train, labels, test, seed=1).argmax(axis=1) == gold))
    assert 0.25 < np.mean(right) < 0.75


def test_the_same_seed_gives_the_same_network_and_leaves_torchs_generator_alone() -> None:
    import torch

    train, labels, test, _ = planted(right=True)
    classifier = ConvolutionalNetwork(epochs=2)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first, again, other = (classifier.predict(train, labels, test, seed=seed) for seed in (7, 7, 8))
    assert torch.equal(torch.rand(3), expected)
    assert first.tobytes() == again.tobytes() != other.tobytes()


def test_what_a_text_is_next_to_does_not_change_what_is_said_of_it() -> None:
    train, labels, test, _ = planted(right=True)
    short = Texts(test.matrix, [test.rows[0][:3], test.rows[1], test.rows[2][:1]])
    classifier = ConvolutionalNetwork(epochs=2)
    together = classifier.predict(train, labels, short, seed=1)
    alone = [classifier.predict(train, labels, Texts(test.matrix, [rows]), seed=1)[0] for rows in short.rows]
    np.testing.assert_allclose(together, alone, atol=1e-6)


@pytest.mark.parametrize("classifier", QUICK, ids=lambda one: type(one).__name__)
def test_a_text_without_known_words_is_a_zero_vector_and_is_answered(classifier: DocumentClassifier) -> None:
    train, labels, test, _ = planted(right=True)
    empty = np.array([], dtype=np.int32)
    unknown = Texts(test.matrix, [empty, test.rows[0]])
    assert not unknown.means()[0].any() and unknown.means()[1].any()
    probabilities = classifier.predict(Texts(train.matrix, [empty, *train.rows[1:]]), labels, unknown)
    assert np.isfinite(probabilities).all()


def test_texts_hold_the_known_words_in_order_at_length_one() -> None:
    vectors = Vectors(["ein", "zwei", "null"], np.array([[3, 4], [0, 2], [0, 0]], dtype=np.float32))
    texts = embed([["zwei", "elf", "ein", "zwei"], [], ["null"]], vectors)
    np.testing.assert_allclose(texts.matrix[texts.rows[0]], [[0, 1], [0.6, 0.8], [0, 1]], rtol=1e-6)
    assert [len(rows) for rows in texts.rows] == [3, 0, 1]
    np.testing.assert_allclose(texts.means(), [[0.2, 2.8 / 3], [0, 0], [0, 0]], rtol=1e-6)


def test_words_are_cut_as_the_vectors_were_made() -> None:
    assert words_of("Das ist's: 42 Ölfässer, WARUM?", "de", True) == ["das", "ist's", "ölfässer", "warum"]
    assert words_of("Das WARUM", "de", False) == ["Das", "WARUM"]


# Collections


def talk(folder: Path, side: str, name: str, content: str) -> None:
    path = folder / side / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")


@pytest.fixture
def ted(tmp_path: Path) -> Path:
    """The layout of the published archive, for two topics and the pairs of English with German and French."""
    for own, other in (("en", "de"), ("de", "en"), ("fr", "en"), ("en", "fr")):
        for part in ("train", "test"):
            for topic in ("arts", "science"):
                for side in ("positive", "negative"):
                    content = f"art_{own} UNK Über_{own} {topic}_{own} {side}_{own} UNK_{own}\n"
                    talk(tmp_path / f"{own}-{other}" / part / topic, side, f"{part}-{side}.ted", content)
    return tmp_path


def test_ted_has_a_problem_a_topic_and_each_side_its_language(ted: Path) -> None:
    for source, target in (("en", "de"), ("de", "fr")):
        collection = Ted(ted)
        assert collection.covers(source, target)
        problems = collection.problems(source, target)
        assert [{talk.label for talk in problem.test} for problem in problems] == [{"arts", None}, {"science", None}]
        first = problems[0].test[0]
        assert first == ("arts/test-positive.ted", "art Über arts positive", "arts")
        assert problems[0].train[0].text == "art Über arts positive"
    assert not Ted(ted).covers("en", "it")
    assert not Ted(ted).covers("it", "de")


def test_a_change_in_a_talk_or_of_its_side_changes_teds_digest(ted: Path) -> None:
    before = Ted(ted).digest("en", "de")
    moved = ted / "en-de" / "train" / "arts"
    (moved / "positive" / "train-positive.ted").rename(moved / "negative" / "train-positive.ted")
    other = Ted(ted).digest("en", "de")
    (ted / "de-en" / "test" / "arts" / "negative" / "test-negative.ted").write_text("neu_de")
    assert len({before, other, Ted(ted).digest("en", "de")}) == 3


def test_what_is_wrong_in_teds_folder_is_told_with_its_place(ted: Path) -> None:
    path = ted / "de-en" / "test" / "arts" / "negative"
    (path / "test-negative.ted").write_bytes(b"\xff")
    with pytest.raises(UserError, match=r"test-negative\.ted: not UTF-8"):
        Ted(ted).problems("en", "de")
    shutil.rmtree(path)
    with pytest.raises(UserError, match=r"arts/negative: no such folder; a topic has positive and negative"):
        Ted(ted).problems("en", "de")
    shutil.rmtree(path.parent)
    with pytest.raises(UserError, match="topic 'arts' is not in both en/train and de/test"):
        Ted(ted).problems("en", "de")


@pytest.mark.skipif(not MIRROR.is_dir(), reason=f"no mirror of public data at {MIRROR}")
def test_sib_200_has_the_published_splits_in_two_languages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MIRROR_VARIABLE, str(MIRROR))
    (problem,) = Sib200().problems("en", "hr")
    assert (len(problem.train), len(problem.test)) == (701, 204)
    assert len({document.label for document in problem.train}) == 7
    assert not {one.item_id for one in problem.train} & {one.item_id for one in problem.test}
    assert Sib200().covers("fi", "tr") and not Sib200().covers("en", "sv")


def test_own_documents_are_read_and_their_mistakes_told(tmp_path: Path) -> None:
    collection = OwnDocuments(tmp_path)
    assert not collection.covers("en", "de")
    for language, part in (("en", "train"), ("de", "test")):
        (tmp_path / language).mkdir()
        lines = [{"item_id": number, "text": f"{language} {number}", "label": "ab"[number]} for number in (0, 1)]
        (tmp_path / language / f"{part}.jsonl").write_text("\n".join(json.dumps(line) for line in lines))
    assert collection.covers("en", "de") and not collection.covers("de", "en")
    assert collection.problems("en", "de") == [
        ([("0", "en 0", "a"), ("1", "en 1", "b")], [("0", "de 0", "a"), ("1", "de 1", "b")])
    ]
    before = collection.digest("en", "de")
    file = tmp_path / "de" / "test.jsonl"
    file.write_text(file.read_text().replace('"item_id": 1', '"item_id": 0'))
    assert collection.digest("en", "de") != before
    with pytest.raises(UserError, match=r"test\.jsonl, row 2: item_id '0' stands in row 1 already"):
        collection.problems("en", "de")
    file.write_text(file.read_text().replace("label", "lable"))
    with pytest.raises(UserError, match=r"row 1: unknown key 'lable'; did you mean 'label'"):
        collection.problems("en", "de")
