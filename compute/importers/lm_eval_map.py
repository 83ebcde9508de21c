"""What `transfer import lm-eval --map` says: which adapter is which source, which task name which task and language.

models:                           # by `pretrained`; left out: the name's last part @ its revision
  meta-llama/Llama-3.2-1B: llama-1b@4e20de3
adapters:                         # by what the run's model_args call them (`peft`, `lora_local_path`, ...)
  out/arc-de-17: {source: arc/de, seed: 17}
  out/arc-de-17-permuted: {source: arc/de, seed: 17, control: placebo}
  out/all: {source: arc/mul}      # ISO 639-2: several (mul) or unknown (und), as a language or as a task
checkpoints:                      # merged and fully tuned models, by `pretrained`
  out/arc-de-merged: {base: meta-llama/Llama-3.2-1B, source: arc/de, seed: 17, variant: full}
tasks:                            # by lm-eval's task name; <task>_<two letters> needs no line
  belebele_deu_Latn: belebele/de
leave_out: [wikitext]             # lm-eval's task names that are not imported
parallel: [arc]                   # tasks whose doc_id is the same in every language
metrics: {squad: f1}              # what verdicts use; left out: acc, else exact_match, else the task's first
shares: [my_score]                # metrics between 0 and 1 whose name does not tell
harm_threshold_pp: 2.0
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from compute.errors import UserError
from compute.file_kinds import is_file
from compute.importers.lm_eval_files import ResultsFile
from compute.languages import THREE_LETTERS
from compute.names import UnknownName
from compute.values import Section
from compute.yaml_file import read_yaml


def _cell(value: str) -> str:
    if not re.fullmatch(r"[^/\s]+/[a-z]{2,3}", value):
        raise ValueError(f"expected task/language such as arc/de (several: mul, unknown: und), found {value!r}")
    return value


Cell = Annotated[str, AfterValidator(_cell)]
"""task/language"""

_ADAPTER = re.compile(r"peft|lora|adapter|^delta$")
"""`model_args` that may name an adapter; backends call it as they like."""

_NAMES_ADAPTER = ("peft", "lora_local_path", "delta", "lora_path", "adapter", "adapter_path", "adapter_name_or_path")
_NO_ADAPTER = re.compile(r"dtype|backend|policy|modules_to_save|target_modules|type|rank|alpha")
"""Settings of adapters that name none."""

_MODEL = ("pretrained", "model", "path", "engine")
"""`model_args` that name the model, in the harness's order."""


class Adapter(Section):
    """What an adapter was tuned on."""

    source: Cell = Field(description="task/language")
    seed: int = Field(0, ge=0)
    control: Literal["placebo"] | None = None
    variant: str = Field("default", min_length=1)


class Checkpoint(Adapter):
    """What a merged or fully tuned model was tuned on, and from which model."""

    base: str = Field(min_length=1, description="the base model's `pretrained`")


class _Names(Section):
    models: dict[str, str] = Field({})
    adapters: dict[str, Adapter] = Field({})
    checkpoints: dict[str, Checkpoint] = Field({})
    tasks: dict[str, Cell] = Field({})
    leave_out: tuple[str, ...] = ()
    parallel: tuple[str, ...] = ()
    metrics: dict[str, str] = Field({})
    shares: tuple[str, ...] = ()
    harm_threshold_pp: float | None = Field(None, gt=0)


@dataclass(frozen=True)
class Run:
    """One run of the harness: its results, and the key columns of its rows, less the target's."""

    results: ResultsFile
    keys: Mapping[str, Any]

    @property
    def is_tuned(self) -> bool:
        return self.keys["source_task"] is not None

    @property
    def label(self) -> str:
        """For people."""
        keys = self.keys
        tuned = f" on {keys['source_task']}/{keys['source_language']} seed {keys['seed']}" if self.is_tuned else ""
        return f"{keys['model']}{tuned}"

    @property
    def model_row(self) -> dict[str, Any]:
        """The row of `raw.models`."""
        name, _, revision = self.keys["model"].rpartition("@")
        return {
            "model": self.keys["model"],
            "family": name,
            "parameters": self.results.content["config"].get("model_num_parameters"),
            "revision": revision,
        }


class LmEvalMap:
    """The map, asked. Without a file, only base models of tasks called `<task>_<language>` can be imported."""

    def __init__(self, names: _Names, path: Path | None = None) -> None:
        self._names, self._path = names, path
        self._adapters = {_same_path(name): adapter for name, adapter in names.adapters.items()}
        self._checkpoints = {_same_path(name): checkpoint for name, checkpoint in names.checkpoints.items()}
        self.parallel = set(names.parallel)
        self.metrics: Mapping[str, str] = names.metrics
        self.shares = set(names.shares)
        self.harm_threshold_pp = names.harm_threshold_pp

    def runs(self, results: Sequence[ResultsFile]) -> list[Run]:
        """Return the runs that results files describe.

        Raises:
            UserError: an adapter that the map does not name, or arguments that leave unclear whether there is one; a
                checkpoint whose base is unknown.
        """
        described = [_Described.of(one) for one in results]
        # A checkpoint's base may be any other file's model.
        bases = {one.pretrained: self._model(one) for one in described if one.pretrained not in self._checkpoints}
        return [self._run(one, bases) for one in described]

    def _run(self, one: _Described, bases: Mapping[str, str]) -> Run:
        keys: dict[str, Any] = {"model": bases.get(one.pretrained), "variant": "default"}
        keys |= dict.fromkeys(("source_task", "source_language", "control", "seed"))
        tuned = self._adapter(one)
        checkpoint = self._checkpoints.get(one.pretrained)
        if checkpoint is not None:
            if tuned is not None:
                raise UserError(f"{one.results.path}: an adapter on {one.pretrained}, itself a checkpoint of the map")
            base = _same_path(checkpoint.base)
            keys["model"] = self._names.models.get(checkpoint.base) or bases.get(base)
            if keys["model"] is None:
                raise UserError(
                    f"{one.results.path}: the base {checkpoint.base!r} of checkpoint {one.pretrained!r} is not among "
                    f"these results ({', '.join(sorted(bases)) or 'none'}); import it with them, or add the line "
                    f"`{checkpoint.base}: NAME@REVISION` under `models:` in {self._file}"
                )
            tuned = checkpoint
        elif tuned is None and is_file(Path(one.pretrained) / "adapter_config.json"):
            raise UserError(
                f"{one.results.path}: its model {one.pretrained!r} is an adapter's folder; under `checkpoints:` in "
                f"{self._file} add the line `{one.pretrained}: {{base: MODEL, source: TASK/LANGUAGE, seed: 0}}`"
            )
        if tuned is not None:
            task, _, language = tuned.source.partition("/")
            keys |= {"variant": tuned.variant, "source_task": task, "source_language": language}
            keys |= {"control": tuned.control, "seed": tuned.seed}
        return Run(one.results, keys)

    def _model(self, one: _Described) -> str:
        named = {_same_path(name): model for name, model in self._names.models.items()}
        return named.get(one.pretrained, f"{one.pretrained.rpartition('/')[2]}@{one.revision[:8]}")

    def _adapter(self, one: _Described) -> Adapter | None:
        """Return what the run's adapter was tuned on; None for a run without one."""
        found: dict[str, str] = {}
        enabled = ""
        for key, value in one.arguments.items():
            text = str(value).strip()
            if not _ADAPTER.search(key) or text.lower() in ("", "none", "false", "0"):
                continue
            if text.lower() == "true" or re.fullmatch(r"[\d.]+", text):
                enabled = key if key == "enable_lora" or text.lower() == "true" else enabled
            elif key in _NAMES_ADAPTER or _same_path(text) in self._adapters:
                found[key] = _same_path(text)
            elif not _NO_ADAPTER.search(key):
                raise UserError(f"{one.results.path}: model_args has {key}={text}: unclear which adapter that is")
        if len(set(found.values())) > 1 or (enabled and not found):
            said = ", ".join(f"{key}={value}" for key, value in (found or {enabled: "True"}).items())
            raise UserError(f"{one.results.path}: model_args has {said}: unclear which adapter that is")
        for adapter in found.values():
            if adapter not in self._adapters:
                raise UserError(self._unknown_adapter(one.results.path, adapter))
            return self._adapters[adapter]
        return None

    def _unknown_adapter(self, place: Path, adapter: str) -> str:
        """Says the line that would be right, with the settings of the nearest adapter in the map."""
        nearest = difflib.get_close_matches(adapter, self._adapters, n=1)
        settings = "source: TASK/LANGUAGE, seed: 0"
        if nearest:
            like = self._adapters[nearest[0]].model_dump(exclude_unset=True)
            settings = ", ".join(f"{key}: {value}" for key, value in like.items())
        return (
            f"{place}: {UnknownName('adapter', adapter, self._adapters)}; under `adapters:` in {self._file} add the "
            f"line `{adapter}: {{{settings}}}`"
        )

    @property
    def _file(self) -> str:
        return f"--map {self._path}" if self._path is not None else "the file of --map"

    def targets(self, runs: Sequence[Run]) -> dict[str, tuple[str, str]]:
        """Task and language of each of lm-eval's task names in the runs that is not left out.

        Raises:
            UserError: names of which neither the map nor the name itself (`<task>_<language>`) says it, with the lines
                that would.
        """
        targets: dict[str, tuple[str, str]] = {}
        unknown: dict[str, Path] = {}
        for run in runs:
            for name in run.results.tasks:
                if name in self._names.leave_out or name in targets:
                    continue
                task, _, language = name.rpartition("_")
                if name in self._names.tasks:
                    task, _, language = self._names.tasks[name].partition("/")
                elif not task or language not in THREE_LETTERS:
                    unknown.setdefault(name, run.results.path)
                    continue
                targets[name] = (task, language)
        if unknown:
            name, place = next(iter(unknown.items()))
            lines = "; ".join(f"`{name}: {name}/LANGUAGE`" for name in unknown)
            raise UserError(
                f"{place}: task {name!r}: its language is not known; add {lines} under `tasks:` in {self._file}, or "
                f"`leave_out: [{', '.join(unknown)}]`"
            )
        return targets

    def unused(self, runs: Sequence[Run]) -> Iterator[str]:
        """Yield a line for each name of the map that is nobody's, but much like one in the results."""
        described = [_Described.of(run.results) for run in runs]
        pretrained = {one.pretrained for one in described}
        tasks = {name for run in runs for name in run.results.tasks}
        for section, named, there in (
            ("models", self._names.models, pretrained),
            ("checkpoints", self._names.checkpoints, pretrained),
            ("tasks", self._names.tasks, tasks),
            ("leave_out", self._names.leave_out, tasks),
        ):
            for name in named:
                nearest = difflib.get_close_matches(_same_path(name), there, n=1)
                if _same_path(name) not in there and nearest and nearest[0] not in map(_same_path, named):
                    yield f"{self._file}: {section}: no results are of {name!r}; they have {nearest[0]!r}"


@dataclass(frozen=True)
class _Described:
    """A results file and what it says of its model."""

    results: ResultsFile
    arguments: Mapping[str, Any]
    pretrained: str
    revision: str

    @classmethod
    def of(cls, results: ResultsFile) -> _Described:
        config = results.content["config"]
        arguments = _arguments(config.get("model_args"))
        named = next((str(arguments[key]) for key in _MODEL if arguments.get(key)), None)
        pretrained = named or str(config.get("model_name") or results.content.get("model_name") or config.get("model"))
        revision = config.get("model_sha") or config.get("model_revision") or arguments.get("revision") or "main"
        return cls(results, arguments, _same_path(pretrained), str(revision))


def read_map(file: Path | None) -> LmEvalMap:
    """Return the map in a YAML file; an empty one if there is none. Raises UserError with the line of a mistake."""
    if file is None:
        return LmEvalMap(_Names())
    return LmEvalMap(read_yaml(file, "`adapters:`, `tasks:` and `models:`").validated(_Names), file)


def _same_path(name: str) -> str:
    """`./out/a/` and `out/a` are one."""
    return name.removeprefix("./").rstrip("/") or name


def _arguments(value: Any) -> dict[str, Any]:
    """`model_args` of a results file, a mapping or the command line's `name=value,...`."""
    if isinstance(value, Mapping):
        return {str(key): inner for key, inner in value.items() if inner is not None}
    pairs = (part.partition("=") for part in str(value or "").split(","))
    return {key.strip(): inner for key, _, inner in pairs if key.strip()}
