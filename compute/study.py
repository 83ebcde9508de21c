"""The study: what to compute, declared, as pydantic models. `compute.study_file` reads it from YAML."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

from compute.embeddings.isometry import MEASURES
from compute.embeddings.mappings import METHODS, MappingMethod, load_method
from compute.embeddings.numeral_corpus import dictionary_limit
from compute.embeddings.settings import Preprocessing, TrainedVectors
from compute.language_models.settings import Architecture, Lora, Pretraining
from compute.names import UnknownName
from compute.numeral_words import NUMERAL_LANGUAGES
from compute.tasks import TASKS, load_task

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=64)]
"""A name that is safe as a label, a key and a file name."""

Language = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}$")]
"""ISO 639-1, else 639-3."""


def _one_of(kind: str, known: Iterable[str]) -> AfterValidator:
    known = tuple(known)

    def check(name: str) -> str:
        if name not in known:
            raise UnknownName(kind, name, known)
        return name

    return AfterValidator(check)


TaskName = Annotated[str, _one_of("task", TASKS)]
MethodName = Annotated[str, _one_of("mapping method", METHODS)]
Measure = Annotated[str, _one_of("isometry measure", MEASURES)]
NumeralLanguage = Annotated[str, _one_of("language of the numerals world", NUMERAL_LANGUAGES)]


def _no_repeats(values: tuple[Any, ...]) -> tuple[Any, ...]:
    for position, value in enumerate(values):
        if value in values[:position]:
            raise ValueError(f"{value!r} is listed twice")
    return values


NoRepeats = AfterValidator(_no_repeats)
Seeds = Annotated[tuple[Annotated[int, Field(ge=0)], ...], NoRepeats]
Languages = Annotated[tuple[Language, ...], Field(min_length=1), NoRepeats]


class Section(BaseModel):
    """Part of a study: immutable, and unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ModelEntry(Section):
    """A language model to tune: trained from scratch by the `pretrain` plugin."""

    name: Name
    architecture: Architecture
    pretrain: Pretraining

    @field_validator("pretrain")
    @classmethod
    def _languages_exist(cls, pretrain: Pretraining) -> Pretraining:
        for language in pretrain.languages:
            if language not in NUMERAL_LANGUAGES:
                raise UnknownName("language of the numerals world", language, NUMERAL_LANGUAGES)
        return pretrain


class Grid(Section):
    """Tasks × languages; every combination is a cell."""

    tasks: Annotated[tuple[TaskName, ...], Field(min_length=1), NoRepeats]
    languages: Languages

    @model_validator(mode="after")
    def _tasks_have_languages(self) -> Grid:
        for name in self.tasks:
            task = load_task(name)
            for language in self.languages:
                if language not in task.languages:
                    raise UnknownName(f"language of task {name!r}", language, task.languages)
        return self

    @property
    def cells(self) -> list[tuple[str, str]]:
        """(task, language), tasks first."""
        return [(task, language) for task in self.tasks for language in self.languages]


class ItemLimits(Section):
    """How many items of each split are used, the first of the split's fixed order; all of them if left out."""

    train: int | None = Field(None, ge=1, description="items a source is tuned on")
    dev: int | None = Field(None, ge=0, description="items behind a tuning's eval loss; 0: it is not computed")
    test: int | None = Field(None, ge=1, description="items scored per target")


class Placebo(Section):
    """The control: the same sources with their labels permuted."""

    seeds: Seeds = ()


class MethodEntry(Section):
    """A mapping method with its settings; a bare name means the method's defaults."""

    name: MethodName
    settings: dict[str, Any] = {}

    @model_validator(mode="before")
    @classmethod
    def _bare_name(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    def build(self) -> MappingMethod:
        """The method with these settings; pydantic's ValidationError if they do not fit it."""
        return load_method(self.name)(**self.settings)


class EmbeddingVariant(Section):
    """What a variant of the embedding half changes."""

    preprocessing: Preprocessing


class Embeddings(Section):
    """The embedding half: vectors per language, a map per language pair, ranks per test pair."""

    vectors: Annotated[dict[Name, TrainedVectors], Field(min_length=1)]
    languages: Annotated[tuple[NumeralLanguage, ...], Field(min_length=1), NoRepeats]
    pairs: Literal["all"] | Annotated[tuple[tuple[Language, Language], ...], Field(min_length=1), NoRepeats] = "all"
    methods: Annotated[tuple[MethodEntry, ...], Field(min_length=1)]
    dictionary_sizes: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1), NoRepeats]
    seeds: Annotated[Seeds, Field(min_length=1)] = (0,)
    test_size: int = Field(200, ge=1, description="test pairs a language pair")
    preprocessing: Preprocessing = "unit"
    variants: dict[Name, EmbeddingVariant] = {}
    isometry: Annotated[tuple[Measure, ...], NoRepeats] = ()

    @field_validator("methods")
    @classmethod
    def _methods_differ(cls, methods: tuple[MethodEntry, ...]) -> tuple[MethodEntry, ...]:
        _no_repeats(tuple(method.name for method in methods))
        return methods

    @model_validator(mode="after")
    def _pairs_fit(self) -> Embeddings:
        for pair in self.language_pairs:
            for language in pair:
                if language not in self.languages:
                    raise UnknownName("language of embeddings.pairs", language, self.languages)
            if pair[0] == pair[1]:
                raise ValueError(f"pair {pair[0]}-{pair[1]}: source and target are the same language")
        if "default" in self.variants:
            raise ValueError("a variant may not be called 'default': that is the study's own preprocessing")
        for name, settings in self.vectors.items():
            for role, asked in (("seed", max(self.dictionary_sizes)), ("test", self.test_size)):
                possible = dictionary_limit(role, settings.highest_number)
                if asked > possible:
                    raise ValueError(
                        f"a {role} dictionary of {asked} pairs is asked for; vectors {name!r} with highest_number "
                        f"{settings.highest_number} allow {possible}"
                    )
        return self

    @property
    def language_pairs(self) -> list[tuple[str, str]]:
        """Ordered (source, target) pairs; `all` means both directions of every two languages."""
        if self.pairs != "all":
            return list(self.pairs)
        return [(source, target) for source in self.languages for target in self.languages if source != target]

    @property
    def preprocessings(self) -> dict[str, Preprocessing]:
        """Preprocessing by variant label, the study's own first, as 'default'."""
        return {"default": self.preprocessing} | {name: v.preprocessing for name, v in self.variants.items()}


class Study(Section):
    """A whole study. Its two halves, language models and embeddings, are each optional."""

    study: Name
    description: str = ""
    models: tuple[ModelEntry, ...] = ()
    sources: Grid | None = None
    targets: Grid | None = None
    items: ItemLimits = ItemLimits()
    seeds: Seeds = ()
    placebo: Placebo = Placebo()
    lora: Lora = Field(default_factory=Lora)
    variants: dict[Name, dict[str, Any]] = Field(
        default_factory=dict, description="label -> LoRA settings that differ from `lora`"
    )
    harm_threshold_pp: float = Field(1.0, ge=0, le=100, description="a loss of at least this much is a harm")
    embeddings: Embeddings | None = None
    plugins: dict[str, dict[str, Any]] = Field(default_factory=dict, description="further plugins and their settings")

    @model_validator(mode="after")
    def _halves_are_whole(self) -> Study:
        if self.models and self.targets is None:
            raise ValueError("models are listed but there are no targets to evaluate them on")
        if (self.sources or self.targets) and not self.models:
            raise ValueError("sources or targets are listed but there are no models")
        if self.sources and not self.seeds:
            raise ValueError("sources are listed but seeds is empty: nothing would be trained")
        if not (self.models or self.embeddings or self.plugins):
            raise ValueError("the grid is empty: no models, no embeddings, no plugins")
        if "default" in self.variants:
            raise ValueError("a variant may not be called 'default': that is `lora` as it stands")
        if self.lora.best_checkpoint and self.items.dev == 0:
            raise ValueError("lora.best_checkpoint needs dev items, and items.dev is 0")
        if self.lora.best_checkpoint and self.placebo.seeds:
            raise ValueError("lora.best_checkpoint would select the placebo too: neither arm may be selected")
        return self

    @field_validator("models")
    @classmethod
    def _models_differ(cls, models: tuple[ModelEntry, ...]) -> tuple[ModelEntry, ...]:
        _no_repeats(tuple(model.name for model in models))
        return models

    @property
    def lora_settings(self) -> dict[str, Lora]:
        """LoRA settings by variant label, the study's own first, as 'default'."""
        return {"default": self.lora} | {name: self.lora_variant(name) for name in self.variants}

    def lora_variant(self, name: str) -> Lora:
        """The settings of one variant; pydantic's ValidationError if its changes do not fit."""
        return Lora(**(self.lora.model_dump() | self.variants[name]))
