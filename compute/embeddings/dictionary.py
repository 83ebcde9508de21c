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


def covered_rows(
    source: Vectors, target: Vectors, pairs: Sequence[GoldPair], what: str
) -> tuple[list[int], NDArray[np.int64]]:
    """Return which of `pairs`, called `what` in errors, have a vector for both words (their positions, in order), and
    the source row and target row [m, 2] of each of them.

    Raises:
        ValueError: no pair has, or the dictionary fits the vectors better the other way round; the message says how
            many words of each side were found.
    """
    positions = [i for i, pair in enumerate(pairs) if pair.source in source.row_of and pair.target in target.row_of]
    turned = sum(pair.target in source.row_of and pair.source in target.row_of for pair in pairs)
    if not positions or turned > 2 * len(positions):
        ours = sum(pair.source in source.row_of for pair in pairs)
        theirs = sum(pair.target in target.row_of for pair in pairs)
        message = (
            f"{'no pair' if not positions else f'only {len(positions)} pairs'} of {what} with two known words: of "
            f"{len(pairs)} pairs, {ours} source words and {theirs} target words are in the vocabularies"
        )
        if turned > 2 * len(positions):
            message += f"; with its columns exchanged {turned} pairs are: is it in the wrong direction?"
        raise ValueError(message)
    rows = [(source.row_of[pairs[i].source], target.row_of[pairs[i].target]) for i in positions]
    return positions, np.array(rows, dtype=np.int64)


def seed_rows(source: Vectors, target: Vectors, pairs: Sequence[GoldPair]) -> NDArray[np.int64]:
    """Source row and target row, [m, 2], of each of the training `pairs` whose two words both have a vector, in their
    order.

    Raises:
        ValueError: as `covered_rows`.
    """
    return covered_rows(source, target, pairs, "the training dictionary")[1]
