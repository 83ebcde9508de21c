"""ESIM, the enhanced sequential inference model (Chen et al. 2017, without the tree), over frozen mapped vectors, as
Glavaš et al. (2019) put it to XNLI."""

from __future__ import annotations

from pydantic import Field

from compute.embeddings.downstream.classifiers import InferenceModel, Labels, Probabilities
from compute.embeddings.downstream.texts import Texts


class EnhancedSequentialInference(InferenceModel):
    """Trained on the source language with Adam; the word vectors are not changed."""

    hidden: int = Field(default=300, ge=1, le=2_048, description="units of each direction of an LSTM")
    dropout: float = Field(default=0.5, ge=0, lt=1, description="before each layer, in training")
    epochs: int = Field(default=5, ge=1, le=1_000, description="passes over the training pairs")
    batch_size: int = Field(default=32, ge=1, description="pairs of a step")
    learning_rate: float = Field(default=0.0004, gt=0, description="of Adam")
    longest: int = Field(default=100, ge=1, description="words of a sentence that are read, from its beginning")

    def predict(
        self,
        train: tuple[Texts, Texts],
        labels: Labels,
        test: tuple[Texts, Texts],
        device: str = "cpu",
        seed: int = 0,
    ) -> Probabilities:
        """See `InferenceModel.predict`."""
        from compute.embeddings.downstream.learning import Schedule, TextBatches, answer, fit, seeded
        from compute.embeddings.downstream.networks import Esim

        with seeded(seed, device):
            network = Esim(train[0].matrix.shape[1], int(labels.max()) + 1, self.hidden, self.dropout).to(device)
            learnt, asked = (
                [TextBatches(sentences, self.longest, device) for sentences in pairs] for pairs in (train, test)
            )
            schedule = Schedule(self.epochs, self.batch_size, self.learning_rate, seed)
            fit(network, lambda batch: network(*[side.of(batch) for side in learnt]), labels, schedule)
            n = len(test[0])
            return answer(network, lambda batch: network(*[side.of(batch) for side in asked]), n, self.batch_size)
