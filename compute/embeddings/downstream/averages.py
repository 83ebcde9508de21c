"""Averaged word vectors and logistic regression: the simplest classifier of documents (Klementiev et al. 2012 classify
averages of word vectors; the regression is scikit-learn's)."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from compute.embeddings.downstream.classifiers import DocumentClassifier, Labels, Probabilities
from compute.embeddings.downstream.texts import Texts
from compute.embeddings.vectors import unit_rows


class AverageVectors(DocumentClassifier):
    """A text is the mean of its words' vectors, brought to length 1; a text without known words is zero."""

    draws = False

    inverse_penalty: float = Field(default=1.0, gt=0, description="C of the regression: smaller is smoother")
    iterations: int = Field(default=1_000, ge=1, description="of the solver, at most")

    def predict(self, train: Texts, labels: Labels, test: Texts, device: str = "cpu", seed: int = 0) -> Probabilities:
        """See `DocumentClassifier.predict`; always on the CPU, and nothing is drawn."""
        from sklearn.linear_model import LogisticRegression

        model = LogisticRegression(C=self.inverse_penalty, max_iter=self.iterations)
        model.fit(unit_rows(train.means()), labels)
        return np.asarray(model.predict_proba(unit_rows(test.means())), dtype=np.float64)
