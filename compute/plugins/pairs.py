"""What the plugins of the embedding half share: the vectors and dictionaries of a language pair."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, SerializeAsAny

from compute.catalog import digest as catalog_digest
from compute.catalog import fetch
from compute.embeddings.dictionary import GoldPair, seed_rows
from compute.embeddings.dictionary_files import Part, read_dictionary, xling_file
from compute.embeddings.mappings import Seeds
from compute.embeddings.numeral_corpus import seed_dictionary, test_dictionary
from compute.embeddings.settings import NUMERAL_TEST_SIZE, DictionaryFiles, NumeralVectors, Separator, VectorSet
from compute.embeddings.vectors import Vectors
from compute.errors import JobError
from compute.plugin import JobConfig, Planned, digest
from compute.plugins.products import LanguageVectors, vectors_label
from compute.project import expand
from compute.study.embeddings import Embeddings


class Dictionary(BaseModel, ABC):
    """Where the pairs of words of a language pair come from.

    A larger training dictionary begins with a smaller one. It stands in the configurations of jobs, together with the
    digests of the parts used; paths are no part of their keys.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: str
    source: str
    target: str

    seeded: ClassVar[bool] = False
    """True: the study's seed decides which pairs it has."""

    @abstractmethod
    def pairs(self, part: Part, size: int | None) -> list[GoldPair]:
        """Return the first `size` pairs of a part, all of them if None.

        Raises:
            ValueError, OSError: the file behind it is missing, malformed, or has not that many.
            compute.errors.UserError: a cataloged file cannot be had.
        """

    @abstractmethod
    def digest(self, part: Part, size: int | None) -> str:
        """Return the SHA-256 that stands for `pairs(part, size)`; of a cataloged file without reading it. Raises as
        `pairs`."""


class NumeralDictionary(Dictionary):
    """Number words, generated."""

    kind: Literal["numerals"] = "numerals"
    highest: int
    seed: int

    seeded = True

    def pairs(self, part: Part, size: int | None) -> list[GoldPair]:
        make = seed_dictionary if part == "train" else test_dictionary
        return make(self.source, self.target, size or NUMERAL_TEST_SIZE, self.highest, self.seed)

    def digest(self, part: Part, size: int | None) -> str:
        return _digest_of_numerals(self.source, self.target, self.highest, self.seed, part, size)


@cache
def _digest_of_numerals(source: str, target: str, highest: int, seed: int, part: Part, size: int | None) -> str:
    """Return `NumeralDictionary.digest`: all methods and variants of a study ask for the same few."""
    pairs = NumeralDictionary(source=source, target=target, highest=highest, seed=seed).pairs(part, size)
    return digest(pairs)


class XlingDictionary(Dictionary):
    """The published dictionaries of Glavaš et al. (2019); each language pair has both directions."""

    kind: Literal["xling-eval"] = "xling-eval"
    fold_case: bool

    def pairs(self, part: Part, size: int | None) -> list[GoldPair]:
        file, exchange = xling_file(self.source, self.target, part, size)
        languages = (self.target, self.source) if exchange else (self.source, self.target)
        return read_dictionary(fetch(file), languages, self.fold_case, exchange, concepts=f"xling-eval/{part}")[:size]

    def digest(self, part: Part, size: int | None) -> str:
        file, exchange = xling_file(self.source, self.target, part, size)
        return catalog_digest([file], f"exchange {exchange}", f"fold_case {self.fold_case}", f"size {size}")


class FileDictionary(Dictionary):
    """Dictionaries in the user's own files."""

    kind: Literal["files"] = "files"
    fold_case: bool
    train_path: str | None = Field(exclude=True)
    test_path: str = Field(exclude=True)
    separator: Separator = Field("tab", exclude=True)

    def pairs(self, part: Part, size: int | None) -> list[GoldPair]:
        path, languages = self._file(part)
        exchange = languages != (self.source, self.target)
        concepts = f"{languages[0]}-{languages[1]}/{part}"
        changed = path.stat().st_mtime_ns
        pairs = _read(path, changed, languages, self.fold_case, exchange, concepts, self.separator)
        if size is not None and size > len(pairs):
            raise ValueError(f"{path}: {size} pairs are asked for, it has {len(pairs)}")
        return pairs[:size]

    def digest(self, part: Part, size: int | None) -> str:
        return digest(self.pairs(part, size))

    def _file(self, part: Part) -> tuple[Path, tuple[str, str]]:
        """Return the file, of this direction or of the other where there is none of this, and the languages of its
        columns."""
        template = self.train_path if part == "train" else self.test_path
        if template is None:
            raise ValueError("embeddings.dictionaries: no `train` is given, and a method learns from training pairs")
        both = (self.source, self.target), (self.target, self.source)
        paths = [Path(template.replace("{source}", one).replace("{target}", other)) for one, other in both]
        for path, languages in zip(paths, both, strict=True):
            if path.is_file():
                return path, languages
        raise ValueError(f"no dictionary {paths[0]}, and none of the other direction, {paths[1]}")


@lru_cache(maxsize=4)
def _read(path: Path, changed: int, *how: Any) -> list[GoldPair]:
    """Return all pairs of a file; `changed` is its time of change, so that another version is read anew."""
    return read_dictionary(path, *how)


def planned_words(dictionary: Dictionary, part: Part, size: int | None, expected: str | None) -> list[GoldPair]:
    """Return `dictionary.pairs`, if they are still those with the digest `expected` when the study was planned.

    Raises:
        JobError: they are not, or cannot be read.
    """
    try:
        if dictionary.digest(part, size) == expected:
            return dictionary.pairs(part, size)
    except (ValueError, OSError) as error:
        raise JobError(str(error)) from error
    raise JobError(f"the {part} dictionary {dictionary.source}-{dictionary.target} has changed since it was planned")


class TrainingPairs(JobConfig):
    """The pairs of words that a job learns from, or measures by; none where it has no dictionary."""

    dictionary: SerializeAsAny[Dictionary] | None
    dictionary_size: int
    train_sha256: str | None


def planned_seeds(config: TrainingPairs, source: Vectors, target: Vectors) -> Seeds:
    """Return the rows of a job's training pairs whose words both have vectors. Raises JobError as `planned_words`."""
    if config.dictionary is None:
        return np.empty((0, 2), dtype=np.int64)
    words = planned_words(config.dictionary, "train", config.dictionary_size, config.train_sha256)
    return seed_rows(source, target, words)


@dataclass(frozen=True)
class Pair:
    """One vector set's source and target language, with the jobs that make their vectors."""

    vectors: str
    """`name@digest`"""
    source: str
    target: str
    made_by: dict[str, str]
    """The inputs of jobs that read them: `source` and `target`."""
    settings: VectorSet
    embeddings: Embeddings

    @property
    def label(self) -> str:
        return f"{self.vectors.split('@')[0]} {self.source}-{self.target}"

    def dictionary(self, seed: int) -> Dictionary:
        """Return the dictionaries for a seed of the study."""
        origin, pair = self.embeddings.dictionaries, {"source": self.source, "target": self.target}
        if isinstance(origin, DictionaryFiles):
            train = None if origin.train is None else _absolute(origin.train)
            return FileDictionary(
                **pair,
                fold_case=self.settings.lower_cases,
                train_path=train,
                test_path=_absolute(origin.test),
                separator=origin.separator,
            )
        if origin == "xling-eval":
            return XlingDictionary(**pair, fold_case=self.settings.lower_cases)
        assert isinstance(self.settings, NumeralVectors)  # checked with the study
        return NumeralDictionary(**pair, highest=self.settings.highest_number, seed=seed)


def _absolute(template: str) -> str:
    return str(expand(template).absolute())


def planned_pairs(embeddings: Embeddings, planned: Planned) -> Iterator[Pair]:
    """Every vector set × language pair the study asks for."""
    for name, settings in embeddings.vectors.items():
        for source, target in embeddings.language_pairs:
            languages = {"source": source, "target": target}
            made_by = {side: planned.find(LanguageVectors, f"{name}/{one}").key for side, one in languages.items()}
            yield Pair(vectors_label(name, settings), source, target, made_by, settings, embeddings)
