from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from compute.embeddings.settings import (
    AnyVectorSet,
    BibleVectors,
    DictionarySource,
    DownloadedVectors,
    NumeralVectors,
    ReadVectors,
    TextVectors,
)
from compute.embeddings.training import train_vectors
from compute.embeddings.vectors import CENTRED, Vectors, load_vectors, preprocess, save_vectors, unit_rows
from compute.names import UnknownName

WORDS = ["uno", "cuarenta y ocho", "dix-sept", "ноль"]


@pytest.fixture
def four() -> Vectors:
    return Vectors(WORDS, np.random.default_rng(1).normal(size=(4, 3)).astype(np.float32))


def test_saved_vectors_come_back_memory_mapped(four: Vectors, tmp_path: Path) -> None:
    save_vectors(four, tmp_path / "new")
    back = load_vectors(tmp_path / "new")
    assert back.words == WORDS
    assert isinstance(back.matrix, np.memmap)
    np.testing.assert_array_equal(back.matrix, four.matrix)


def test_a_pickled_array_is_refused(four: Vectors, tmp_path: Path) -> None:
    save_vectors(four, tmp_path)
    np.save(tmp_path / "vectors.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match=str(tmp_path)):
        load_vectors(tmp_path)


@pytest.mark.parametrize("damage", ['{"a": 1}', "[1, 2, 3, 4]", '["a"', '["a"]'])
def test_a_damaged_vocabulary_is_refused(four: Vectors, tmp_path: Path, damage: str) -> None:
    save_vectors(four, tmp_path)
    (tmp_path / "vocabulary.json").write_text(damage)
    with pytest.raises(ValueError, match=str(tmp_path)):
        load_vectors(tmp_path)


def test_a_truncated_matrix_is_refused(four: Vectors, tmp_path: Path) -> None:
    save_vectors(four, tmp_path)
    file = tmp_path / "vectors.npy"
    file.write_bytes(file.read_bytes()[:-4])
    with pytest.raises(ValueError, match=str(tmp_path)):
        load_vectors(tmp_path)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_refused_by_word(bad: float) -> None:
    matrix = np.zeros((2, 3), dtype=np.float32)
    matrix[1, 2] = bad
    with pytest.raises(ValueError, match="'dos'"):
        Vectors(["uno", "dos"], matrix)


def test_huge_but_finite_vectors_are_accepted() -> None:
    Vectors(["uno"], np.full((1, 3), np.finfo(np.float32).max, dtype=np.float32))


def test_shapes_types_and_repeated_words_are_refused() -> None:
    with pytest.raises(ValueError, match="'uno' has more than one"):
        Vectors(["uno", "dos", "uno"], np.zeros((3, 2), dtype=np.float32))
    with pytest.raises(ValueError, match="2 words but 3"):
        Vectors(["uno", "dos"], np.zeros((3, 2), dtype=np.float32))
    with pytest.raises(ValueError, match="float64"):
        Vectors(["uno"], np.zeros((1, 2)))  # type: ignore[arg-type]


def test_preprocessing() -> None:
    vectors = Vectors(["a", "b", "zero"], np.array([[3, 4], [0, 2], [0, 0]], dtype=np.float32))
    assert preprocess(vectors, "none") is vectors
    expected = np.array([[0.6, 0.8], [0, 1], [0, 0]], dtype=np.float32)
    np.testing.assert_allclose(preprocess(vectors, "unit").matrix, expected, rtol=1e-6)
    np.testing.assert_allclose(preprocess(vectors, "centre").matrix.mean(axis=0), [0, 0], atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(preprocess(vectors, "unit-centre-unit").matrix, axis=1), 1, rtol=1e-6)
    with pytest.raises(UnknownName, match="centre"):
        preprocess(vectors, "center")  # type: ignore[arg-type]


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(50, 200), d=st.integers(3, 12), offset=st.floats(0, 5))
def test_iterative_normalization_makes_rows_unit_and_their_mean_zero(seed: int, n: int, d: int, offset: float) -> None:
    rng = np.random.default_rng(seed)
    matrix = (rng.normal(size=(n, d)) * np.linspace(1, 3, d) + offset).astype(np.float32)
    vectors = Vectors([str(i) for i in range(n)], matrix)
    found = preprocess(vectors, "iterative").matrix
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, rtol=1e-5)
    assert np.linalg.norm(found.mean(axis=0)) < 2 * CENTRED
    # It turns with the space, as an orthogonal map supposes.
    rotation = np.linalg.qr(rng.normal(size=(d, d)))[0].astype(np.float32)
    turned = preprocess(Vectors(vectors.words, matrix @ rotation), "iterative").matrix
    np.testing.assert_allclose(turned, found @ rotation, atol=5e-4)


def test_iterative_normalization_goes_on_where_one_round_does_not_suffice() -> None:
    rng = np.random.default_rng(0)
    uneven = np.concatenate([rng.normal(size=(150, 5)) + 3, rng.normal(size=(30, 5)) * 20]).astype(np.float32)
    vectors = Vectors([str(i) for i in range(180)], uneven)
    once, often = (preprocess(vectors, how).matrix for how in ("unit-centre-unit", "iterative"))
    assert np.linalg.norm(once.mean(axis=0)) > 100 * np.linalg.norm(often.mean(axis=0))
    np.testing.assert_allclose(preprocess(Vectors(vectors.words, often), "iterative").matrix, often, atol=1e-6)
    zero = Vectors(["a", "b", "c"], np.array([[0, 0], [1, 0], [-1, 0]], dtype=np.float32))
    np.testing.assert_array_equal(preprocess(zero, "iterative").matrix, unit_rows(zero.matrix))


@pytest.mark.parametrize("algorithm", ["word2vec", "fasttext"])
def test_training_twice_gives_the_same_bytes(algorithm: Any) -> None:
    text = [["one", "two", "three"], ["two", "three", "twenty two"]] * 60
    how = NumeralVectors(algorithm=algorithm, dimension=8, buckets=100, epochs=1)
    one, two = train_vectors(text, how), train_vectors(ReadAgain(text), how)
    other = train_vectors(text, how.model_copy(update={"seed": 1}))
    assert one.words == two.words and "twenty two" in one.words
    assert one.words[:2] in (["two", "three"], ["three", "two"])
    assert one.matrix.tobytes() == two.matrix.tobytes() != other.matrix.tobytes()


class ReadAgain:
    """A text that is read anew at each iteration, as files are."""

    def __init__(self, text: list[list[str]]) -> None:
        self.text = text

    def __iter__(self) -> Any:
        return iter(self.text)


def test_nothing_to_train_on_is_said() -> None:
    with pytest.raises(ValueError, match="occurs 5 times in 1 sentences"):
        train_vectors([["one", "two"]], NumeralVectors(min_count=5, buckets=10))


VECTOR_SET: TypeAdapter[Any] = TypeAdapter(AnyVectorSet)
DICTIONARIES: TypeAdapter[Any] = TypeAdapter(DictionarySource)


@pytest.mark.parametrize(
    ("section", "kind"),
    [
        ({}, NumeralVectors),
        ({"sentences": 200}, NumeralVectors),
        ({"corpus": "bible"}, BibleVectors),
        ({"corpus": "files", "path": "{language}.txt"}, TextVectors),
        ({"path": "wiki.{language}.vec", "vocabulary": 10, "fold_case": True}, ReadVectors),
        ({"address": "https://example.org/{language}"}, DownloadedVectors),
    ],
)
def test_what_is_said_tells_the_kind_of_vector_set(section: dict[str, Any], kind: type) -> None:
    found = VECTOR_SET.validate_python(section)
    assert type(found) is kind
    assert VECTOR_SET.validate_python(VECTOR_SET.dump_python(found)) == found


@pytest.mark.parametrize(
    ("section", "place", "message"),
    [
        ({"dimensions": 8}, "dimensions", "did you mean 'dimension'?"),
        ({"corpus": "bibel"}, "corpus", "did you mean 'bible'?"),
        ({"corpus": "bible", "highest_number": 99}, "highest_number", "unknown key"),
        ({"path": "{language}", "vocabulry": 8}, "vocabulry", "did you mean 'vocabulary'?"),
        ({"pth": "{language}", "fold_case": True}, "pth", "did you mean 'path'?"),
        ({"path": "wiki.vec"}, "path", "expected {language} in it"),
        ({"path": "{language}.{size}"}, "path", "only {language} can be filled in"),
        ({"path": "{language.__class__}{language}"}, "path", "only {language} can be filled in"),
        ({"path": "{language}", "format": "glove"}, "format", "'fasttext'"),
        ({"address": "file:///etc/{language}"}, "address", "pattern"),
        ({"address": "https://example.org/{language}", "format": "fasttext"}, "format", "'binary'"),
        ({"window": 0}, "window", "greater than or equal"),
        ({"shortest_ngram": 5, "longest_ngram": 4}, None, "shortest_ngram 5 is longer"),
    ],
)
def test_a_mistake_in_a_vector_set_has_its_place(section: dict[str, Any], place: str | None, message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        VECTOR_SET.validate_python(section)
    (problem,) = caught.value.errors()
    assert problem["loc"] == ((place,) if place else ())
    assert message in problem["msg"]


def test_where_files_lie_is_not_what_vectors_are() -> None:
    one, other = (ReadVectors(path=f"/{folder}/{{language}}.vec", vocabulary=5) for folder in "ab")
    assert one.identity() == other.identity()
    assert one.identity() != ReadVectors(path=one.path, vocabulary=6).identity()
    assert "address" in DownloadedVectors(address="https://example.org/{language}").identity()


def test_dictionaries_are_named_or_files() -> None:
    assert DICTIONARIES.validate_python("xling-eval") == "xling-eval"
    files = DICTIONARIES.validate_python({"test": "{source}-{target}.tsv"})
    assert files.train is None
    for wrong, message in (
        ("xling", "did you mean 'xling-eval'?"),
        ({"test": "{source}.tsv"}, "expected {source} and {target}"),
        ({"tst": "x"}, "did you mean 'test'?"),
        (5, "unknown dictionaries '5'"),
    ):
        with pytest.raises(ValidationError, match=message.replace("?", r"\?").replace("{", r"\{")):
            DICTIONARIES.validate_python(wrong)
