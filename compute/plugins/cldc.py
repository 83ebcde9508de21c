"""Plugin `cldc`: documents classified in a language that the classifier was not trained in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import numpy as np

from compute.embeddings.downstream.classifiers import Classifier, DocumentClassifier
from compute.embeddings.downstream.collections import Classification, Collection, Problem
from compute.embeddings.downstream.texts import embed
from compute.plugins.downstream import DownstreamPlugin, LanguagePair


class ClassifyDocuments(DownstreamPlugin):
    """Rows of `raw.downstream_items`: gold and predicted class of each test document, and `score`, the probability
    given to the right one."""

    name = "cldc"
    version = "2"

    def rows(
        self, pair: LanguagePair, collection: Collection, classifier: Classifier, seed: int, device: str
    ) -> Iterator[dict[str, Any]]:
        problems = cast(Classification, collection).problems(pair.source_language, pair.target_language)
        for problem in problems:
            yield from _answers(problem, pair, cast(DocumentClassifier, classifier), seed, device)


def _answers(
    problem: Problem, pair: LanguagePair, classifier: DocumentClassifier, seed: int, device: str
) -> Iterator[dict[str, Any]]:
    classes = sorted({document.label for document in problem.train}, key=lambda label: label or "")
    if len(classes) < 2:
        raise ValueError(f"the training documents are all of one class, {classes[0]!r}")
    train = embed(pair.source_words(document.text for document in problem.train), pair.source)
    labels = np.array([classes.index(document.label) for document in problem.train], dtype=np.int64)
    words = pair.target_words(document.text for document in problem.test)
    test = embed(words, pair.target)
    probabilities = classifier.predict(train, labels, test, device, seed)
    for place, document in enumerate(problem.test):
        own = probabilities[place]
        yield {
            "item_id": document.item_id,
            "gold": document.label,
            "prediction": classes[int(own.argmax())],
            "score": float(own[classes.index(document.label)]) if document.label in classes else 0.0,
            "words": len(words[place]),
            "known_words": len(test.rows[place]),
        }
