"""What `transfer import lm-eval --map` says: which adapter is which source, which task name which task and language.

models:                           # by `pretrained`; left out: the name's last part @ its revision
  meta-llama/Llama-3.2-1B: llama-1b@4e20de3
adapters:                         # by `peft`
  out/arc-de-17: {source: arc/de, seed: 17}
  out/arc-de-17-permuted: {source: arc/de, seed: 17, control: placebo}
tasks:                            # by lm-eval's task name
  arc_de: arc/de
  arc_it: arc/it
parallel: [arc]                   # tasks whose doc_id is the same in every language
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from compute.errors import UserError
from compute.names import UnknownName
from compute.yaml_file import read_yaml

_CELL = r"^[^/\s]+/[a-z]{2,3}$"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Adapter(_Part):
    """What an adapter was tuned on."""

    source: str = Field(pattern=_CELL, description="task/language")
    seed: int = Field(0, ge=0)
    control: Literal["placebo"] | None = None
    variant: str = Field("default", min_length=1)


class _Names(_Part):
    models: dict[str, str] = {}
    adapters: dict[str, Adapter] = {}
    tasks: dict[str, str] = {}
    parallel: tuple[str, ...] = ()


@dataclass(frozen=True)
class Run:
    """One run of the harness: the key columns of its rows, less the target's."""

    keys: Mapping[str, Any]

    @property
    def label(self) -> str:
        """For people."""
        keys = self.keys
        tuned = (
            f" on {keys['source_task']}/{keys['source_language']} seed {keys['seed']}" if keys["source_task"] else ""
        )
        return f"{keys['model']}{tuned}"

    def model_row(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """The row of `raw.models`."""
        name, _, revision = self.keys["model"].rpartition("@")
        return {
            "model": self.keys["model"],
            "family": name,
            "parameters": config.get("model_num_parameters"),
            "revision": revision,
        }


class LmEvalMap:
    """The map, asked. Without a file, only base models of tasks called `<task>_<language>` can be imported."""

    def __init__(self, names: _Names) -> None:
        self._names = names
        self.parallel = set(names.parallel)

    def run(self, config: Mapping[str, Any], place: Path) -> Run:
        """The run that a results file's `config` describes.

        Raises:
            UserError: an adapter that the map does not name.
        """
        arguments = _arguments(config.get("model_args"))
        pretrained = arguments.get("pretrained") or str(config.get("model_name") or config.get("model"))
        revision = config.get("model_sha") or config.get("model_revision") or arguments.get("revision") or "main"
        last = pretrained.rstrip("/").rpartition("/")[2]
        model = self._names.models.get(pretrained, f"{last}@{str(revision)[:8]}")
        keys: dict[str, Any] = {"model": model, "variant": "default"}
        keys |= dict.fromkeys(("source_task", "source_language", "control", "seed"))
        adapter = arguments.get("peft")
        if adapter:
            found = self._names.adapters.get(adapter)
            if found is None:
                unknown = UnknownName("adapter", adapter, self._names.adapters)
                raise UserError(f"{place}: {unknown}; name its source under `adapters:` in the file of --map")
            task, _, language = found.source.partition("/")
            keys |= {"variant": found.variant, "source_task": task, "source_language": language}
            keys |= {"control": found.control, "seed": found.seed}
        return Run(keys)

    def task(self, name: str, place: Path) -> tuple[str, str]:
        """Task and language of one of lm-eval's task names.

        Raises:
            UserError: neither the map nor the name itself (`<task>_<language>`) says.
        """
        if name in self._names.tasks:
            task, _, language = self._names.tasks[name].partition("/")
            return task, language
        task, _, language = name.rpartition("_")
        if task and len(language) == 2 and language.isalpha() and language.islower():
            return task, language
        raise UserError(
            f"{place}: task {name!r}: its language is not known; add `{name}: <task>/<language>` under `tasks:` in the "
            "file of --map"
        )


def read_map(file: Path | None) -> LmEvalMap:
    """The map in a YAML file; an empty one if there is none. Raises UserError with the line of a mistake."""
    if file is None:
        return LmEvalMap(_Names())
    return LmEvalMap(read_yaml(file, "`adapters:`, `tasks:` and `models:`").validated(_Names))


def _arguments(value: Any) -> dict[str, str]:
    """`model_args` of a results file, a mapping or the command line's `name=value,...`."""
    if isinstance(value, Mapping):
        return {str(key): str(inner) for key, inner in value.items() if inner is not None}
    pairs = (part.partition("=") for part in str(value or "").split(","))
    return {key.strip(): inner for key, _, inner in pairs if key.strip()}
