"""Texts as sequences of mapped word vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compute.embeddings.corpora import tokens, words_in
from compute.embeddings.vectors import Matrix, Vectors, unit_rows


def words_of(text: str, language: str, lower_case: bool) -> list[str]:
    """Return the words of a text in order, as `compute.embeddings.corpora.words_in` tells them apart.

    Args:
        language: decides how letters are lower-cased.
        lower_case: as the vectors' words are.
    """
    return tokens(text, language) if lower_case else words_in(text)


@dataclass(frozen=True)
class Texts:
    """Texts in the space of their words' vectors; words without a vector are left out.

    Attributes:
        matrix: float32 [1 + words used, d]: row 0 is zero, the others are of Euclidean length 1 (a zero vector stays
            zero), because lengths mean different things after different maps and cosines do not depend on them.
        rows: of each text, the rows of its words in order; empty where no word has a vector.
    """

    matrix: Matrix
    rows: list[NDArray[np.int32]]

    def __len__(self) -> int:
        return len(self.rows)

    def means(self) -> Matrix:
        """[texts, d]: the mean of a text's vectors; zero where no word has one."""
        means = np.zeros((len(self), self.matrix.shape[1]), dtype=np.float32)
        for place, rows in enumerate(self.rows):
            if len(rows):
                means[place] = self.matrix[rows].mean(axis=0, dtype=np.float64)
        return means


def embed(texts: Sequence[Sequence[str]], vectors: Vectors) -> Texts:
    """Return the texts, given as words, in the space of `vectors`."""
    row_of: dict[str, int] = {}
    used: list[int] = []
    rows = []
    for words in texts:
        found = []
        for word in words:
            if word not in row_of:
                place = vectors.row_of.get(word)
                if place is None:
                    continue
                used.append(place)
                row_of[word] = len(used)
            found.append(row_of[word])
        rows.append(np.array(found, dtype=np.int32))
    matrix = np.zeros((1 + len(used), vectors.dimension), dtype=np.float32)
    matrix[1:] = unit_rows(vectors.matrix[np.array(used, dtype=np.int64)])
    return Texts(matrix, rows)
