"""The embedding half of a study: which vectors are mapped onto each other how, and what is asked of them."""

from __future__ import annotations

from itertools import combinations, permutations
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from compute.embeddings.corpora import BIBLES
from compute.embeddings.dictionary_files import XLING_LANGUAGES, XLING_TEST_ROWS, XLING_TRAINING
from compute.embeddings.downstream.settings import Downstream
from compute.embeddings.isometry import MEASURES
from compute.embeddings.mappings import METHODS, MappingMethod, load_method
from compute.embeddings.numeral_corpus import dictionary_limit
from compute.embeddings.settings import (
    NUMERAL_TEST_SIZE,
    AnyVectorSet,
    BibleVectors,
    DictionarySource,
    NumeralVectors,
    Preprocessing,
)
from compute.names import UnknownName
from compute.numeral_words import NUMERAL_LANGUAGES
from compute.values import Language, Languages, Name, NoRepeats, RandomSeeds, Section, check_settings, no_repeats

MethodName = Annotated[str, AfterValidator(METHODS.check)]
MeasureName = Annotated[str, AfterValidator(MEASURES.check)]


def _collections_differ(entries: tuple[Downstream, ...]) -> tuple[Downstream, ...]:
    no_repeats(tuple(f"{entry.task} on {entry.collection}" for entry in entries))
    return entries


Pairs = Annotated[tuple[tuple[Language, Language], ...], Field(min_length=1), NoRepeats]
"""(source, target), ordered."""


class MethodEntry(Section):
    """A mapping method with its settings; a bare name means the method's defaults, on every pair."""

    name: MethodName
    """As `transfer ls methods` lists it."""
    variant: Name = Field("default", description="label of these settings, where the method is listed more than once")
    settings: dict[str, Any] = Field(default_factory=dict)
    """What of the method is set otherwise than by default; its file says what may be."""
    pairs: Pairs | None = Field(None, description="pairs it is run on; left out: all of the study's")
    preprocessing: Preprocessing | None = Field(
        None, description="of this method alone, under no variant of the study; left out: the study's and its variants'"
    )

    @model_validator(mode="before")
    @classmethod
    def _bare_name(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    @field_validator("settings")
    @classmethod
    def _settings_fit(cls, settings: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        if "name" in info.data:
            check_settings(load_method(info.data["name"]), settings)
        return settings

    def build(self) -> MappingMethod:
        """Return the method with these settings."""
        return load_method(self.name)(**self.settings)


class EmbeddingVariant(Section):
    """What a variant of the embedding half changes."""

    preprocessing: Preprocessing
    """What is done to vectors before they are mapped."""


class Embeddings(Section):
    """The embedding half: vectors per language, a map per language pair, ranks per test pair."""

    vectors: Annotated[dict[Name, AnyVectorSet], Field(min_length=1)]
    """Vector sets by name: trained in the run, or read."""
    languages: Languages
    """Languages of the vectors, ISO 639-1, else 639-3."""
    pairs: Literal["all", "once"] | Pairs = Field(
        "all", description="all: every two languages, both ways; once: the one listed first is the source; or a list"
    )
    methods: Annotated[tuple[MethodEntry, ...], Field(min_length=1)]
    """How vectors are mapped: names, or names with settings."""
    full: bool = Field(False, description="run every method on every pair, whatever its own `pairs` say")
    dictionaries: DictionarySource = Field("numerals", description="numerals, xling-eval, or files of yours")
    dictionary_sizes: Annotated[tuple[Annotated[int, Field(ge=1)], ...], NoRepeats] = Field(
        (), description="training pairs; unsupervised methods need none"
    )
    seeds: Annotated[RandomSeeds, Field(min_length=1)] = (0,)
    """What draws is run with each."""
    test_size: int | None = Field(None, ge=1, description="test pairs a language pair; left out: all, of numerals 200")
    preprocessing: Preprocessing = "unit"
    """What is done to vectors before they are mapped."""
    variants: dict[Name, EmbeddingVariant] = Field(default_factory=dict)
    """The same methods under another preprocessing, by label."""
    isometry: Annotated[tuple[MeasureName, ...], NoRepeats] = ()
    """Measures of how alike two languages' vectors are before mapping: `transfer ls measures`."""
    downstream: Annotated[tuple[Downstream, ...], AfterValidator(_collections_differ)] = ()
    """Tasks that mapped vectors are asked to serve."""

    @field_validator("languages")
    @classmethod
    def _vectors_have_languages(cls, languages: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        for settings in info.data.get("vectors", {}).values():
            for language in languages:
                if isinstance(settings, NumeralVectors) and language not in NUMERAL_LANGUAGES:
                    raise UnknownName("language of the numerals world", language, NUMERAL_LANGUAGES)
                if isinstance(settings, BibleVectors) and language not in BIBLES:
                    raise UnknownName("language of corpus 'bible'", language, BIBLES)
        return languages

    @field_validator("methods")
    @classmethod
    def _methods_differ(cls, methods: tuple[MethodEntry, ...]) -> tuple[MethodEntry, ...]:
        no_repeats(tuple(m.name if m.variant == "default" else f"{m.name} {m.variant}" for m in methods))
        return methods

    @model_validator(mode="after")
    def _pairs_fit(self) -> Embeddings:
        for pair in self.language_pairs:
            for language in pair:
                if language not in self.languages:
                    raise UnknownName("language of embeddings.pairs", language, self.languages)
            if pair[0] == pair[1]:
                raise ValueError(f"pair {pair[0]}-{pair[1]}: source and target are the same language")
        if not self.language_pairs:
            raise ValueError("one language makes no pair: list two or more under `languages`")
        asked = ["-".join(pair) for pair in self.language_pairs]
        for method in self.methods:
            for pair in method.pairs or ():
                if "-".join(pair) not in asked:
                    raise UnknownName(f"pair of method {method.name!r}", "-".join(pair), asked)
        return self

    @model_validator(mode="after")
    def _variants_differ(self) -> Embeddings:
        if "default" in self.variants:
            raise ValueError("a variant may not be called 'default': that is the study's own preprocessing")
        for method in self.methods:
            if method.variant in self.variants:
                raise ValueError(f"{method.variant!r} is a variant of the study and of its method {method.name!r}")
        return self

    @model_validator(mode="after")
    def _dictionaries_are_large_enough(self) -> Embeddings:
        learning = [m.name for m in self.methods if load_method(m.name).supervision != "unsupervised"]
        learning += [measure for measure in self.isometry if MEASURES[measure].of_pairs]
        if learning and not self.dictionary_sizes:
            raise ValueError(f"{learning[0]!r} learns from training pairs, and dictionary_sizes is empty")
        largest = max(self.dictionary_sizes, default=0)
        if self.dictionaries == "xling-eval":
            for language in self.languages:
                if language not in XLING_LANGUAGES:
                    raise UnknownName("language of xling-eval's dictionaries", language, XLING_LANGUAGES)
            for role, asked, possible in (
                ("seed", largest, max(XLING_TRAINING)),
                ("test", self.test_size or 0, XLING_TEST_ROWS),
            ):
                if asked > possible:
                    raise ValueError(f"a {role} dictionary of {asked} pairs is asked for; xling-eval has {possible}")
        if self.dictionaries != "numerals":
            return self
        for name, settings in self.vectors.items():
            if not isinstance(settings, NumeralVectors):
                raise ValueError(
                    f"vectors {name!r} are not of the numerals world: say which `dictionaries`, "
                    "xling-eval or files of yours"
                )
            for role, asked in (("seed", largest), ("test", self.test_size or NUMERAL_TEST_SIZE)):
                possible = dictionary_limit(role, settings.highest_number)
                if asked > possible:
                    raise ValueError(
                        f"a {role} dictionary of {asked} pairs is asked for; vectors {name!r} with highest_number "
                        f"{settings.highest_number} allow {possible}"
                    )
        return self

    @property
    def language_pairs(self) -> list[tuple[str, str]]:
        """Ordered (source, target) pairs."""
        if self.pairs == "once":
            return list(combinations(self.languages, 2))
        if self.pairs == "all":
            return list(permutations(self.languages, 2))
        return list(self.pairs)

    def runs_on(self, method: MethodEntry, source: str, target: str) -> bool:
        """Return whether a method is run on a pair of the study's."""
        return self.full or method.pairs is None or (source, target) in method.pairs

    def preprocessings_of(self, method: MethodEntry) -> dict[str, Preprocessing]:
        """Preprocessing by label of a variant of the study, the study's own first, as 'default'. With a method listed
        under a variant of its own the label is that, or `<of the method>+<of the study>`. A method with a
        preprocessing of its own has no other."""
        own = {"default": self.preprocessing} | {name: v.preprocessing for name, v in self.variants.items()}
        if method.preprocessing is not None:
            own = {"default": method.preprocessing}
        if method.variant == "default":
            return own
        return {method.variant if name == "default" else f"{method.variant}+{name}": how for name, how in own.items()}


class BliMap(Section):
    """Which lexicon induction stands for a pair of languages, as `bli_map`, where it is compared with transfer."""

    method: str = Field("proc", min_length=1, description="a mapping method; imported results may have others")
    dictionary_size: int | None = Field(None, ge=0, description="training pairs; left out: the most there are")
    retrieval: Literal["cosine", "csls"] = "csls"
    """By which similarity translations are found."""
