"""The convolutional classifier of Glavaš et al. (2019) after Kim (2014): windows of 2 to 5 words over frozen vectors,
the strongest place of each filter, a softmax."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from compute.embeddings.downstream.classifiers import DocumentClassifier, Labels, Probabilities
from compute.embeddings.downstream.texts import Texts


class ConvolutionalNetwork(DocumentClassifier):
    """Trained on the source language with Adam; the word vectors are not changed, or they would leave the space that
    the target language's vectors are in."""

    widths: tuple[Annotated[int, Field(ge=1, le=20)], ...] = Field(
        default=(2, 3, 4, 5), min_length=1, description="words that a filter looks at"
    )
    filters: int = Field(default=8, ge=1, le=1_024, description="filters of each width")
    dropout: float = Field(default=0.2, ge=0, lt=1, description="share of filter outputs dropped in training")
    epochs: int = Field(default=20, ge=1, le=1_000, description="passes over the training texts")
    batch_size: int = Field(default=32, ge=1, description="texts of a step")
    learning_rate: float = Field(default=0.005, gt=0, description="of Adam")
    longest: int = Field(default=2_000, ge=1, description="words of a text that are read, from its beginning")

    def predict(self, train: Texts, labels: Labels, test: Texts, device: str = "cpu", seed: int = 0) -> Probabilities:
        """See `DocumentClassifier.predict`."""
        from compute.embeddings.downstream.learning import Schedule, TextBatches, answer, fit, seeded
        from compute.embeddings.downstream.networks import Convolutional

        with seeded(seed, device):
            classes, dimension = int(labels.max()) + 1, train.matrix.shape[1]
            network = Convolutional(dimension, classes, self.widths, self.filters, self.dropout).to(device)
            learnt, asked = (TextBatches(texts, self.longest, device) for texts in (train, test))
            schedule = Schedule(self.epochs, self.batch_size, self.learning_rate, seed)
            fit(network, lambda batch: network(*learnt.of(batch)), labels, schedule)
            return answer(network, lambda batch: network(*asked.of(batch)), len(test), self.batch_size)
