from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from gensim.models import KeyedVectors

from compute.embeddings.settings import TrainedVectors
from compute.embeddings.training import train_vectors
from compute.embeddings.vectors import (
    Vectors,
    load_vectors,
    preprocess,
    read_word2vec_text,
    save_vectors,
    write_word2vec_text,
)
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


@pytest.mark.parametrize("name", ["v.vec", "v.vec.gz"])
def test_word2vec_text_is_read_by_us_and_by_gensim(four: Vectors, tmp_path: Path, name: str) -> None:
    write_word2vec_text(four, tmp_path / name)
    ours = read_word2vec_text(tmp_path / name)
    theirs = KeyedVectors.load_word2vec_format(str(tmp_path / name))
    assert ours.words == theirs.index_to_key == ["uno", "cuarenta\u00a0y\u00a0ocho", "dix-sept", "ноль"]
    np.testing.assert_array_equal(ours.matrix, theirs.vectors)
    np.testing.assert_allclose(ours.matrix, four.matrix, atol=1e-6)


def test_the_original_trailing_space_and_quotes_are_read(tmp_path: Path) -> None:
    file = tmp_path / "v.vec.gz"
    file.write_bytes(gzip.compress(b'2 2\n" 1 2 \n\xc3\xa9t\xc3\xa9 -3e-1 4 \n'))
    found = read_word2vec_text(file)
    assert found.words == ['"', "été"]
    np.testing.assert_array_equal(found.matrix, np.array([[1, 2], [-0.3, 4]], dtype=np.float32))


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", "line 1"),
        ("word 1 2\n", "line 1"),
        ("2 2\na 1 2\nb 1\n", "line 3"),
        ("2 2\na 1 2\nb 1 2 3\n", "line 3"),
        ("2 2\na 1 2\nb 1 x\n", "line 3"),
        ("3 2\na 1 2\nb 1 2\n", "promises 3"),
        ("2 2\na 1 2\nb nan 2\n", "'b'"),
        ("2 2\na 1 2\na 1 2\n", "'a'"),
    ],
)
def test_malformed_text_is_named_by_file_and_place(tmp_path: Path, text: str, place: str) -> None:
    file = tmp_path / "bad.vec"
    file.write_text(text)
    with pytest.raises(ValueError, match=place) as error:
        read_word2vec_text(file)
    assert str(file) in str(error.value)


def test_preprocessing() -> None:
    vectors = Vectors(["a", "b", "zero"], np.array([[3, 4], [0, 2], [0, 0]], dtype=np.float32))
    assert preprocess(vectors, "none") is vectors
    expected = np.array([[0.6, 0.8], [0, 1], [0, 0]], dtype=np.float32)
    np.testing.assert_allclose(preprocess(vectors, "unit").matrix, expected, rtol=1e-6)
    np.testing.assert_allclose(preprocess(vectors, "centre").matrix.mean(axis=0), [0, 0], atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(preprocess(vectors, "unit-centre-unit").matrix, axis=1), 1, rtol=1e-6)
    with pytest.raises(UnknownName, match="centre"):
        preprocess(vectors, "center")  # type: ignore[arg-type]


@pytest.mark.parametrize("algorithm", ["word2vec", "fasttext"])
def test_training_twice_gives_the_same_bytes(algorithm: str) -> None:
    text = [["one", "two", "three"], ["two", "three", "twenty two"]] * 60
    settings = TrainedVectors.model_validate({"algorithm": algorithm, "dimension": 8, "buckets": 100, "epochs": 1})
    one, two = train_vectors(text, settings), train_vectors(text, settings)
    other = train_vectors(text, settings.model_copy(update={"seed": 1}))
    assert one.words == two.words and "twenty two" in one.words
    assert one.words[:2] in (["two", "three"], ["three", "two"])
    assert one.matrix.tobytes() == two.matrix.tobytes() != other.matrix.tobytes()


def test_nothing_to_train_on_is_said() -> None:
    with pytest.raises(ValueError, match="occurs 5 times"):
        train_vectors([["one", "two"]], TrainedVectors(min_count=5, buckets=10))


def test_settings_refuse_what_cannot_be() -> None:
    with pytest.raises(ValueError, match="shortest_ngram 5 is longer"):
        TrainedVectors(shortest_ngram=5, longest_ngram=4)
    with pytest.raises(ValueError, match="Extra inputs"):
        TrainedVectors.model_validate({"dimensions": 8})
    with pytest.raises(ValueError, match="greater than or equal"):
        TrainedVectors(window=0)
