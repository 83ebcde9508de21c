"""fastText models (`.bin`), which gensim reads."""

from __future__ import annotations

import mmap
import struct
from pathlib import Path

import numpy as np

from compute.embeddings.formats.kept import Kept, Reading
from compute.embeddings.vectors import Vectors

MAGIC = (793712314).to_bytes(4, "little")
"""What a model begins with."""

_NOT_READ = (ValueError, EOFError, AssertionError, NotImplementedError, ArithmeticError, IndexError, struct.error)
"""What gensim raises where a file is no model, or a damaged one."""


def read_fasttext(path: Path, kept: Kept) -> tuple[Vectors, Reading]:
    """Reads the words of a model, without those that it would only make up. Raises ValueError if it is none."""
    from gensim.models.fasttext import load_facebook_vectors

    try:
        _check_whole(path)
        model = load_facebook_vectors(str(path))
    except _NOT_READ as error:
        raise ValueError(f"{path}: not a fastText model that gensim can read: {error}") from None
    limit = len(model.index_to_key)
    kept.counted = "word"
    try:
        kept.add(model.index_to_key, np.asarray(model.vectors[:limit], dtype=np.float32), range(1, limit + 1))
        return kept.result("fasttext")
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _check_whole(path: Path) -> None:
    """Goes through a model as far as its vectors, at a glance: gensim would look for ever for the end of a word that is
    cut off, and make room for however many vectors are promised.

    Raises:
        ValueError, struct.error: the file ends before its vectors do, or they are compressed.
    """
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        new = data[:4] == MAGIC  # models from before 2017 have neither that, nor pruned n-grams, nor a mark
        at, numbers, shape = (64, "<3i2q", "<?2q") if new else (56, "<3iq", "<2q")
        if len(data) < at + struct.calcsize(numbers):
            raise ValueError("it ends within its settings (is it cut off?)")
        words, *_, last = struct.unpack_from(numbers, data, at)
        at += struct.calcsize(numbers)
        for number in range(1, words + 1):
            end = data.find(b"\0", at)
            at = end + 10  # the word, a zero, its count and its kind
            if end < 0 or at > len(data):
                raise ValueError(f"it promises {words} words, and ends within word {number} (is it cut off?)")
        at += 8 * max(0, last) if new else 0
        *compressed, rows, dimension = struct.unpack_from(shape, data, at)
        if any(compressed):
            raise ValueError("its vectors are compressed")
        needed = 4 * rows * dimension if min(rows, dimension) > 0 else 0
        if at + struct.calcsize(shape) + needed > len(data):
            raise ValueError(f"it promises {rows} x {dimension} numbers, more than are in it (is it cut off?)")
