"""What a plugin is, and where plugins are found.

Adding one: (1) write a file with a `Plugin` subclass, (2) name it in `ON_REQUEST` below, or, outside this
repository, in an entry point of the group `transfer.plugins`, (3) ask for it in a study under `plugins:`. A plugin of
one of the study's own sections is named in `BUILT_IN` and asked for by that section.
"""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel

from compute.errors import JobError, UserError
from compute.names import UnknownName

if TYPE_CHECKING:
    from compute.artifacts import ArtifactStore
    from compute.study import Study

Rows = Sequence[Mapping[str, Any]]
Outcome = Mapping[str, Rows] | JobError
"""What a job came to: rows by raw table, or why it failed."""


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spaces: equal values give equal text. NaN is refused."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest(value: Any) -> str:
    """SHA-256 of the canonical JSON of `value`, 64 hex digits."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


@dataclass(frozen=True)
class Job:
    """One unit of computation, a value: equal `key`, equal result.

    The key is made of the plugin, its version, the configuration and the keys (or digests) of the inputs;
    the remaining fields say how to run it and do not decide what comes out.
    """

    plugin: str
    version: str
    config: Mapping[str, Any]
    inputs: tuple[str, ...] = ()
    label: str = ""
    """For people, e.g. `transfer llama-s: compare/de seed 17`."""
    batch: str = ""
    """Jobs of one plugin with the same batch share a base and are run in one visit, in plan order."""
    cost: float = 1.0
    """Expected duration in arbitrary but common units; drives the order of work and the expected end."""
    provides: tuple[str, str] | None = None
    """(kind, name) under which later plugins find this job in the plan, e.g. `("model", "llama-s")`."""
    leaves_artifact: bool = False
    """True: its result includes `artifacts/<key>/`, which jobs that list it as an input read."""
    hints: Mapping[str, Any] = field(default_factory=dict)
    """Plain values that a run needs and that decide nothing, such as where a file lies on this machine; whatever of
    them can change the result stands in `config` as a digest."""

    @cached_property
    def key(self) -> str:
        return digest([self.plugin, self.version, self.config, list(self.inputs)])


class Planned:
    """The jobs planned so far, in order, and the products by which later plugins find them."""

    def __init__(self) -> None:
        self.jobs: dict[str, Job] = {}
        self._products: dict[tuple[str, str], Job] = {}

    def add(self, job: Job) -> None:
        self.jobs.setdefault(job.key, job)
        if job.provides is not None:
            self._products.setdefault(job.provides, job)

    def find(self, kind: str, name: str) -> Job:
        """The job that provides (`kind`, `name`); raises UserError with the nearest name if there is none."""
        try:
            return self._products[kind, name]
        except KeyError:
            known = [product for product_kind, product in self._products if product_kind == kind]
            raise UserError(str(UnknownName(kind, name, known))) from None


@dataclass(frozen=True)
class Context:
    """What a running plugin may use: its device, the artefact store, and a way to say how far it is."""

    device: str
    artifacts: ArtifactStore
    report_progress: Any = field(default=lambda text, fraction: None, repr=False)
    """`report_progress(text, fraction)`: fraction of the batch done, 0 to 1."""
    note: Any = field(default=lambda text: None, repr=False)
    """`note(text)`: a line that the user is told for certain; of progress only what is on the screen is seen."""


class Plugin(ABC):
    """Declares the jobs of a study and runs them. Pure: it opens no database and imports no other plugin."""

    name: ClassVar[str]
    version: ClassVar[str]
    """Raise it when the same configuration would give other numbers: every job key depends on it."""
    Config: ClassVar[type[BaseModel] | None] = None
    """How the plugin's section under `plugins:` is checked; None for plugins of the study's own sections."""

    @abstractmethod
    def plan(self, study: Study, planned: Planned, config: Any) -> Iterable[Job]:
        """The jobs `study` asks of this plugin; `config` is an instance of `Config`, if there is one."""

    @abstractmethod
    def run(self, jobs: Sequence[Job], context: Context) -> Iterator[tuple[Job, Outcome]]:
        """Run jobs of one batch; yield each with its rows by raw table, or a JobError, as it finishes."""


BUILT_IN: dict[str, str] = {
    "items": "compute.plugins.items:Items",
    "pretrain": "compute.plugins.pretrain:Pretrain",
    "checkpoint": "compute.plugins.checkpoint:Checkpoint",
    "baseline": "compute.plugins.baseline:Baseline",
    "transfer": "compute.plugins.transfer:Transfer",
    "vectors": "compute.plugins.vectors:TrainVectors",
    "isometry": "compute.plugins.isometry:Isometry",
    "mapping": "compute.plugins.mapping:Map",
    "bli": "compute.plugins.bli:InduceLexicon",
    "cldc": "compute.plugins.cldc:ClassifyDocuments",
    "clir": "compute.plugins.clir:RetrieveDocuments",
    "xnli": "compute.plugins.xnli:InferRelations",
}
"""Plugins of the study's own sections, in planning order: name -> "module:Class", imported on first use."""

ON_REQUEST: dict[str, str] = {
    "uriel": "compute.plugins.uriel:Uriel",
}
"""Plugins of ours that a study asks for by name under `plugins:`, as it does for others'."""

ENTRY_POINT_GROUP = "transfer.plugins"


def _locations() -> dict[str, str]:
    found = {point.name: point.value for point in entry_points(group=ENTRY_POINT_GROUP)}
    return found | ON_REQUEST | BUILT_IN


def optional_plugins() -> list[str]:
    """Names that a study may use under `plugins:`."""
    return sorted(set(_locations()) - set(BUILT_IN))


def load_plugin(name: str) -> Plugin:
    """The plugin of that name, imported now. Raises UserError naming the module and what it lacks."""
    locations = _locations()
    if name not in locations:
        raise UserError(str(UnknownName("plugin", name, locations)))
    module_name, _, class_name = locations[name].partition(":")
    try:
        plugin_class = getattr(import_module(module_name), class_name)
    except ImportError as error:
        raise UserError(f"plugin {name!r}: cannot import {module_name}: {error}") from error
    except AttributeError:
        raise UserError(f"plugin {name!r}: module {module_name} has no class {class_name!r}") from None
    if not (isinstance(plugin_class, type) and issubclass(plugin_class, Plugin)):
        raise UserError(f"plugin {name!r}: {module_name}:{class_name} is not a compute.plugin.Plugin")
    return plugin_class()


def configure(plugin: Plugin, section: Mapping[str, Any]) -> BaseModel | None:
    """A plugin's section of a study, checked; pydantic's ValidationError if it does not fit."""
    return None if plugin.Config is None else plugin.Config(**section)
