"""What may be set of MUSE's adversarial training (`compute.embeddings.mappings.muse`)."""

from __future__ import annotations

from pydantic import BaseModel, Field


class AdversarialTraining(BaseModel):
    """The game of W and the discriminator."""

    epochs: int = Field(default=5, ge=1, description="epochs of adversarial training")
    epoch_samples: int = Field(default=1_000_000, ge=1, description="words of each side that W sees in an epoch")
    batch: int = Field(default=32, ge=1, description="words of each side in a step")
    discriminator_words: int = Field(default=75_000, ge=1, description="most frequent words shown to the discriminator")
    discriminator_width: int = Field(default=2_048, ge=1, description="units in each of its two hidden layers")
    discriminator_steps: int = Field(default=5, ge=1, description="steps of the discriminator for each step of W")
    input_dropout: float = Field(default=0.1, ge=0, lt=1, description="share of its inputs dropped in its own steps")
    smoothing: float = Field(default=0.1, ge=0, lt=0.5, description="s: labels are s and 1 - s")
    beta: float = Field(default=0.001, ge=0, le=0.5, description="β of the step towards an orthogonal W")
    learning_rate: float = Field(default=0.1, gt=0, description="of the discriminator, and of W at first")
    decay: float = Field(default=0.98, gt=0, le=1, description="factor on the rate of W after each epoch")
    shrink: float = Field(default=0.5, gt=0, le=1, description="further factor after an epoch below the best criterion")
