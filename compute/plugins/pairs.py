"""What the plugins of the embedding half share: the vectors and dictionaries of a language pair."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from compute.catalog import digest as catalogue_digest
from compute.catalog import fetch
from compute.embeddings.dictionary import GoldPair
from compute.embeddings.dictionary_files import Part, read_dictionary, xling_file
from compute.embeddings.numeral_corpus import seed_dictionary, test_dictionary
from compute.embeddings.settings import NUMERAL_TEST_SIZE, DictionaryFiles, NumeralVectors, Separator, VectorSet
from compute.errors import JobError
from compute.plugin import Job, Planned, digest
from compute.plugins.products import vectors_label, vectors_product
from compute.project import expand
from compute.study_embeddings import Embeddings


@dataclass(frozen=True)
class Dictionary(ABC):
    """Where the pairs of words of a language pair come from.

    A larger training dictionary begins with a smaller one. `config` goes into job keys, together with the digests of
    the parts used; `hints` say where files lie on this machine.
    """

    source: str
    target: str

    kind: ClassVar[str]
    seeded: ClassVar[bool] = False
    """True: the study's seed decides which pairs it has."""

    @property
    def config(self) -> dict[str, Any]:
        """All that decides the pairs but for what is in files."""
        return {"kind": self.kind, **asdict(self)}

    @property
    def hints(self) -> dict[str, Any]:
        """What `open_dictionary` needs besides."""
        return {}

    @abstractmethod
    def pairs(self, part: Part, size: int | None) -> list[GoldPair]:
        """The first `size` pairs of a part, all of them if None.

        Raises:
            ValueError, OSError: the file behind it is missing, malformed, or has not that many.
            compute.errors.UserError: a catalogued file cannot be had.
        """

    @abstractmethod
    def digest(self, part: Part, size: int | None) -> str:
        """SHA-256 that stands for `pairs(part, size)`; of a catalogued file without reading it. Raises as `pairs`."""


@dataclass(frozen=True)
class NumeralDictionary(Dictionary):
    """Number words, generated."""

    highest: int
    seed: int

    kind = "numerals"
    seeded = True

    def pairs(self, part: Part, size: int | None) -> list[GoldPair]:
        make = seed_dictionary if part == "train" else test_dictionary
        return make(self.source, self.target, size or NUMERAL_TEST_SIZE, self.highest, self.seed)

    def digest(self, part: Part, size: int | None) -> str:
        return digest([list(pair) for pair in self.pairs(part, size)])


@dataclass(frozen=True)
class XlingDictionary(Dictionary):
    """The published dictionaries of Glavaš et al. (2019); each language pair has both directions."""

    fold_case: bool

    kind = "xling-eval"

    def pairs(self, part: Part, size: int | None) -> list[GoldPair]:
        file, exchange = xling_file(self.source, self.target, part, size)
        languages = (self.target, self.source) if exchange else (self.source, self.target)
        return read_dictionary(fetch(file), languages, self.fold_case, exchange, concepts=f"xling-eval/{part}")[:size]

    def digest(self, part: Part, size: int | None) -> str:
        file, exchange = xling_file(self.source, self.target, part, size)
        return catalogue_digest([file], f"exchange {exchange}", f"fold_case {self.fold_case}", f"size {size}")


@dataclass(frozen=True)
class FileDictionary(Dictionary):
    """Dictionaries in the user's own files; the parts of it that are used are read once."""

    fold_case: bool
    train_path: str | None
    test_path: str
    separator: Separator = "tab"

    kind = "files"

    @property
    def config(self) -> dict[str, Any]:
        paths = set(self.hints)
        return {name: value for name, value in super().config.items() if name not in paths}

    @property
    def hints(self) -> dict[str, Any]:
        return {"train_path": self.train_path, "test_path": self.test_path, "separator": self.separator}

    def pairs(self, part: Part, size: int | None) -> list[GoldPair]:
        pairs = self._train if part == "train" else self._test
        if size is not None and size > len(pairs):
            raise ValueError(f"{self._file(part)[0]}: {size} pairs are asked for, it has {len(pairs)}")
        return pairs[:size]

    def digest(self, part: Part, size: int | None) -> str:
        return digest([list(pair) for pair in self.pairs(part, size)])

    @cached_property
    def _train(self) -> list[GoldPair]:
        return self._read("train")

    @cached_property
    def _test(self) -> list[GoldPair]:
        return self._read("test")

    def _read(self, part: Part) -> list[GoldPair]:
        path, languages = self._file(part)
        exchange = languages != (self.source, self.target)
        concepts = f"{languages[0]}-{languages[1]}/{part}"
        return read_dictionary(path, languages, self.fold_case, exchange, concepts, self.separator)

    def _file(self, part: Part) -> tuple[Path, tuple[str, str]]:
        """The file, of this direction or of the other where there is none of this, and the languages of its columns."""
        template = self.train_path if part == "train" else self.test_path
        if template is None:
            raise ValueError("embeddings.dictionaries: no `train` is given, and a method learns from training pairs")
        both = (self.source, self.target), (self.target, self.source)
        paths = [Path(template.replace("{source}", one).replace("{target}", other)) for one, other in both]
        for path, languages in zip(paths, both, strict=True):
            if path.is_file():
                return path, languages
        raise ValueError(f"no dictionary {paths[0]}, and none of the other direction, {paths[1]}")


_KINDS: dict[str, type[Dictionary]] = {kind.kind: kind for kind in (NumeralDictionary, XlingDictionary, FileDictionary)}


def open_dictionary(config: Mapping[str, Any], hints: Mapping[str, Any]) -> Dictionary:
    """The dictionary that a job was planned with, from its `config` and `hints`."""
    kind = _KINDS[config["kind"]]
    known = {**config, **hints}
    return kind(**{field.name: known[field.name] for field in fields(kind)})


def planned_words(dictionary: Dictionary, part: Part, size: int | None, expected: str) -> list[GoldPair]:
    """`dictionary.pairs`, if they are still those with the digest `expected` when the study was planned.

    Raises:
        JobError: they are not, or cannot be read.
    """
    try:
        if dictionary.digest(part, size) == expected:
            return dictionary.pairs(part, size)
    except (ValueError, OSError) as error:
        raise JobError(str(error)) from error
    raise JobError(f"the {part} dictionary {dictionary.source}-{dictionary.target} has changed since it was planned")


@dataclass(frozen=True)
class Pair:
    """One vector set's source and target language, with the jobs that make their vectors."""

    vectors: str
    """`name@digest`"""
    source: str
    target: str
    jobs: tuple[Job, Job]
    settings: VectorSet
    embeddings: Embeddings

    @property
    def label(self) -> str:
        return f"{self.vectors.split('@')[0]} {self.source}-{self.target}"

    def dictionary(self, seed: int) -> Dictionary:
        """The dictionaries for a seed of the study."""
        origin, pair = self.embeddings.dictionaries, (self.source, self.target)
        if isinstance(origin, DictionaryFiles):
            train = None if origin.train is None else _absolute(origin.train)
            return FileDictionary(*pair, self.settings.lower_cases, train, _absolute(origin.test), origin.separator)
        if origin == "xling-eval":
            return XlingDictionary(*pair, self.settings.lower_cases)
        assert isinstance(self.settings, NumeralVectors)  # checked with the study
        return NumeralDictionary(*pair, self.settings.highest_number, seed)


def _absolute(template: str) -> str:
    return str(expand(template).absolute())


def planned_pairs(embeddings: Embeddings, planned: Planned) -> Iterator[Pair]:
    """Every vector set × language pair the study asks for."""
    for name, settings in embeddings.vectors.items():
        for source, target in embeddings.language_pairs:
            one, other = (planned.find("vectors", vectors_product(name, language)) for language in (source, target))
            yield Pair(vectors_label(name, settings), source, target, (one, other), settings, embeddings)
