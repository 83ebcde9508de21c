"""Writes word vectors as word2vec text, the format that every other program reads."""

from __future__ import annotations

import gzip
import math
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import polars as pl

from compute.embeddings.vectors import Matrix, Vectors, load_vectors
from compute.store.files import appearing

NO_BREAK_SPACE = "\u00a0"

_SPACES = (NO_BREAK_SPACE, "\u202f", "\u2007", "\u2060", "\u3000", "\u2003", "\u2002", "\u2009")
"""What may stand for a space, in order of preference: all but a space and a line end are letters to other programs."""

_ROWS_AT_ONCE = 8_192


def write_word2vec_text(vectors: Vectors, path: Path, decimals: int | None = None) -> None:
    """Writes word2vec text (gzipped where `path` ends in `.gz`) that `read_vectors` and gensim can read: a line "words
    dimension", then a word and its d numbers a line. The file appears whole or not at all, its folder if need be.

    Without `decimals` there are six, or as many more as give the largest value six digits: vectors may be short.

    The format has no quotes: a space inside a word is written as a no-break space, and comes back as one; where the
    vocabulary has that word too, as another space that no program splits at.

    Raises:
        OSError: the disk refuses.
        ValueError: a word that the format cannot hold: an empty one, or one with a line end in it.
    """
    for word in vectors.words:
        if not word or "\n" in word or "\r" in word:
            raise ValueError(f"{path}: the word {word!r} cannot be written as word2vec text")
    try:
        words = _written(vectors.words)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    if decimals is None:
        decimals = _enough_decimals(vectors.matrix)
    with appearing(path) as file:
        if path.suffix == ".gz":
            with gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as zipped:
                _write(vectors, words, zipped, decimals)
        else:
            _write(vectors, words, file, decimals)


def _enough_decimals(matrix: Matrix) -> int:
    largest = max(matrix.max(initial=0), -matrix.min(initial=0))
    return 6 if largest == 0 else max(6, 5 - math.floor(math.log10(largest)))


def _written(words: Sequence[str]) -> list[str]:
    """Return the words as they are written, no two alike. Raises ValueError where the spaces run out."""
    taken = {word for word in words if " " not in word}
    written = []
    for word in words:
        if " " in word:
            possible = (word.replace(" ", space) for space in _SPACES)
            found = next((form for form in possible if form not in taken), None)
            if found is None:
                raise ValueError(f"the word {word!r} cannot be told from others where a space cannot be written")
            taken.add(found)
            word = found
        written.append(word)
    return written


def _write(vectors: Vectors, words: Sequence[str], file: gzip.GzipFile | BinaryIO, decimals: int) -> None:
    file.write(f"{len(vectors)} {vectors.dimension}\n".encode())
    for start in range(0, len(vectors), _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        table = pl.DataFrame({"word": words[rows]}).hstack(pl.from_numpy(vectors.matrix[rows], orient="row"))
        text = table.write_csv(include_header=False, separator=" ", quote_style="never", float_precision=decimals)
        file.write(text.encode())


def export_mapping(artifact: Path, folder: Path, source_language: str, target_language: str) -> tuple[Path, Path]:
    """Writes both sides of a mapping job's artifact as word2vec text into `folder`, which is made if it is not there.

    Args:
        artifact: the artifact's folder, with `source/` and `target/`.
        folder: where to write `<source>-<target>.<source>.vec` and `<source>-<target>.<target>.vec`.
        source_language: language of the mapped side.
        target_language: language it was mapped to.

    Returns:
        The paths of the two files.

    Raises:
        OSError: the disk refuses.
        ValueError: not the artifact of a mapping job, or a damaged one.
    """
    written = []
    for side, language in (("source", source_language), ("target", target_language)):
        try:
            vectors = load_vectors(artifact / side)
        except FileNotFoundError:
            raise ValueError(f"{artifact} holds no mapped vectors (no {side}/vectors.npy)") from None
        path = folder / f"{source_language}-{target_language}.{language}.vec"
        write_word2vec_text(vectors, path)
        written.append(path)
    return written[0], written[1]
