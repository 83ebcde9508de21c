"""What a study may say about monolingual word vectors."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Preprocessing = Literal["none", "unit", "centre", "unit-centre-unit"]
"""What is done to vectors before they are mapped; `compute.embeddings.vectors.preprocess` says how."""


class TrainedVectors(BaseModel):
    """Vectors trained in the run, one language at a time, on generated text."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    corpus: Literal["numerals"] = Field(default="numerals", description="the text to train on: the numerals world")
    highest_number: int = Field(default=999, ge=99, le=99_999, description="the text speaks of 0 up to this number")
    sentences: int = Field(default=4_500, ge=100, le=5_000_000, description="sentences of text in each language")
    algorithm: Literal["word2vec", "fasttext"] = Field(
        default="fasttext",
        description="whole words only (word2vec), or words and their character n-grams (fasttext)",
    )
    dimension: int = Field(default=64, ge=2, le=1_024, description="length of a vector")
    window: int = Field(default=5, ge=1, le=50, description="words of context on each side")
    epochs: int = Field(default=5, ge=1, le=200, description="passes over the text")
    min_count: int = Field(default=1, ge=1, description="rarer words get no vector")
    negative: int = Field(default=5, ge=1, le=50, description="noise words a true context word is told from")
    shortest_ngram: int = Field(default=2, ge=1, le=10, description="fasttext: characters of the shortest n-gram")
    longest_ngram: int = Field(default=5, ge=1, le=10, description="fasttext: characters of the longest n-gram")
    buckets: int = Field(default=20_000, ge=1, le=4_000_000, description="fasttext: hash buckets for the n-grams")
    seed: int = Field(default=0, ge=0, description="decides the text and the initial vectors")

    @model_validator(mode="after")
    def _ngrams_in_order(self) -> TrainedVectors:
        if self.shortest_ngram > self.longest_ngram:
            raise ValueError(f"shortest_ngram {self.shortest_ngram} is longer than longest_ngram {self.longest_ngram}")
        return self
