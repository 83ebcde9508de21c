"""What the plugins of the embedding half share: the vectors and dictionaries of a language pair."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from compute.embeddings.dictionary import GoldPair
from compute.embeddings.numeral_corpus import seed_dictionary, test_dictionary
from compute.plugin import Job, Planned, digest
from compute.plugins.products import vectors_label, vectors_product
from compute.study import Embeddings


@dataclass(frozen=True)
class Pair:
    """One vector set's source and target language, with the jobs that make their vectors."""

    vectors: str
    """`name@digest`"""
    source: str
    target: str
    jobs: tuple[Job, Job]
    highest_number: int

    @property
    def label(self) -> str:
        return f"{self.vectors.split('@')[0]} {self.source}-{self.target}"


def planned_pairs(embeddings: Embeddings, planned: Planned) -> Iterator[Pair]:
    """Every vector set × language pair the study asks for."""
    for name, settings in embeddings.vectors.items():
        for source, target in embeddings.language_pairs:
            jobs = tuple(planned.find("vectors", vectors_product(name, language)) for language in (source, target))
            yield Pair(vectors_label(name, settings), source, target, (jobs[0], jobs[1]), settings.highest_number)


@dataclass(frozen=True)
class DictionarySettings:
    """Which rows a dictionary has; part of a job's configuration as `dictionary`."""

    source: str
    target: str
    size: int
    highest: int
    seed: int

    def train(self) -> list[GoldPair]:
        """Rows to learn from."""
        return seed_dictionary(self.source, self.target, self.size, self.highest, self.seed)

    def test(self) -> list[GoldPair]:
        """Rows to test on."""
        return test_dictionary(self.source, self.target, self.size, self.highest, self.seed)


@cache
def train_digest(dictionary: DictionarySettings) -> str:
    """SHA-256 of the rows to learn from, for job keys."""
    return digest([list(row) for row in dictionary.train()])


@cache
def test_digest(dictionary: DictionarySettings) -> str:
    """SHA-256 of the rows to test on, for job keys."""
    return digest([list(row) for row in dictionary.test()])
