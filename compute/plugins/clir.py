"""Plugin `clir`: queries of one language, documents of another."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import numpy as np

from compute.embeddings.downstream.classifiers import Classifier, RetrievalModel
from compute.embeddings.downstream.collections import Collection, Retrieval
from compute.embeddings.downstream.precision import average_precision
from compute.plugins.downstream import DownstreamPlugin, LanguagePair


class RetrieveDocuments(DownstreamPlugin):
    """Rows of `raw.downstream_items`: `score`, the average precision of each query; the relevant documents as gold,
    the best scored one as prediction (of equal ones the first; none if all are equal)."""

    name = "clir"
    version = "2"

    def rows(
        self, pair: LanguagePair, collection: Collection, classifier: Classifier, seed: int, device: str
    ) -> Iterator[dict[str, Any]]:
        search = cast(Retrieval, collection).search(pair.source_language, pair.target_language)
        queries, documents = pair.source_words(search.queries), pair.target_words(search.documents)
        model = cast(RetrievalModel, classifier)
        scores = model.scores(queries, documents, pair.source, pair.target, device)
        for place, relevant in enumerate(search.relevant):
            own = scores[place]
            yield {
                "item_id": search.query_ids[place],
                "gold": " ".join(search.document_ids[document] for document in relevant),
                "prediction": search.document_ids[int(np.argmax(own))] if own.min() < own.max() else None,
                "score": average_precision(own, relevant),
                "words": len(queries[place]),
                "known_words": sum(word in pair.source.row_of for word in queries[place]),
            }
