"""Queries translated word by word, then a unigram language model of each document (Ponte & Croft 1998; Zhai & Lafferty
2004 for the smoothing; Litschko et al. 2018 for the translation)."""

from __future__ import annotations

from collections import Counter
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy import sparse

from compute.embeddings.downstream.classifiers import RetrievalModel
from compute.embeddings.vectors import Vectors


class QueryLikelihood(RetrievalModel):
    """A query word becomes the target word nearest to it by cosine; one without a vector stays as it is, since names
    are often written alike.

    log p(q | d) = Σ_t n(t, q) log((n(t, d) + μ p(t | C)) / (|d| + μ)) over the query's words t that stand in the
    collection C somewhere: the others are as unlikely in every document.
    """

    mu: float = Field(default=1_000.0, gt=0, description="Dirichlet prior, in words")
    unknown: Literal["keep", "drop"] = Field(
        default="keep",
        description="query words without a vector: as they are, or left out, which leaves the mapping alone",
    )

    def scores(
        self,
        queries: list[list[str]],
        documents: list[list[str]],
        source: Vectors,
        target: Vectors,
        device: str = "cpu",
    ) -> NDArray[Any]:
        """See `RetrievalModel.scores`: log p(q | d), natural logarithm."""
        translation = translations({word for query in queries for word in query}, source, target, device)
        if self.unknown == "drop":
            queries = [[word for word in query if word in translation] for query in queries]
        translated = [[translation.get(word, word) for word in query] for query in queries]
        return log_likelihoods(translated, documents, self.mu)


def translations(words: set[str], source: Vectors, target: Vectors, device: str = "cpu") -> dict[str, str]:
    """Return the nearest target word by cosine of each of `words` that has a vector; of equal ones the more
    frequent."""
    from compute.embeddings.neighbours import top_k, unit_tensor

    known = sorted(word for word in words if word in source.row_of)
    if not known:
        return {}
    queries = unit_tensor(source.matrix[[source.row_of[word] for word in known]], device)
    nearest = top_k(queries, unit_tensor(target.matrix, device), 1)[1][:, 0].tolist()
    return {word: target.words[row] for word, row in zip(known, nearest, strict=True)}


def log_likelihoods(queries: list[list[str]], documents: list[list[str]], mu: float) -> NDArray[np.float64]:
    """log p(q | d) of queries in the documents' language, [queries, documents].

    A term's part is log(n(t, d) / (μ p(t | C)) + 1) + log p(t | C) + log(μ / (|d| + μ)): the first is zero where a
    document lacks the term, so that only what is there is gone through.
    """
    column_of: dict[str, int] = {}
    counts = _counts(documents, column_of)
    lengths = np.asarray(counts.sum(axis=1)).ravel()
    in_collection = np.asarray(counts.sum(axis=0)).ravel()
    share = in_collection / max(1.0, in_collection.sum())
    present = counts.tocoo()
    lifts = np.log1p(present.data / (mu * share[present.col]))
    lift = sparse.csr_array((lifts, (present.row, present.col)), shape=counts.shape)
    asked = _counts([[word for word in query if word in column_of] for query in queries], column_of)
    n_words = np.asarray(asked.sum(axis=1)).ravel()
    scores = (asked @ lift.T).toarray() + n_words[:, None] * np.log(mu / (lengths + mu))[None]
    return np.asarray(scores + (asked @ np.log(share))[:, None])


def _counts(texts: list[list[str]], column_of: dict[str, int]) -> sparse.csr_array:
    """Return how often each word stands in each text, [texts, words]; words that are new get the next column."""
    rows, columns, numbers = [], [], []
    for row, text in enumerate(texts):
        for word, number in Counter(text).items():
            rows.append(row)
            columns.append(column_of.setdefault(word, len(column_of)))
            numbers.append(float(number))
    return sparse.csr_array((numbers, (rows, columns)), shape=(len(texts), len(column_of)), dtype=np.float64)
