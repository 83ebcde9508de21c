"""What a collection is, by task: the items, and the files they come from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, NamedTuple


@dataclass(frozen=True)
class Collection(ABC):
    """Items of one task.

    Attributes:
        folder: where the user has it; None of a collection that is cataloged.
    """

    folder: Path | None = None

    reads_folder: ClassVar[bool] = False
    """True: it is read from a folder that a study names."""

    @abstractmethod
    def covers(self, source: str, target: str) -> bool:
        """Return whether it has what the task needs of a source and of a target language; reads no text."""

    @abstractmethod
    def digest(self, source: str, target: str) -> str:
        """SHA-256 that stands for the items of a language pair; of cataloged files without reading them.

        Raises:
            compute.errors.UserError: a file of the user's folder cannot be read.
        """

    @property
    def root(self) -> Path:
        """The folder of a collection that `reads_folder`."""
        assert self.folder is not None  # checked with the study
        return self.folder


class Labelled(NamedTuple):
    """A document and its class; None: of none (the negative side of a yes-or-no problem)."""

    item_id: str
    text: str
    label: str | None


class Problem(NamedTuple):
    """One classification: learnt from `train`, of the source language, asked of `test`, of the target language."""

    train: list[Labelled]
    test: list[Labelled]


class Classification(Collection):
    """A collection of `cldc`."""

    @abstractmethod
    def problems(self, source: str, target: str) -> list[Problem]:
        """Return the problems of a language pair, whose test items have different ids.

        Raises:
            compute.errors.UserError: a file cannot be had or read, or is not as described; the line names it.
        """


@dataclass(frozen=True)
class Search:
    """Queries of the source language and documents of the target language.

    Attributes:
        query_ids: of the queries, which differ.
        queries: their texts, in the same order.
        document_ids: of the documents, which differ.
        documents: their texts, in the same order.
        relevant: of each query, the positions of its relevant documents: one or more.
    """

    query_ids: list[str]
    queries: list[str]
    document_ids: list[str]
    documents: list[str]
    relevant: list[list[int]]


class Retrieval(Collection):
    """A collection of `clir`."""

    @abstractmethod
    def search(self, source: str, target: str) -> Search:
        """Return the queries and documents of a language pair. Raises compute.errors.UserError as `problems` does."""


class SentencePair(NamedTuple):
    """Two sentences and what the first says about the second."""

    item_id: str
    premise: str
    hypothesis: str
    label: str


class Inference(Collection):
    """A collection of `xnli`."""

    @abstractmethod
    def train(self, source: str) -> list[SentencePair]:
        """Return what is learnt from. Raises compute.errors.UserError as `problems` does."""

    @abstractmethod
    def test(self, target: str) -> list[SentencePair]:
        """Return what is asked. Raises compute.errors.UserError as `problems` does."""
