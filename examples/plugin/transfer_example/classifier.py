"""A classifier of documents: the class whose mean vector is nearest."""

from __future__ import annotations

import numpy as np

from compute.embeddings.downstream.classifiers import DocumentClassifier, Labels, Probabilities
from compute.embeddings.downstream.texts import Texts


class NearestCentroid(DocumentClassifier):
    """Its fields are the settings. It draws nothing, so it is run for one seed."""

    draws = False

    sharpness: float = 1.0

    def predict(self, train: Texts, labels: Labels, test: Texts, device: str = "cpu", seed: int = 0) -> Probabilities:
        known, asked = train.means(), test.means()
        centroids = np.stack([known[labels == label].mean(axis=0) for label in range(labels.max() + 1)])
        distances = ((asked[:, None] - centroids) ** 2).sum(axis=2)
        scores = np.exp(-self.sharpness * (distances - distances.min(axis=1, keepdims=True)))
        return np.asarray(scores / scores.sum(axis=1, keepdims=True))
