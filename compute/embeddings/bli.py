"""Bilingual lexicon induction: where each gold translation ranks (Glavaš et al. 2019).

What is made of the ranks (MAP, P@k, coverage) is SQL's business; here are the rows of `raw.bli_ranks`, less
its keys.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypedDict, get_args

import numpy as np

from compute.embeddings.dictionary import GoldPair, covered_rows
from compute.embeddings.retrieval import Ranker, Retrieval
from compute.embeddings.vectors import Vectors


class RankRow(TypedDict):
    """One test row under one retrieval."""

    pair_number: int
    concept_id: str
    query: str
    gold: str
    retrieval: Retrieval
    rank: float | None
    is_leaked: bool
    is_duplicate: bool
    is_identical: bool


def bli_rows(
    source: Vectors,
    target: Vectors,
    train: Iterable[GoldPair],
    test: Sequence[GoldPair],
    retrievals: Sequence[Retrieval] = get_args(Retrieval),
    device: str = "cpu",
) -> list[RankRow]:
    """Return a row for each test pair and retrieval, in order.

    Args:
        source: the source vocabulary, mapped.
        target: the target vocabulary, in the same space.
        train: the training pairs, to say which test pairs have leaked.
        test: the test pairs, repeated ones included; `pair_number` counts them from 0.
        retrievals: how targets are scored.
        device: where ("cpu", "cuda").

    Returns:
        `rank` is over the whole target vocabulary, None where a word of the pair has no vector;
        `is_leaked`: the same two words are a training pair; `is_duplicate`: an earlier test row has the
        same two words; `is_identical`: the two words are the same string.

    Raises:
        ValueError: vectors that are not finite, or of two dimensions; no test pair with two known words, or a test
            dictionary in the wrong direction.
    """
    seen_in_training = {(pair.source, pair.target) for pair in train}
    covered, pairs = covered_rows(source, target, test, "the test dictionary")
    queries, gold = np.ascontiguousarray(pairs.T)
    ranker = Ranker(source.matrix, target.matrix, device)
    rows: list[RankRow] = []
    for retrieval in retrievals:
        rank_of = dict(zip(covered, ranker.ranks(queries, gold, retrieval).tolist(), strict=True))
        earlier: set[tuple[str, str]] = set()
        for i, pair in enumerate(test):
            words = (pair.source, pair.target)
            rows.append(
                RankRow(
                    pair_number=i,
                    concept_id=pair.concept_id,
                    query=pair.source,
                    gold=pair.target,
                    retrieval=retrieval,
                    rank=rank_of.get(i),
                    is_leaked=words in seen_in_training,
                    is_duplicate=words in earlier,
                    is_identical=pair.source == pair.target,
                )
            )
            earlier.add(words)
    return rows
