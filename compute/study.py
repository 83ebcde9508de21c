"""The study file: what to compute, declared. The only reader of YAML.

Every mistake is one line: file and line, key, what was expected, the nearest valid name.
"""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)

from compute.embeddings.isometry import MEASURES
from compute.embeddings.mappings import load_method
from compute.embeddings.settings import Preprocessing, TrainedVectors
from compute.errors import UserError
from compute.language_models.settings import Architecture, Lora, Pretraining
from compute.names import UnknownName
from compute.numeral_words import NUMERAL_LANGUAGES
from compute.plugin import load_plugin, optional_plugins
from compute.tasks import load_task

_MAX_STUDY_BYTES = 1_000_000

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=64)]
"""A name that is safe as a label, a key and a file name."""

Language = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}$")]


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
    pretrain: Pretraining = Field(default_factory=Pretraining)


class Grid(Section):
    """Tasks × languages; every combination is a cell."""

    tasks: Annotated[tuple[str, ...], Field(min_length=1), NoRepeats]
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


class Placebo(Section):
    """The control: the same sources with their labels permuted."""

    seeds: Seeds = ()


class MethodEntry(Section):
    """A mapping method with its settings."""

    name: str
    settings: dict[str, Any] = {}

    @model_validator(mode="before")
    @classmethod
    def _bare_name(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _settings_fit(self) -> MethodEntry:
        load_method(self.name)(**self.settings)
        return self


class EmbeddingVariant(Section):
    """What a variant of the embedding half changes."""

    preprocessing: Preprocessing


class Embeddings(Section):
    """The embedding half: vectors per language, a map per language pair, ranks per test pair."""

    vectors: Annotated[dict[Name, TrainedVectors], Field(min_length=1)]
    languages: Languages
    pairs: Literal["all"] | Annotated[tuple[tuple[Language, Language], ...], Field(min_length=1), NoRepeats] = "all"
    methods: Annotated[tuple[MethodEntry, ...], Field(min_length=1)]
    dictionary_sizes: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1), NoRepeats]
    seeds: Annotated[Seeds, Field(min_length=1)] = (0,)
    test_size: int = Field(200, ge=1, description="test pairs a language pair")
    preprocessing: Preprocessing = "unit"
    variants: dict[Name, EmbeddingVariant] = {}
    isometry: Annotated[tuple[str, ...], NoRepeats] = ()

    @field_validator("isometry")
    @classmethod
    def _measures_exist(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if name not in MEASURES:
                raise UnknownName("isometry measure", name, MEASURES)
        return names

    @field_validator("methods")
    @classmethod
    def _methods_differ(cls, methods: tuple[MethodEntry, ...]) -> tuple[MethodEntry, ...]:
        _no_repeats(tuple(method.name for method in methods))
        return methods

    @model_validator(mode="after")
    def _languages_known(self) -> Embeddings:
        for language in self.languages:
            if language not in NUMERAL_LANGUAGES:
                raise UnknownName("language of the numerals corpus", language, NUMERAL_LANGUAGES)
        for pair in self.language_pairs:
            for language in pair:
                if language not in self.languages:
                    raise UnknownName("language of embeddings.pairs", language, self.languages)
            if pair[0] == pair[1]:
                raise ValueError(f"pair {pair[0]}-{pair[1]}: source and target are the same language")
        if "default" in self.variants:
            raise ValueError("a variant may not be called 'default': that is the study's own preprocessing")
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
    test_items: int | None = Field(None, ge=1, description="items scored per target; all of them if left out")
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
        _no_repeats(tuple(model.name for model in self.models))
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
        return self

    @field_validator("plugins")
    @classmethod
    def _plugins_configured(cls, plugins: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        for name in plugins:
            if name not in optional_plugins():
                raise UnknownName("plugin", name, optional_plugins())
        return plugins

    @property
    def lora_settings(self) -> dict[str, Lora]:
        """LoRA settings by variant label, the study's own first, as 'default'."""
        base = self.lora.model_dump()
        return {"default": self.lora} | {name: Lora(**(base | changes)) for name, changes in self.variants.items()}

    def plugin_config(self, name: str) -> BaseModel | None:
        """The checked configuration of an optional plugin."""
        config_model = load_plugin(name).Config
        if config_model is None:
            return None
        return config_model(**self.plugins[name])


# --- reading --------------------------------------------------------------------------------------------------


class _UniqueKeyLoader(yaml.SafeLoader):
    """YAML that refuses a key written twice, which plain YAML would silently overwrite."""


def _construct_mapping(loader: _UniqueKeyLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[str] = set()
    for key_node, _ in node.value:
        if key_node.value in seen:
            raise yaml.constructor.ConstructorError(
                None, None, f"key {key_node.value!r} is written twice", key_node.start_mark
            )
        seen.add(key_node.value)
    return yaml.SafeLoader.construct_mapping(loader, node, deep=True)


_UniqueKeyLoader.add_constructor("tag:yaml.org,2002:map", _construct_mapping)


def read_study(path: Path) -> Study:
    """The study in a YAML file. Raises UserError, one line for each mistake."""
    try:
        if path.stat().st_size > _MAX_STUDY_BYTES:
            raise UserError(f"{path}: larger than {_MAX_STUDY_BYTES:,} bytes; a study file is a page of YAML")
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(f"{path}: no such file{_nearest_file(path)}") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 text (byte {error.start})") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    loader = _UniqueKeyLoader(text)
    try:
        root = loader.get_single_node()
        content = loader.construct_document(root) if root is not None else None
    except yaml.YAMLError as error:
        raise UserError(f"{path}{_yaml_place(error)}") from None
    except RecursionError:
        raise UserError(f"{path}: nested too deeply for a study") from None
    finally:
        loader.dispose()
    if not isinstance(content, dict):
        raise UserError(f"{path}: expected a mapping with `study:` and its sections, found {type(content).__name__}")
    try:
        study = Study.model_validate(content)
        _ = study.lora_settings
        for name in study.plugins:
            study.plugin_config(name)
        return study
    except ValidationError as error:
        lines = [_describe(problem, root, path) for problem in error.errors()]
        raise UserError("\n".join(dict.fromkeys(lines))) from None


def _nearest_file(path: Path) -> str:
    siblings = [sibling.name for sibling in path.parent.glob("*.y*ml")] if path.parent.is_dir() else []
    nearest = difflib.get_close_matches(path.name, siblings, n=1)
    return f"; did you mean {path.parent / nearest[0]}?" if nearest else ""


def _yaml_place(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    return f":{mark.line + 1}: {problem} (column {mark.column + 1})" if mark else f": {problem}"


def _describe(problem: Any, root: yaml.Node, path: Path) -> str:
    location = list(problem["loc"])
    line, known_path = _line_of(root, location)
    key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in known_path).lstrip(".")
    place = f"{path}:{line}: {key}" if key else f"{path}"
    return f"{place}: {_expectation(problem)}"


def _line_of(node: yaml.Node, location: list[Any]) -> tuple[int, list[Any]]:
    """Line (from 1) of the deepest part of `location` present in the file, and the location as far as it names
    keys (pydantic adds parts that are not, such as the branches of a union)."""
    line, known = node.start_mark.line + 1, []
    for position, part in enumerate(location):
        if isinstance(node, yaml.MappingNode):
            found = next(((k, v) for k, v in node.value if k.value == str(part)), None)
            if found is None:
                if position == len(location) - 1:
                    known.append(part)
                continue
            line, node = found[0].start_mark.line + 1, found[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
        else:
            continue
        known.append(part)
    return line, known


def _expectation(problem: Any) -> str:
    kind, context = problem["type"], problem.get("ctx", {})
    if kind == "extra_forbidden":
        return str(UnknownName("key", str(problem["loc"][-1]), _keys_beside(problem["loc"])))
    if kind == "literal_error":
        known = re.findall(r"'([^']*)'", context["expected"])
        return str(UnknownName("value", str(problem["input"]), known))
    if kind == "missing":
        return "this key is required"
    message = problem["msg"].removeprefix("Value error, ")
    if kind in ("value_error", "assertion_error") or isinstance(problem["input"], dict | list | tuple):
        return message
    return f"{message[0].lower()}{message[1:]}, found {problem['input']!r}"


def _keys_beside(location: tuple[Any, ...]) -> list[str]:
    """The keys that are valid where the last part of `location` stands."""
    model: Any = Study
    for part in location[:-1]:
        field = model.model_fields.get(part) if isinstance(model, type) and issubclass(model, BaseModel) else None
        if field is not None:
            model = _section_in(field.annotation)
    return list(model.model_fields) if isinstance(model, type) and issubclass(model, BaseModel) else []


def _section_in(annotation: Any) -> Any:
    """The model class inside an annotation such as `tuple[ModelEntry, ...]` or `Grid | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        found = _section_in(argument)
        if found is not None:
            return found
    return None
