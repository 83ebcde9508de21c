"""What a study may say about monolingual word vectors and about dictionaries: where they come from, and how."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import (
    AfterValidator,
    Field,
    PlainValidator,
    SerializeAsAny,
    model_validator,
)

from compute.names import UnknownName
from compute.values import Section, refusal

Preprocessing = Literal["none", "unit", "centre", "unit-centre-unit", "iterative"]
"""What is done to vectors before they are mapped; `compute.embeddings.vectors.preprocess` says how."""

VectorFormat = Literal["auto", "text", "binary", "fasttext"]
"""word2vec or GloVe text, word2vec binary, a fastText model, or whichever of them the content is."""


NUMERAL_TEST_SIZE = 200
"""Test pairs of the numerals world where a study does not say how many."""


def _template(*names: str) -> AfterValidator:
    """Return a text that has each of `{names}` in it, and no other braces."""

    def check(text: str) -> str:
        rest = text
        for name in names:
            if f"{{{name}}}" not in text:
                raise ValueError(f"expected {' and '.join(f'{{{n}}}' for n in names)} in it, found {text!r}")
            rest = rest.replace(f"{{{name}}}", "")
        if "{" in rest or "}" in rest:
            raise ValueError(f"only {' and '.join(f'{{{n}}}' for n in names)} can be filled in, found {text!r}")
        return text

    return AfterValidator(check)


LanguageTemplate = Annotated[str, _template("language")]
"""A path or address with `{language}` where the language's code is to stand."""

PairTemplate = Annotated[str, _template("source", "target")]
"""A path with `{source}` and `{target}` where the codes of the two languages are to stand."""


class VectorSet(Section):
    """Vectors of several languages made in one way; `parse_vector_set` picks the class."""

    local_fields: ClassVar[frozenset[str]] = frozenset()
    """Settings that say where something lies on this machine: they decide nothing."""

    @property
    def lower_cases(self) -> bool:
        """True: all words are lower-cased, so dictionaries have to be as well."""
        return True

    def identity(self) -> dict[str, Any]:
        """Return the settings that decide what the vectors are, for job keys."""
        return self.model_dump(mode="json", exclude=set(self.local_fields))


class TrainedVectors(VectorSet):
    """Vectors trained in the run, one language at a time."""

    corpus: str = Field(description="the text to train on")
    algorithm: Literal["word2vec", "fasttext"] = Field(
        default="word2vec",
        description="whole words only (word2vec), or words and their character n-grams (fasttext)",
    )
    dimension: int = Field(default=100, ge=2, le=1_024, description="length of a vector")
    window: int = Field(default=5, ge=1, le=50, description="words of context on each side")
    epochs: int = Field(default=10, ge=1, le=200, description="passes over the text")
    min_count: int = Field(default=5, ge=1, description="rarer words get no vector")
    negative: int = Field(default=5, ge=1, le=50, description="noise words a true context word is told from")
    shortest_ngram: int = Field(default=3, ge=1, le=10, description="fasttext: characters of the shortest n-gram")
    longest_ngram: int = Field(default=6, ge=1, le=10, description="fasttext: characters of the longest n-gram")
    buckets: int = Field(default=200_000, ge=1, le=4_000_000, description="fasttext: hash buckets for the n-grams")
    workers: int = Field(default=1, ge=1, le=64, description="threads; only 1 gives the same vectors every time")
    seed: int = Field(default=0, ge=0, lt=2**32, description="decides the initial vectors, and a generated text")

    @model_validator(mode="after")
    def _ngrams_in_order(self) -> TrainedVectors:
        if self.shortest_ngram > self.longest_ngram:
            raise ValueError(f"shortest_ngram {self.shortest_ngram} is longer than longest_ngram {self.longest_ngram}")
        return self


class NumeralVectors(TrainedVectors):
    """Trained on generated text about numbers; no data are needed."""

    corpus: Literal["numerals"] = Field(default="numerals", description="the text to train on: the numerals world")
    highest_number: int = Field(default=999, ge=99, le=99_999, description="the text speaks of 0 up to this number")
    sentences: int = Field(default=4_500, ge=100, le=5_000_000, description="sentences of text in each language")
    algorithm: Literal["word2vec", "fasttext"] = Field(default="fasttext", description="see TrainedVectors")
    dimension: int = Field(default=64, ge=2, le=1_024, description="length of a vector")
    epochs: int = Field(default=5, ge=1, le=200, description="passes over the text")
    min_count: int = Field(default=1, ge=1, description="rarer words get no vector")
    shortest_ngram: int = Field(default=2, ge=1, le=10, description="fasttext: characters of the shortest n-gram")
    longest_ngram: int = Field(default=5, ge=1, le=10, description="fasttext: characters of the longest n-gram")
    buckets: int = Field(default=20_000, ge=1, le=4_000_000, description="fasttext: hash buckets for the n-grams")

    @property
    def lower_cases(self) -> bool:
        """False: the dictionaries of the numerals world are written as its text is."""
        return False


class BibleVectors(TrainedVectors):
    """Trained on the cataloged Bible of each language, verse by verse."""

    corpus: Literal["bible"] = Field(description="the text to train on: one Bible a language, from the catalog")


class TextVectors(TrainedVectors):
    """Trained on the user's own text, a sentence (or paragraph) a line."""

    local_fields = frozenset({"path"})

    corpus: Literal["files"] = Field(description="the text to train on: files of yours")
    path: LanguageTemplate = Field(description="UTF-8 text files, also .gz, with {language} for the language's code")


class ExistingVectors(VectorSet):
    """Vectors that exist, and how much of them is read."""

    vocabulary: int | None = Field(default=None, ge=2, description="so many words, the most frequent; left out: all")
    fold_case: bool = Field(default=False, description="lower-case the words, keep the first of equal ones")

    @property
    def lower_cases(self) -> bool:
        return self.fold_case


class ReadVectors(ExistingVectors):
    """Vectors that exist, in files on this machine."""

    local_fields = frozenset({"path"})

    path: LanguageTemplate = Field(description="the files, with {language} for the language's code")
    format: VectorFormat = Field(default="auto", description="auto: told by the content")


class DownloadedVectors(ExistingVectors):
    """Vectors that exist, read from an address as far as they are needed; the address stands for their content."""

    address: LanguageTemplate = Field(pattern=r"^https?://", description="with {language} for the language's code")
    format: Literal["auto", "text", "binary"] = Field(default="auto", description="auto: told by the content")


CORPORA: dict[str, type[TrainedVectors]] = {"numerals": NumeralVectors, "bible": BibleVectors, "files": TextVectors}
"""What `corpus` may say."""

AnySection = TypeVar("AnySection", bound=Section)


def parse_vector_set(value: Any) -> VectorSet:
    """Return the vector set that a study's mapping describes: read from `path` or `address`, or trained on a `corpus`
    (the numerals world if none of them is said).

    Raises:
        pydantic.ValidationError: it does not fit; each mistake has its place and, of a wrong name, the nearest.
    """
    if isinstance(value, VectorSet) or not isinstance(value, Mapping):
        return VectorSet.model_validate(value)
    if "corpus" in value:
        corpus = value["corpus"]
        if not isinstance(corpus, str) or corpus not in CORPORA:
            raise refusal(("corpus",), UnknownName("corpus", str(corpus), CORPORA))
        return _checked(CORPORA[corpus], value)
    if "address" in value:
        return _checked(DownloadedVectors, value)
    if "path" in value:
        return _checked(ReadVectors, value)
    # The kind that most of the keys belong to, so that one mistyped key is told as what it is.
    kinds: tuple[type[VectorSet], ...] = (NumeralVectors, ReadVectors, DownloadedVectors)
    return _checked(min(kinds, key=lambda kind: len(value.keys() - kind.model_fields.keys())), value)


AnyVectorSet = Annotated[SerializeAsAny[VectorSet], PlainValidator(parse_vector_set)]


Separator = Literal["tab", "space"]
"""What stands between the two words of a dictionary's line: a tab, or any number of spaces and tabs."""


class DictionaryFiles(Section):
    """The user's own dictionaries: a source word and a target word a line.

    A file of the other direction, (target)-(source), is read with its columns exchanged where there is none of this.
    """

    train: PairTemplate | None = Field(default=None, description="pairs to learn from, the best first")
    test: PairTemplate = Field(description="pairs to test on")
    separator: Separator = Field(default="tab", description="what stands between the words; space: as MUSE has it")


def parse_dictionaries(value: Any) -> DictionarySource:
    """Return where a study's dictionaries come from.

    Raises:
        pydantic.ValidationError: no such source, or files that are not described right.
    """
    if isinstance(value, DictionaryFiles):
        return value
    if isinstance(value, Mapping):
        return _checked(DictionaryFiles, value)
    if value not in PUBLISHED_DICTIONARIES:
        raise ValueError(str(UnknownName("dictionaries", str(value), PUBLISHED_DICTIONARIES)))
    return value  # type: ignore[no-any-return]


PUBLISHED_DICTIONARIES = ("numerals", "xling-eval")
"""Dictionaries by name: generated with the numerals world, or those of Glavaš et al. (2019)."""

DictionarySource = Annotated[
    SerializeAsAny[Literal["numerals", "xling-eval"] | DictionaryFiles],
    PlainValidator(lambda value: parse_dictionaries(value)),
]


def _checked(section: type[AnySection], value: Mapping[str, Any]) -> AnySection:
    """`value` as a `section`; a key it does not have is told with the nearest that it has."""
    for key in value:
        if key not in section.model_fields:
            raise refusal((str(key),), UnknownName("key", str(key), section.model_fields))
    return section.model_validate(value)
