"""Word2vec text as it is written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from compute.embeddings.reading import read_vectors
from compute.embeddings.vectors import Vectors
from compute.embeddings.writing import write_word2vec_text


@pytest.mark.parametrize("scale", [0.0, 1e-38, 1e-7, 1e-3, 0.3, 1e6])
def test_vectors_of_any_length_come_back(tmp_path: Path, scale: float) -> None:
    matrix = (scale * np.random.default_rng(0).uniform(-1, 1, size=(30, 4))).astype(np.float32)
    write_word2vec_text(Vectors([f"w{i}" for i in range(30)], matrix), tmp_path / "v.vec")
    found, _ = read_vectors(tmp_path / "v.vec")
    np.testing.assert_allclose(found.matrix, matrix, atol=1e-5 * scale)
