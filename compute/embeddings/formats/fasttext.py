"""fastText models (`.bin`), which gensim reads."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

from compute.embeddings.formats.kept import Kept, Reading
from compute.embeddings.vectors import Vectors

MAGIC = (793712314).to_bytes(4, "little")
"""What a model begins with."""


def read_fasttext(path: Path, kept: Kept) -> tuple[Vectors, Reading]:
    """Reads the words of a model, without those that it would only make up. Raises ValueError if it is none."""
    from gensim.models.fasttext import load_facebook_vectors

    try:
        model = load_facebook_vectors(str(path))
    except (ValueError, EOFError, AssertionError, NotImplementedError, IndexError, struct.error) as error:
        raise ValueError(f"{path}: not a fastText model that gensim can read: {error}") from None
    limit = len(model.index_to_key)
    kept.counted = "word"
    try:
        kept.add(model.index_to_key, np.asarray(model.vectors[:limit], dtype=np.float32), range(1, limit + 1))
        return kept.result("fasttext")
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
