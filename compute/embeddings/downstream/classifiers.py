"""What a classifier is, by task: its settings, and how it answers."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from compute.embeddings.downstream.texts import Texts
from compute.embeddings.vectors import Vectors
from compute.values import Section

Labels = NDArray[np.int64]
"""[n]: classes, from 0."""

Probabilities = NDArray[np.float64]
"""[n, classes]"""


class Classifier(Section):
    """A classifier with its settings: the fields are what a study may set."""

    version: ClassVar[str] = "1"
    """Raise it when the same settings would give other numbers: the keys of its jobs depend on it."""

    draws: ClassVar[bool] = True
    """False: nothing is drawn, and it is run for one seed only."""


class DocumentClassifier(Classifier):
    """A classifier of `cldc`."""

    @abstractmethod
    def predict(self, train: Texts, labels: Labels, test: Texts, device: str = "cpu", seed: int = 0) -> Probabilities:
        """Return probabilities of the classes for each text of `test`, after learning from `train`.

        Args:
            train: texts of the source language.
            labels: [n], their classes, two or more.
            test: texts of the target language, in the same space.
            device: where ("cpu", "cuda").
            seed: of whatever is drawn; the same seed gives the same on one machine.

        Returns:
            [texts of `test`, classes]; rows sum to 1.

        Raises:
            ValueError: the training texts cannot be learnt from.
        """


class RetrievalModel(Classifier):
    """A retrieval model of `clir`."""

    draws = False

    @abstractmethod
    def scores(
        self,
        queries: list[list[str]],
        documents: list[list[str]],
        source: Vectors,
        target: Vectors,
        device: str = "cpu",
    ) -> NDArray[Any]:
        """Return how well each document answers each query, [queries, documents]; higher is better.

        Args:
            queries: their words, of the source language, known or not.
            documents: their words, of the target language, known or not.
            source: the source vocabulary, mapped.
            target: the target vocabulary, in the same space.
            device: where ("cpu", "cuda").
        """


class InferenceModel(Classifier):
    """A classifier of `xnli`."""

    @abstractmethod
    def predict(
        self,
        train: tuple[Texts, Texts],
        labels: Labels,
        test: tuple[Texts, Texts],
        device: str = "cpu",
        seed: int = 0,
    ) -> Probabilities:
        """As `DocumentClassifier.predict`, of premises and hypotheses."""
