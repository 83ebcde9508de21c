"""fastText models (`.bin`): settings, a dictionary with a count and a kind each, and one matrix of words and n-grams.

A word's vector is the mean of its own row and those of its character n-grams, as gensim and fastText have it
(Bojanowski et al., 2017); the hashes of n-grams are gensim's. Entries marked as labels have no vector of their own:
`__label__` in the text of an unsupervised model, such as the published wiki.fr.bin, is one.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from compute.embeddings.formats.words_read import LARGEST_DIMENSION, Reading, WordsRead
from compute.embeddings.vectors import Matrix, Vectors

MAGIC = (793712314).to_bytes(4, "little")
"""What a model begins with, since 2017."""

_SETTINGS = struct.Struct("<12id")
"""Dimension, window, epochs, least count, negatives, word n-grams, loss, kind, buckets, shortest and longest n-gram,
rate of updates, sampling threshold."""

_SUPERVISED = 3
_WORDS_AT_ONCE = 4_096


@dataclass(frozen=True)
class _Model:
    """What a model's beginning says, and where its matrix lies."""

    words: Sequence[str]
    rows_of_words: Sequence[int]
    first_bucket: int
    buckets: int
    shortest: int
    longest: int
    shape: tuple[int, int]
    offset: int


def looks_fasttext(beginning: bytes) -> bool:
    """Return whether a file begins like a model; those of before 2017 have no magic number, but settings that make
    sense."""
    if beginning.startswith(MAGIC):
        return True
    if len(beginning) < _SETTINGS.size + 12:
        return False
    dimension, window, epochs, _, negatives, _, loss, kind, buckets, shortest, longest, *_ = _SETTINGS.unpack_from(
        beginning
    )
    size, words, labels = struct.unpack_from("<3i", beginning, _SETTINGS.size)
    return bool(
        0 < dimension <= LARGEST_DIMENSION
        and 0 < window <= 1 << 10
        and 0 <= epochs <= 1 << 16
        and negatives >= 0
        and loss in (1, 2, 3)
        and kind in (1, 2, 3)
        and buckets >= 0
        and 0 <= shortest <= 1 << 8
        and 0 <= longest <= 1 << 8
        and size > 0
        and words >= 0
        and labels >= 0
        and words + labels == size
    )


def read_fasttext(path: Path, kept: WordsRead) -> tuple[Vectors, Reading]:
    """Read the words of a model, without those that it would only make up. Raises ValueError if it is none."""
    try:
        model = _opened(path)
    except (ValueError, struct.error) as error:
        raise ValueError(f"{path}: not a fastText model that can be read: {error}") from None
    kept.counted = "word"
    try:
        matrix = np.memmap(path, dtype="<f4", mode="r", offset=model.offset, shape=model.shape)
        for start in range(0, len(model.words), _WORDS_AT_ONCE):
            if kept.full:
                break
            part = slice(start, start + _WORDS_AT_ONCE)
            words = model.words[part]
            kept.add(words, _vectors(model, matrix, part), range(start + 1, start + 1 + len(words)))
        return kept.result("fasttext")
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _vectors(model: _Model, matrix: Matrix, part: slice) -> Matrix:
    from gensim.models.fasttext import ft_ngram_hashes

    own = model.rows_of_words[part]
    if model.buckets == 0 or model.longest == 0:
        return np.asarray(matrix[np.asarray(own)], dtype=np.float32)
    found = np.empty((len(own), matrix.shape[1]), dtype=np.float32)
    for vector, row, word in zip(found, own, model.words[part], strict=True):
        hashes = ft_ngram_hashes(word, model.shortest, model.longest, model.buckets)
        rows = [row, *(model.first_bucket + number for number in hashes)]
        vector[:] = matrix[rows].sum(axis=0) / len(rows)
    return found


def _opened(path: Path) -> _Model:
    """Go through a model as far as its matrix.

    Raises:
        ValueError, struct.error: the file ends before its matrix does, its numbers make no sense, it is compressed or a
            classifier.
    """
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        new = data[:4] == MAGIC  # models from before 2017 have neither that, nor pruned n-grams, nor a mark
        at, numbers, shape = (64, "<3i2q", "<?2q") if new else (56, "<3iq", "<2q")
        if len(data) < at + struct.calcsize(numbers):
            raise ValueError("it ends within its settings (is it cut off?)")
        settings = _SETTINGS.unpack_from(data, 8 if new else 0)
        dimension, kind, (buckets, shortest, longest) = settings[0], settings[7], settings[8:11]
        if kind == _SUPERVISED:
            raise ValueError("it is a classifier (supervised), not word vectors")
        if min(buckets, shortest, longest) < 0:
            raise ValueError(f"{buckets} buckets of n-grams of {shortest} to {longest} letters make no sense")
        size, n_words, _, _, *pruned = struct.unpack_from(numbers, data, at)
        at += struct.calcsize(numbers)
        words, places = [], []
        for number in range(size):
            end = data.find(b"\0", at)
            if end < 0 or end + 10 > len(data):  # the word, a zero, its count and its kind
                raise ValueError(f"it promises {size} words, and ends within word {number + 1} (is it cut off?)")
            if data[end + 9] == 0:
                words.append(data[at:end].decode("utf-8", errors="backslashreplace"))
                places.append(number)
            at = end + 10
        at += 8 * max(0, *pruned, 0)
        *compressed, rows, columns = struct.unpack_from(shape, data, at)
        if any(compressed):
            raise ValueError("its vectors are compressed")
        if dimension <= 0 or columns != dimension or len(words) != n_words:
            raise ValueError(f"{len(words)} words of {columns} numbers, where {n_words} of {dimension} are promised")
        # Rows are those of words, then those of n-grams; programs differ in whether a label has one.
        first_bucket = rows - buckets
        if first_bucket < len(words) or (places and places[-1] >= first_bucket):
            raise ValueError(f"it has {rows} vectors for {len(words)} words and {buckets} buckets of n-grams")
        at += struct.calcsize(shape)
        if at + 4 * rows * columns > len(data):
            raise ValueError(f"it promises {rows} x {columns} numbers, more than are in it (is it cut off?)")
        return _Model(words, places, first_bucket, buckets, shortest, longest, (rows, columns), at)
