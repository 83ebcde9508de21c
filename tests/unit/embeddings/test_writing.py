"""Word2vec text as it is written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from gensim.models import KeyedVectors

from compute.embeddings.reading import read_vectors
from compute.embeddings.vectors import Vectors
from compute.embeddings.writing import write_word2vec_text


@pytest.mark.parametrize("scale", [0.0, 1e-38, 1e-7, 1e-3, 0.3, 1e6])
def test_vectors_of_any_length_come_back(tmp_path: Path, scale: float) -> None:
    matrix = (scale * np.random.default_rng(0).uniform(-1, 1, size=(30, 4))).astype(np.float32)
    write_word2vec_text(Vectors([f"w{i}" for i in range(30)], matrix), tmp_path / "v.vec")
    found, _ = read_vectors(tmp_path / "v.vec")
    np.testing.assert_allclose(found.matrix, matrix, atol=1e-5 * scale)


def test_words_that_differ_in_white_space_alone_stay_two(tmp_path: Path) -> None:
    words = ["New York", "New\u00a0York", "New\u202fYork", "a b", "a\u00a0b c", "a b\u00a0c", "New\u2003York"]
    matrix = np.arange(len(words) * 2, dtype=np.float32).reshape(-1, 2)
    write_word2vec_text(Vectors(words, matrix), tmp_path / "v.vec")
    (ours, _), theirs = read_vectors(tmp_path / "v.vec"), KeyedVectors.load_word2vec_format(str(tmp_path / "v.vec"))
    assert len(set(ours.words)) == len(words) == len(theirs.index_to_key)
    assert ours.words[1:3] == words[1:3], "a word without a space is written as it is"
    np.testing.assert_array_equal(ours.matrix, matrix)
    np.testing.assert_array_equal(theirs.vectors, matrix)
