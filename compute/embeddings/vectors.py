"""Word vectors of one language: checked, kept memory-mapped, and preprocessed."""

from __future__ import annotations

import json
from copy import copy
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from compute.embeddings.settings import Preprocessing
from compute.names import UnknownName

Matrix = NDArray[np.float32]
MATRIX_FILE = "vectors.npy"
VOCABULARY_FILE = "vocabulary.json"

CENTRED = 1e-5
"""Length of a mean row of unit vectors that counts as zero: what is left of it is rounding."""

MOST_ROUNDS = 100
"""Of iterative normalization; word vectors need about ten."""


@dataclass(frozen=True)
class Vectors:
    """`words` (n, most frequent first) and their vectors `matrix` (float32 [n, d]).

    Raises:
        ValueError: another shape or type, a word that occurs twice, a value that is not finite; the message
            names the word.
    """

    words: list[str]
    matrix: Matrix
    row_of: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._check_matrix()
        row_of = {word: row for row, word in enumerate(self.words)}
        if len(row_of) != len(self.words):
            twice = next(word for row, word in enumerate(self.words) if row_of[word] != row)
            raise ValueError(f"the word {twice!r} has more than one vector")
        object.__setattr__(self, "row_of", row_of)

    def moved(self, matrix: Matrix) -> Vectors:
        """Return the same words at other places: `matrix` [n, d'], float32, finite, as for new `Vectors`."""
        moved = copy(self)
        object.__setattr__(moved, "matrix", matrix)
        moved._check_matrix()
        return moved

    def _check_matrix(self) -> None:
        if self.matrix.ndim != 2 or self.matrix.dtype != np.float32:
            raise ValueError(f"vectors are float32 [words, dimension], not {self.matrix.dtype} {self.matrix.shape}")
        if len(self.words) != self.matrix.shape[0]:
            raise ValueError(f"{len(self.words)} words but {self.matrix.shape[0]} vectors")
        check_finite(self.matrix, self.words)

    @property
    def dimension(self) -> int:
        """d, the length of a vector."""
        return int(self.matrix.shape[1])

    def __len__(self) -> int:
        return len(self.words)


def check_finite(matrix: Matrix, words: list[str] | None = None) -> None:
    """Raises ValueError where `matrix` [n, d] holds NaN or infinity, naming the first such row."""
    # A sum is finite unless a term is not (or it overflows, which the slow look then clears): no [n, d] mask.
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(matrix.sum()):
            return
    bad = np.flatnonzero(~np.isfinite(matrix).all(axis=1))
    if len(bad):
        name = repr(words[bad[0]]) if words is not None else f"row {bad[0]}"
        raise ValueError(f"{len(bad)} vectors are not finite (NaN or infinity), the first is that of {name}")


def save_vectors(vectors: Vectors, folder: Path) -> None:
    """Writes `vectors.npy` and `vocabulary.json` (a list, in row order) into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / MATRIX_FILE, vectors.matrix, allow_pickle=False)
    (folder / VOCABULARY_FILE).write_text(json.dumps(vectors.words, ensure_ascii=False), encoding="utf-8")


def load_vectors(folder: Path) -> Vectors:
    """Return the vectors that `save_vectors` wrote; the matrix is memory-mapped, read-only.

    Raises:
        FileNotFoundError: one of the two files is missing.
        ValueError: a file is not what `save_vectors` writes (a pickled array is refused, never opened).
    """
    try:
        matrix = np.load(folder / MATRIX_FILE, mmap_mode="r", allow_pickle=False)
        words = json.loads((folder / VOCABULARY_FILE).read_text(encoding="utf-8"))
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise ValueError(f"{VOCABULARY_FILE} is not a list of words")
        return Vectors(words, matrix)
    except (ValueError, EOFError) as error:
        raise ValueError(f"vectors in {folder}: {error}") from error


def preprocess(vectors: Vectors, how: Preprocessing) -> Vectors:
    """Return vectors of the same words, as the mapping methods shall see them:

    * `none`: as they are;
    * `unit`: rows of Euclidean length 1 (a zero row stays zero);
    * `centre`: minus the mean row;
    * `unit-centre-unit`: one after the other (Artetxe, Labaka & Agirre 2016, 2018);
    * `iterative`: unit and centre again and again until both hold, which an orthogonal map of one language onto
      another supposes (Zhang et al. 2019, "Are Girls Neko or Shojo?", section 3).

    Raises:
        compute.names.UnknownName: no such preprocessing.
    """
    if how == "none":
        return vectors
    if how == "unit":
        return vectors.moved(unit_rows(vectors.matrix))
    if how == "centre":
        return vectors.moved(_centred(vectors.matrix))
    if how == "unit-centre-unit":
        return vectors.moved(unit_rows(_centred(unit_rows(vectors.matrix))))
    if how == "iterative":
        return vectors.moved(_normalized_iteratively(vectors.matrix))
    raise UnknownName("preprocessing", how, get_args(Preprocessing))


def unit_rows(matrix: Matrix) -> Matrix:
    """`matrix` [n, d] with rows of Euclidean length 1; zero rows stay zero."""
    lengths = np.linalg.norm(matrix, axis=1, keepdims=True)
    return np.asarray(matrix / np.where(lengths > 0, lengths, 1), dtype=np.float32)


def _centred(matrix: Matrix) -> Matrix:
    # In float32: a float64 copy of 200,000 vectors would be half a gigabyte.
    return matrix - matrix.mean(axis=0, dtype=np.float64).astype(np.float32)


def _normalized_iteratively(matrix: Matrix) -> Matrix:
    """Return rows of length 1 whose mean row is shorter than `CENTRED`, or as short as `MOST_ROUNDS` rounds make it."""
    matrix = unit_rows(matrix)
    for _ in range(MOST_ROUNDS):
        if np.linalg.norm(matrix.mean(axis=0, dtype=np.float64)) < CENTRED:
            break
        matrix = unit_rows(_centred(matrix))
    return matrix
