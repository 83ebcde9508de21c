"""Bilingual dictionaries: pairs of words that mean the same, and their rows in two vocabularies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from compute.embeddings.vectors import Vectors


class GoldPair(NamedTuple):
    """A dictionary row. `concept_id` names the meaning, the same in every language pair that has it."""

    concept_id: str
    source: str
    target: str


def seed_rows(source: Vectors, target: Vectors, pairs: Sequence[GoldPair]) -> NDArray[np.int64]:
    """Source row and target row, [m, 2], of each of the `pairs` whose two words both have a vector, in
    their order.

    Raises:
        ValueError: none has; the message says how many words of each side were found.
    """
    rows = [
        (source.row_of[pair.source], target.row_of[pair.target])
        for pair in pairs
        if pair.source in source.row_of and pair.target in target.row_of
    ]
    if not rows:
        raise ValueError(
            f"no pair of the training dictionary has two known words: of {len(pairs)} pairs, "
            f"{sum(pair.source in source.row_of for pair in pairs)} source words and "
            f"{sum(pair.target in target.row_of for pair in pairs)} target words are in the vocabularies"
        )
    return np.array(rows, dtype=np.int64)
