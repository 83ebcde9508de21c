"""The study: what to compute, declared, as pydantic models. `compute.study_file` reads it from YAML."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations, permutations
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationInfo,
    field_validator,
    model_validator,
)

from compute.embeddings.corpora import BIBLES
from compute.embeddings.dictionary_files import XLING_LANGUAGES, XLING_TEST_ROWS, XLING_TRAINING
from compute.embeddings.downstream.settings import Downstream
from compute.embeddings.isometry import MEASURES, MEASURES_OF_PAIRS
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
from compute.language_models.settings import Architecture, Lora, Pretraining
from compute.names import UnknownName
from compute.numeral_words import NUMERAL_LANGUAGES
from compute.tasks import Task, open_task
from compute.tasks.folder import FolderTaskSettings

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


MethodName = Annotated[str, _one_of("mapping method", METHODS)]
Measure = Annotated[str, _one_of("isometry measure", MEASURES)]


def _no_repeats(values: tuple[Any, ...]) -> tuple[Any, ...]:
    for position, value in enumerate(values):
        if value in values[:position]:
            raise ValueError(f"{value!r} is listed twice")
    return values


NoRepeats = AfterValidator(_no_repeats)


def _collections_differ(entries: tuple[Downstream, ...]) -> tuple[Downstream, ...]:
    _no_repeats(tuple(f"{entry.task} on {entry.collection}" for entry in entries))
    return entries


Seeds = Annotated[tuple[Annotated[int, Field(ge=0)], ...], NoRepeats]
Languages = Annotated[tuple[Language, ...], Field(min_length=1), NoRepeats]


class Section(BaseModel):
    """Part of a study: immutable, and unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ModelEntry(Section):
    """A language model to tune: trained from scratch by the `pretrain` plugin, or a checkpoint that exists.

    A bare text is a checkpoint under its own name.
    """

    name: Name
    architecture: Architecture | None = Field(None, description="of a model trained from scratch")
    pretrain: Pretraining | None = Field(None, description="how it is trained from scratch")
    checkpoint: str | None = Field(None, min_length=1, description="a name on the hub, or a folder")
    revision: str = Field("main", min_length=1, description="of a checkpoint on the hub: commit, tag or branch")
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto", description="of a checkpoint's weights once loaded; auto: as saved"
    )
    chat_template: bool = Field(False, description="put every prompt as a user's message, in the tokenizer's template")
    trust_remote_code: bool = Field(False, description="run code that comes with the checkpoint")

    @model_validator(mode="before")
    @classmethod
    def _named_by_its_checkpoint(cls, value: Any) -> Any:
        value = {"checkpoint": value} if isinstance(value, str) else value
        if isinstance(value, dict) and "name" not in value and isinstance(value.get("checkpoint"), str):
            value = {"name": value["checkpoint"].rstrip("/").rpartition("/")[2], **value}
        return value

    @model_validator(mode="after")
    def _is_made_or_found(self) -> ModelEntry:
        fields = type(self).model_fields
        made, found = (
            [name for name in names if getattr(self, name) != fields[name].default]
            for names in (("architecture", "pretrain"), ("revision", "dtype", "chat_template", "trust_remote_code"))
        )
        if self.checkpoint is not None and made:
            raise ValueError(f"model {self.name!r}: a checkpoint has its {' and '.join(made)} already")
        if self.checkpoint is None and len(made) < 2:
            raise ValueError(
                f"model {self.name!r}: give its `checkpoint`, or `architecture` and `pretrain` to train it from scratch"
            )
        if self.checkpoint is None and found:
            raise ValueError(f"model {self.name!r}: {', '.join(found)} belong to a checkpoint, and it has none")
        return self


class GridBlock(Section):
    """Tasks × languages; every combination is a cell."""

    tasks: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=1), NoRepeats]
    languages: Languages


class Grid(Section):
    """The cells of one block, or of several where tasks have different languages."""

    blocks: Annotated[tuple[GridBlock, ...], Field(min_length=1)]

    @model_validator(mode="before")
    @classmethod
    def _one_block_or_several(cls, value: Any) -> Any:
        if isinstance(value, list):
            return {"blocks": value}
        return value if isinstance(value, dict) and "blocks" in value else {"blocks": [value]}

    @model_validator(mode="after")
    def _cells_differ(self) -> Grid:
        cells = self.cells
        for position, (task, language) in enumerate(cells):
            if (task, language) in cells[:position]:
                raise ValueError(f"{task}/{language} is in two blocks")
        return self

    @property
    def cells(self) -> list[tuple[str, str]]:
        """(task, language), tasks first."""
        return [(task, language) for block in self.blocks for task in block.tasks for language in block.languages]


class PromptChoice(Section):
    """Which of a task's prompts are used: one name for all tasks, or a name by task. Left out: a task's first.

    Training uses the prompt of the evaluation unless it is told otherwise, which is for reproducing a published
    mismatch of the two.
    """

    evaluate: str | dict[str, str] | None = None
    train: str | dict[str, str] | None = None


class ItemLimits(Section):
    """How many items of each split are used, the first of the split's fixed order; all of them if left out."""

    train: int | None = Field(None, ge=1, description="items a source is tuned on")
    dev: int | None = Field(None, ge=0, description="items behind a tuning's eval loss; 0: it is not computed")
    test: int | None = Field(None, ge=1, description="items scored per target")


class Placebo(Section):
    """The control: the same sources with their labels permuted."""

    seeds: Seeds = ()


Pairs = Annotated[tuple[tuple[Language, Language], ...], Field(min_length=1), NoRepeats]
"""(source, target), ordered."""


class MethodEntry(Section):
    """A mapping method with its settings; a bare name means the method's defaults, on every pair."""

    name: MethodName
    variant: Name = Field("default", description="label of these settings, where the method is listed more than once")
    settings: dict[str, Any] = {}
    pairs: Pairs | None = Field(None, description="pairs it is run on; left out: all of the study's")

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

    vectors: Annotated[dict[Name, AnyVectorSet], Field(min_length=1)]
    languages: Languages
    pairs: Literal["all", "once"] | Pairs = Field(
        "all", description="all: every two languages, both ways; once: the one listed first is the source; or a list"
    )
    methods: Annotated[tuple[MethodEntry, ...], Field(min_length=1)]
    full: bool = Field(False, description="run every method on every pair, whatever its own `pairs` say")
    dictionaries: DictionarySource = Field("numerals", description="numerals, xling-eval, or files of yours")
    dictionary_sizes: Annotated[tuple[Annotated[int, Field(ge=1)], ...], NoRepeats] = Field(
        (), description="training pairs; unsupervised methods need none"
    )
    seeds: Annotated[Seeds, Field(min_length=1)] = (0,)
    test_size: int | None = Field(None, ge=1, description="test pairs a language pair; left out: all, of numerals 200")
    preprocessing: Preprocessing = "unit"
    variants: dict[Name, EmbeddingVariant] = {}
    isometry: Annotated[tuple[Measure, ...], NoRepeats] = ()
    downstream: Annotated[tuple[Downstream, ...], AfterValidator(_collections_differ)] = ()

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
        _no_repeats(tuple(m.name if m.variant == "default" else f"{m.name} {m.variant}" for m in methods))
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
        learning += [measure for measure in self.isometry if measure in MEASURES_OF_PAIRS]
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
        """Whether a method is run on a pair of the study's."""
        return self.full or method.pairs is None or (source, target) in method.pairs

    def preprocessings_of(self, method: MethodEntry) -> dict[str, Preprocessing]:
        """Preprocessing by label of a variant of the study, the study's own first, as 'default'. With a method listed
        under a variant of its own the label is that, or `<of the method>+<of the study>`."""
        own = {"default": self.preprocessing} | {name: v.preprocessing for name, v in self.variants.items()}
        if method.variant == "default":
            return own
        return {method.variant if name == "default" else f"{method.variant}+{name}": how for name, how in own.items()}


class BliMap(Section):
    """Which lexicon induction stands for a pair of languages, as `bli_map`, where it is compared with transfer."""

    method: str = Field("proc", min_length=1, description="a mapping method; imported results may have others")
    dictionary_size: int | None = Field(None, ge=0, description="training pairs; left out: the most there are")
    retrieval: Literal["cosine", "csls"] = "csls"


TRAIN_PROMPT = "train_prompt"
"""A variant's key that is not a LoRA setting: the name of the prompt tuned with."""


def _of_task(chosen: str | dict[str, str] | None, task: str) -> str | None:
    return chosen.get(task) if isinstance(chosen, dict) else chosen


class Study(Section):
    """A whole study. Its two halves, language models and embeddings, are each optional."""

    study: Name
    description: str = ""
    models: tuple[ModelEntry, ...] = ()
    tasks: dict[Name, FolderTaskSettings] = Field(default_factory=dict, description="the user's own tasks, by name")
    sources: Grid | None = None
    targets: Grid | None = None
    prompts: PromptChoice = PromptChoice()
    truncate: bool = Field(
        False, description="cut the beginning off contexts too long for a model, counted; else they fail their jobs"
    )
    items: ItemLimits = ItemLimits()
    seeds: Seeds = ()
    placebo: Placebo = Placebo()
    lora: Lora = Field(default_factory=Lora)
    variants: dict[Name, dict[str, Any]] = Field(
        default_factory=dict,
        description="label -> LoRA settings that differ from `lora`, and `train_prompt` if that one differs",
    )
    harm_threshold_pp: float = Field(1.0, ge=0, le=100, description="a loss of at least this much is a harm")
    embeddings: Embeddings | None = None
    compare_with: Name | None = Field(
        None, description="the study whose embeddings stand beside this one's transfer; left out: this one's own"
    )
    bli_map: BliMap = BliMap()
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

    @model_validator(mode="after")
    def _compares_what_there_is(self) -> Study:
        if self.compare_with == self.study:
            raise ValueError("compare_with names the study itself: leave it out, its own embeddings are what it means")
        if self.compare_with is not None and not self.sources:
            raise ValueError("compare_with sets embeddings beside transfer, and there are no sources to tune on")
        if self.compare_with is None and self.embeddings is not None and self.bli_map.method != BliMap().method:
            methods = [method.name for method in self.embeddings.methods]
            if self.bli_map.method not in methods:
                raise UnknownName("method of bli_map", self.bli_map.method, methods)
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
        changes = {key: value for key, value in self.variants[name].items() if key != TRAIN_PROMPT}
        return Lora(**(self.lora.model_dump() | changes))

    def task(self, name: str, language: str | None) -> Task:
        """A task of the registry, of this study's own `tasks`, or of lm-evaluation-harness (`lm_eval:<name>`).

        Raises:
            UnknownName: there is none of that name, or it does not have the language.
            UserError: its data or the extra it needs are missing.
        """
        return open_task(name, language, self.tasks)

    def prompt_name(self, task: str) -> str | None:
        """The prompt that `task` is evaluated with, by name; None: the task's first."""
        return _of_task(self.prompts.evaluate, task)

    def train_prompt_name(self, task: str, variant: str) -> str | None:
        """The prompt that `task` is tuned with under a variant, by name; None: the task's first."""
        own = _of_task(self.variants.get(variant, {}).get(TRAIN_PROMPT), task)
        return own or _of_task(self.prompts.train, task) or self.prompt_name(task)
