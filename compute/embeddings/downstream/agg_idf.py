"""Queries and documents as weighted averages of word vectors, compared by cosine (AGG-IDF; Vulić & Moens 2015,
Litschko et al. 2018)."""

from __future__ import annotations

from collections import Counter
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from compute.embeddings.downstream.classifiers import RetrievalModel
from compute.embeddings.downstream.texts import embed
from compute.embeddings.vectors import Matrix, Vectors, unit_rows


class WeightedAverages(RetrievalModel):
    """A document's word t weighs log((N + 1) / n_t), where n_t of the N documents have it. A text without known words
    is a zero vector, as far from one text as from another."""

    query_weights: Literal["uniform", "idf"] = Field(
        default="idf", description="idf: a query's words weigh likewise, counted over all queries; uniform: 1"
    )

    def scores(
        self,
        queries: list[list[str]],
        documents: list[list[str]],
        source: Vectors,
        target: Vectors,
        device: str = "cpu",
    ) -> NDArray[Any]:
        """See `RetrievalModel.scores`: cosines. Always on the CPU."""
        weights = inverse_document_frequencies(queries) if self.query_weights == "idf" else None
        asked = weighted_average(queries, source, weights)
        return asked @ weighted_average(documents, target, inverse_document_frequencies(documents)).T


def inverse_document_frequencies(texts: list[list[str]]) -> dict[str, float]:
    """log((N + 1) / n_t) of each word that n_t of the N texts have; never 0, or a text alone would be nothing."""
    found = Counter(word for text in texts for word in set(text))
    return {word: float(np.log((len(texts) + 1) / number)) for word, number in found.items()}


def weighted_average(texts: list[list[str]], vectors: Vectors, weights: dict[str, float] | None) -> Matrix:
    """float32 [texts, d]: the weighted sum of a text's vectors (each word's of length 1), brought to length 1.

    Args:
        weights: by word; None: all words weigh the same.
    """
    embedded = embed(texts, vectors)
    found = np.zeros((len(texts), vectors.dimension), dtype=np.float32)
    for place, (words, rows) in enumerate(zip(texts, embedded.rows, strict=True)):
        if len(rows):
            known = [word for word in words if word in vectors.row_of]
            weight = np.array([1.0 if weights is None else weights[word] for word in known])
            found[place] = weight @ embedded.matrix[rows]
    return unit_rows(found)
