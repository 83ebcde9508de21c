"""The study: what to compute, declared, as pydantic models. `compute.study.file` reads it from YAML."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_serializer, field_validator, model_validator

from compute.errors import UserError
from compute.language_models.revisions import check_folder, check_revision
from compute.language_models.settings import Architecture, Lora, Pretraining
from compute.names import UnknownName
from compute.plugin import load_plugin, optional_plugins
from compute.prediction.goals import Goal
from compute.study.contrasts import Contrast
from compute.study.embeddings import BliMap, Embeddings
from compute.study.mixtures import Mixture
from compute.study.rules import first_broken
from compute.study.sources import GivenSource, check_given
from compute.tasks import Split, Task, open_task
from compute.tasks.folder import FolderTaskSettings
from compute.values import Languages, Name, NoRepeats, RandomSeeds, Section, check_settings, no_repeats, refusal


class ModelEntry(Section):
    """A language model to tune: trained from scratch by the `pretrain` plugin, or a checkpoint that exists.

    A bare text is a checkpoint under its own name.
    """

    name: Name
    """What it is called in the marts, less its revision."""
    architecture: Architecture | None = Field(None, description="of a model trained from scratch")
    pretrain: Pretraining | None = Field(None, description="how it is trained from scratch")
    checkpoint: str | None = Field(None, min_length=1, description="a name on the hub, or a folder")
    revision: str = Field("main", min_length=1, description="of a checkpoint on the hub: commit, tag or branch")
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto", description="of a checkpoint's weights once loaded; auto: as saved"
    )
    chat_template: bool = Field(
        False,
        description="put prompts in the tokenizer's template: as a user's message, lm_eval's as the harness does",
    )
    trust_remote_code: bool = Field(False, description="run code that comes with the checkpoint")
    sources: Annotated[tuple[GivenSource, ...], AfterValidator(check_given)] = ()
    """Tunings of it that exist already: adapters and checkpoints, scored beside those that the study makes."""

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

    @model_validator(mode="after")
    def _checkpoint_is_there(self) -> ModelEntry:
        for key, check in (("revision", partial(check_revision, revision=self.revision)), ("checkpoint", check_folder)):
            try:
                if self.checkpoint is not None:
                    check(self.checkpoint)
            except UserError as error:
                raise refusal((key,), error) from None
        return self


class GridBlock(Section):
    """Tasks × languages; every combination is a cell."""

    tasks: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=1), NoRepeats]
    """Names of tasks: `transfer ls tasks`, your own, or lm_eval:NAME."""
    languages: Languages
    """Their languages, ISO 639-1, else 639-3."""


class Grid(Section):
    """The cells of one block, or of several where tasks have different languages."""

    blocks: Annotated[tuple[GridBlock, ...], Field(min_length=1)]

    @model_validator(mode="before")
    @classmethod
    def _one_block_or_several(cls, value: Any) -> Any:
        if isinstance(value, list):
            value = {"blocks": value}
        for block in value["blocks"] if isinstance(value, dict) and isinstance(value.get("blocks"), list) else [value]:
            if isinstance(block, dict) and block.keys() & {"adapter", "checkpoint"}:
                raise ValueError("adapters and tuned checkpoints are listed under their model: `models[].sources`")
        return value if isinstance(value, dict) and "blocks" in value else {"blocks": [value]}

    @model_validator(mode="after")
    def _cells_differ(self) -> Grid:
        seen = set()
        for task, language in self.cells:
            if (task, language) in seen:
                raise ValueError(f"{task}/{language} is in two blocks")
            seen.add((task, language))
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
    """The prompt asked with; left out: a task's first."""
    train: str | dict[str, str] | None = None
    """The prompt tuned with; left out: the one asked with."""


class ItemLimits(Section):
    """How many items of each split are used, the first of the split's fixed order; all of them if left out."""

    train: int | None = Field(None, ge=1, description="items a source is tuned on")
    dev: int | None = Field(None, ge=0, description="items behind a tuning's eval loss; 0: it is not computed")
    test: int | None = Field(None, ge=1, description="items scored per target")


class Placebo(Section):
    """The control: the same sources with their labels permuted."""

    seeds: RandomSeeds = ()
    """One permuted tuning a seed; none: no placebo."""


class Variant(Lora):
    """LoRA settings that differ from the study's `lora`; those that are not written are as there."""

    train_prompt: str | dict[str, str] | None = Field(
        None, description="the prompt tuned with, if that one differs: a name, or names by task"
    )


class Adaptive(Section):
    """Sources are tuned in rounds, each chosen by what was measured before; what was chosen and why is in
    `raw.decisions`."""

    budget: float = Field(gt=0, le=1, description="share of the cost of tuning and scoring every source")
    goal: Goal = Field(
        "best source",
        description="best source of each target; harms: which cells lose harm_threshold_pp; or all cells alike",
    )
    enough: float | None = Field(
        None,
        ge=0,
        description="when to stop: expected regret (pp), probability of taking a cell for the wrong one, "
        "standard deviation of a cell (pp), by goal; left out: 0.5, 0.02, 1",
    )


def _of_task(chosen: str | dict[str, str] | None, task: str) -> str | None:
    return chosen.get(task) if isinstance(chosen, dict) else chosen


class Study(Section):
    """A whole study. Its two halves, language models and embeddings, are each optional."""

    study: Name
    """Its name, by which the marts and every verb know it."""
    description: str = ""
    """What it asks, for the page."""
    models: tuple[ModelEntry, ...] = ()
    """Language models to tune and to ask."""
    tasks: dict[Name, FolderTaskSettings] = Field(default_factory=dict, description="the user's own tasks, by name")
    sources: Grid | None = None
    """What each model is tuned on, one adapter a cell and seed."""
    mixtures: dict[str, Mixture] = Field(
        default_factory=dict, description="name -> sources that each model is tuned on together"
    )
    targets: Grid | None = None
    """What every model is asked, tuned or not."""
    prompts: PromptChoice = PromptChoice()
    """Which of the tasks' prompts are used."""
    truncate: bool = Field(
        False, description="cut the beginning off contexts too long for a model, counted; else they fail their jobs"
    )
    items: ItemLimits = ItemLimits()
    """How many items are used; left out: all."""
    seeds: RandomSeeds = ()
    """One tuning of every source a seed; two or more tell the luck of a run."""
    placebo: Placebo = Placebo()
    """Tunings on permuted labels, to tell teaching from training."""
    adaptive: Adaptive | None = None
    """Tune only the sources that teach most; left out: all of them."""
    lora: Lora = Field(default_factory=Lora)
    """How adapters are made and trained."""
    variants: dict[Name, Variant] = Field(
        default_factory=dict, description="label -> what differs from `lora`, and from the prompt tuned with"
    )
    harm_threshold_pp: float = Field(1.0, ge=0, le=100, description="a loss of at least this much is a harm")
    contrasts: dict[Name, Contrast] = Field(
        default_factory=dict, description="label -> two arms to set against each other on the same items"
    )
    embeddings: Embeddings | None = None
    """The other half: word vectors and how they are mapped."""
    compare_with: Name | None = Field(
        None, description="the study whose embeddings stand beside this one's transfer; left out: this one's own"
    )
    bli_map: BliMap = BliMap()
    """Which lexicon induction stands beside transfer in rpt_language_pairs."""
    plugins: dict[str, dict[str, Any]] = Field(default_factory=dict, description="further plugins and their settings")

    @model_validator(mode="after")
    def _halves_are_whole(self) -> Study:
        if self.models and self.targets is None:
            raise ValueError("models are listed but there are no targets to evaluate them on")
        if (self.sources or self.targets) and not self.models:
            raise ValueError("sources or targets are listed but there are no models")
        if self.adaptive is not None and not self.sources:
            raise ValueError("adaptive chooses sources to tune on, and none are listed")
        if self.sources and not self.seeds:
            raise ValueError("sources are listed but seeds is empty: nothing would be trained")
        if not (self.models or self.embeddings or self.plugins):
            raise ValueError("the grid is empty: no models, no embeddings, no plugins")
        if "default" in self.variants:
            raise ValueError("a variant may not be called 'default': that is `lora` as it stands")
        written = {"lora": self.lora.best_checkpoint} | {
            f"variants.{name}": variant.best_checkpoint for name, variant in self.variants.items()
        }
        for place in (place for place, value in written.items() if value):
            if self.items.dev == 0:
                raise ValueError(f"{place}.best_checkpoint needs dev items, and items.dev is 0")
            if self.placebo.seeds:
                raise ValueError(f"{place}.best_checkpoint would select the placebo too: neither arm may be selected")
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
        if self.compare_with is None and self.embeddings is not None and self.bli_map.dictionary_size:
            sizes = self.embeddings.dictionary_sizes
            if self.bli_map.dictionary_size not in sizes:
                raise ValueError(
                    f"bli_map.dictionary_size is {self.bli_map.dictionary_size}; expected one of embeddings."
                    f"dictionary_sizes: {', '.join(map(str, sizes)) or 'there are none'}"
                )
        return self

    @field_validator("models")
    @classmethod
    def _models_differ(cls, models: tuple[ModelEntry, ...]) -> tuple[ModelEntry, ...]:
        no_repeats(tuple(model.name for model in models))
        return models

    @field_validator("plugins")
    @classmethod
    def _plugins_are_known(cls, plugins: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        for name, section in plugins.items():
            if name not in optional_plugins():
                raise refusal((name,), UnknownName("plugin", name, optional_plugins()))
            try:
                settings = load_plugin(name).Config
            except UserError as error:
                raise refusal((name,), error) from None
            if settings is not None:
                check_settings(settings, section, (name,))
            elif section:
                raise refusal((name,), f"plugin {name!r} takes no settings, found {', '.join(section)}")
        return plugins

    @model_validator(mode="after")
    def _keeps_the_rules(self) -> Study:
        broken = first_broken(self)
        if broken is not None:
            raise refusal(*broken)
        return self

    @field_serializer("variants")
    def _as_written(self, variants: dict[str, Variant]) -> dict[str, Any]:
        return {name: variant.model_dump(exclude_unset=True) for name, variant in variants.items()}

    @property
    def lora_settings(self) -> dict[str, Lora]:
        """LoRA settings by variant label, the study's own first, as 'default'."""
        return {"default": self.lora} | {name: self.lora_variant(name) for name in self.variants}

    def lora_variant(self, name: str) -> Lora:
        """Return the settings of one variant."""
        changes = self.variants[name].model_dump(exclude_unset=True, exclude={"train_prompt"})
        return Lora.model_validate(self.lora.model_dump() | changes)

    @property
    def cells(self) -> list[tuple[str, str]]:
        """(task, language) whose items the study needs, each once: tuned on, evaluated, or read in pre-training."""
        parts = (self.sources, self.targets, *(model.pretrain for model in self.models))
        return list(dict.fromkeys(cell for part in parts if part is not None for cell in part.cells))

    def task(self, name: str, language: str | None) -> Task:
        """Return a task of the registry, of this study's own `tasks`, or of lm-evaluation-harness (`lm_eval:<name>`).

        Raises:
            UnknownName: there is none of that name, or it does not have the language.
            UserError: its data or the extra it needs are missing.
        """
        return open_task(name, language, self.tasks)

    def items_used(self, task: str, language: str, split: Split) -> int | None:
        """Return how many items of a split are used: those asked for, or as many as there are. None: all.

        Where not even reading tells at planning (`Task.counted`), it is what is asked for.
        """
        asked: int | None = getattr(self.items, split)
        there = None if asked is None else self.task(task, language).counted(language, split)
        return asked if there is None else min(there, asked or 0)

    def prompt_name(self, task: str) -> str | None:
        """Return the prompt that `task` is evaluated with, by name; None: the task's first."""
        return _of_task(self.prompts.evaluate, task)

    def train_prompt_name(self, task: str, variant: str) -> str | None:
        """Return the prompt that `task` is tuned with under a variant, by name; None: the task's first."""
        own = self.variants[variant].train_prompt if variant in self.variants else None
        return _of_task(own, task) or _of_task(self.prompts.train, task) or self.prompt_name(task)
