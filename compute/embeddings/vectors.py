"""Word vectors of one language: checked, kept memory-mapped, read from word2vec text, and preprocessed."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

import numpy as np
import polars as pl
from numpy.typing import NDArray

from compute.embeddings.settings import Preprocessing
from compute.names import UnknownName

Matrix = NDArray[np.float32]
MATRIX_FILE = "vectors.npy"
VOCABULARY_FILE = "vocabulary.json"
NO_BREAK_SPACE = "\u00a0"


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
        if self.matrix.ndim != 2 or self.matrix.dtype != np.float32:
            raise ValueError(f"vectors are float32 [words, dimension], not {self.matrix.dtype} {self.matrix.shape}")
        if len(self.words) != self.matrix.shape[0]:
            raise ValueError(f"{len(self.words)} words but {self.matrix.shape[0]} vectors")
        row_of = {word: row for row, word in enumerate(self.words)}
        if len(row_of) != len(self.words):
            twice = next(word for row, word in enumerate(self.words) if row_of[word] != row)
            raise ValueError(f"the word {twice!r} has more than one vector")
        check_finite(self.matrix, self.words)
        object.__setattr__(self, "row_of", row_of)

    @property
    def dimension(self) -> int:
        """d, the length of a vector."""
        return int(self.matrix.shape[1])

    def __len__(self) -> int:
        return len(self.words)


def check_finite(matrix: Matrix, words: list[str] | None = None) -> None:
    """Raises ValueError where `matrix` [n, d] holds NaN or infinity, naming the first such row."""
    # A sum is finite unless a term is not (or it overflows, which the slow look then clears): no [n, d] mask.
    if np.isfinite(matrix.sum(dtype=np.float64)):
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
    """The vectors that `save_vectors` wrote; the matrix is memory-mapped, read-only.

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


def read_word2vec_text(path: Path) -> Vectors:
    """Vectors from word2vec text (`.vec`, `.txt`, each also `.gz`): a line "n d", then a word and d numbers
    a line.

    Numbers are rounded once, from the decimal text to float32.

    Raises:
        FileNotFoundError: no such file.
        ValueError: no header, another number of words or fields than it says, a field that is not a number;
            the message names file and line.
    """
    raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    header, _, body = raw.partition(b"\n")
    try:
        count, dimension = (int(part) for part in header.split())
    except ValueError:
        raise ValueError(f"{path}, line 1: expected 'words dimension', found {header[:60]!r}") from None
    schema: dict[str, type[pl.DataType]] = {"word": pl.String}
    schema |= {f"x{i}": pl.Float32 for i in range(dimension)}
    if body.partition(b"\n")[0].rstrip(b"\r").endswith(b" "):
        schema["after"] = pl.String  # the original word2vec and fastText end a line with a space
    try:
        table = pl.read_csv(body, has_header=False, separator=" ", quote_char=None, schema=schema)
    except pl.exceptions.PolarsError:
        table = None
    if table is None or table.height != count or any(table[f"x{i}"].null_count() for i in range(dimension)):
        raise ValueError(f"{path}, {_first_malformed_line(body, count, dimension)}")
    matrix = table.select(pl.exclude("word", "after")).to_numpy(order="c")
    try:
        return Vectors(table["word"].fill_null("").to_list(), matrix)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _first_malformed_line(body: bytes, count: int, dimension: int) -> str:
    lines = body.splitlines()
    for number, line in enumerate(lines, start=2):
        fields = line.rstrip().split(b" ")
        if len(fields) != dimension + 1:
            return f"line {number}: a word and {dimension} numbers expected, found {len(fields)} fields"
        try:
            [float(value) for value in fields[1:]]
        except ValueError as error:
            return f"line {number}: {error}"
    return f"line 1: the header promises {count} words, the file has {len(lines)}"


def write_word2vec_text(vectors: Vectors, path: Path, decimals: int = 6) -> None:
    """Writes word2vec text (gzipped where `path` ends in `.gz`) that `read_word2vec_text` and gensim can
    read.

    The format has no quotes: a space inside a word is written as a no-break space, and comes back as one.
    """
    row = " ".join([f"%.{decimals}f"] * vectors.dimension)
    lines = [f"{len(vectors)} {vectors.dimension}"]
    for word, values in zip(vectors.words, vectors.matrix, strict=True):
        lines.append(f"{word.replace(' ', NO_BREAK_SPACE)} {row % tuple(values)}")
    text = ("\n".join(lines) + "\n").encode()
    path.write_bytes(gzip.compress(text, mtime=0) if path.suffix == ".gz" else text)


def preprocess(vectors: Vectors, how: Preprocessing) -> Vectors:
    """Vectors of the same words: as they are (`none`), rows of length 1 (`unit`), minus the mean row
    (`centre`), or both with lengths made 1 again (`unit-centre-unit`; Artetxe et al. 2016). A zero row
    stays zero under `unit`.

    Raises:
        compute.names.UnknownName: no such preprocessing.
    """
    if how == "none":
        return vectors
    if how == "unit":
        return Vectors(vectors.words, unit_rows(vectors.matrix))
    if how == "centre":
        return Vectors(vectors.words, _centred(vectors.matrix))
    if how == "unit-centre-unit":
        return Vectors(vectors.words, unit_rows(_centred(unit_rows(vectors.matrix))))
    raise UnknownName("preprocessing", how, get_args(Preprocessing))


def unit_rows(matrix: Matrix) -> Matrix:
    """`matrix` [n, d] with rows of Euclidean length 1; zero rows stay zero."""
    lengths = np.linalg.norm(matrix, axis=1, keepdims=True)
    return np.asarray(matrix / np.where(lengths > 0, lengths, 1), dtype=np.float32)


def _centred(matrix: Matrix) -> Matrix:
    return np.asarray(matrix - matrix.mean(axis=0, dtype=np.float64), dtype=np.float32)
