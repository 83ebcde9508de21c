"""What has been read of a file of word vectors: the words kept, and what was met on the way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from compute.embeddings.vectors import Matrix, Vectors

FIRST_MALFORMED = 5
"""How many malformed lines are described, not only counted."""

MALFORMED_SHARE = 0.01
"""A file with more malformed lines than this share is not what it claims to be, and is refused."""

LARGEST_DIMENSION = 1 << 14
"""No embeddings that anybody maps have more numbers a word; a file that seems to is something else."""

Fold = Callable[[str], str]
FileFormat = Literal["text", "binary", "fasttext"]


def check_dimension(line: int, dimension: int) -> None:
    """Raise ValueError where a line has more numbers, or promises more, than vectors have."""
    if dimension > LARGEST_DIMENSION:
        raise ValueError(f"line {line}: {dimension} dimensions; expected at most {LARGEST_DIMENSION}")


@dataclass(frozen=True)
class Reading:
    """What was met while a file was read, as far as it was read.

    Attributes:
        file_format: what it was found to be.
        words: words that were kept.
        repeated: words left out because an equal one (once folded) came before.
        malformed: lines left out because they are not a word and d numbers.
        malformed_lines: the first of them, each with its number and what is wrong.
    """

    file_format: FileFormat
    words: int
    repeated: int
    malformed: int
    malformed_lines: tuple[str, ...]


class WordsRead:
    """The words kept so far, each once, and their vectors."""

    def __init__(self, limit: int | None, fold: Fold | None) -> None:
        self._limit, self._fold = limit, fold
        self.counted = "line"
        """What the numbers of places count."""
        self._words: list[str] = []
        self._matrix = np.empty((0, 0), dtype=np.float32)
        """The vectors, and room for more. It grows in place where the system can: nothing is held twice."""
        self._seen: set[str] = set()
        self._repeated = 0
        self._malformed = 0
        self._malformed_lines: list[str] = []

    @property
    def number(self) -> int:
        """Return how many words there are."""
        return len(self._words)

    @property
    def room(self) -> float:
        """Return how many more words are wanted."""
        return float("inf") if self._limit is None else self._limit - len(self._words)

    @property
    def full(self) -> bool:
        """Return whether no more words are wanted."""
        return self.room <= 0

    def add(self, words: Sequence[str], matrix: Matrix, places: Sequence[int]) -> None:
        """Keep those of `words` that are new, with their vectors [n, d]; `places` are the numbers of their lines."""
        if self._fold is not None:
            words = [self._fold(word) for word in words]
        new = self._new(words)
        matrix = matrix[: len(new)] if new == range(len(new)) else matrix[new]
        with np.errstate(over="ignore", invalid="ignore"):
            finite = np.isfinite(matrix.sum())  # unless a term is not, or it overflows: a quick look
        if not finite and len(rows := np.flatnonzero(~np.isfinite(matrix).all(axis=1))):
            row = new[rows[0]]
            raise ValueError(f"{self.counted} {places[row]}: the vector of {words[row]!r} has NaN or infinity")
        held = len(self._words)
        self._words += [words[row] for row in new]
        if len(self._words) > len(self._matrix):
            self._matrix.resize((len(self._words) * 5 // 4, matrix.shape[1]), refcheck=False)
        self._matrix[held : len(self._words)] = matrix

    def _new(self, words: Sequence[str]) -> Sequence[int]:
        """Return which of `words` are kept; they are seen from now on, and those that were before are counted."""
        room, distinct = self.room, set(words)
        if len(distinct) == len(words) <= room and self._seen.isdisjoint(distinct):
            self._seen |= distinct
            return range(len(words))
        new = list[int]()
        for row, word in enumerate(words):
            if len(new) >= room:
                break
            if word in self._seen:
                self._repeated += 1
                continue
            self._seen.add(word)
            new.append(row)
        return new

    def leave_out(self, place: int, why: str) -> None:
        """Count a malformed line."""
        self._malformed += 1
        if len(self._malformed_lines) < FIRST_MALFORMED:
            self._malformed_lines.append(f"{self.counted} {place}: {why}")

    def check_share(self, lines: int) -> None:
        """Raises ValueError if too many of the `lines` read were malformed."""
        if self._malformed > MALFORMED_SHARE * lines:
            first = "; ".join(self._malformed_lines)
            raise ValueError(f"{self._malformed} of {lines} {self.counted}s are malformed; {first}")

    def result(self, file_format: FileFormat) -> tuple[Vectors, Reading]:
        """Return what was kept, of a file in that format. Raises ValueError if that is nothing."""
        if not self._words:
            raise ValueError("no words in it")
        self._matrix.resize((len(self._words), self._matrix.shape[1]), refcheck=False)
        vectors = Vectors(self._words, self._matrix)
        return vectors, Reading(
            file_format, len(self._words), self._repeated, self._malformed, tuple(self._malformed_lines)
        )
