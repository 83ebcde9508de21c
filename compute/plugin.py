"""What a plugin is: it declares jobs and runs them. `examples/plugin` has one to begin from."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, Generic, NamedTuple

from pydantic import BaseModel, ConfigDict
from typing_extensions import TypeVar

from compute.errors import JobError, UserError
from compute.names import UnknownName
from compute.registry import Registry

if TYPE_CHECKING:
    from compute.store.artifacts import ArtifactStore
    from compute.study.schema import Study

Rows = Sequence[Mapping[str, Any]]
Outcome = Mapping[str, Rows] | JobError
"""What a job came to: rows by raw table, or why it failed."""


def canonical_json(value: Any) -> str:
    """Return JSON with sorted keys and no spaces: equal values give equal text. NaN is refused."""
    return _CANONICAL.encode(value)


_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest(value: Any) -> str:
    """Return the SHA-256 of the canonical JSON of `value`, 64 hex digits."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


_NOT_KEPT: set[str] = set()


class JobConfig(BaseModel):
    """The configuration of one step of a plugin; a subclass a step. All of it decides the result, but for fields with
    `exclude=True`: they say where something lies on this machine, or how it is reached.

    A job's key depends on these fields. To rename one and keep what has landed, give it its old name as
    `serialization_alias`; to add one, name it in `added`, its default the value with which the numbers are as before.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    added: ClassVar[frozenset[str]] = frozenset()
    """Fields that the key leaves out while they have their default."""

    def model_post_init(self, context: Any) -> None:
        """Share one empty set of fields that were given: nobody asks, and a million jobs would hold 0.7 GB of them."""
        object.__setattr__(self, "__pydantic_fields_set__", _NOT_KEPT)

    def identity(self) -> dict[str, Any]:
        """Return what decides the result, as plain values: part of the key, and `config` in the warehouse."""
        fields = type(self).model_fields
        as_before = {name for name in self.added if getattr(self, name) == fields[name].default}
        return self.model_dump(mode="json", by_alias=True, exclude=as_before)


@dataclass(frozen=True)
class Product(ABC):
    """What a job makes that jobs of other plugins look for. A subclass says of what kind, and all they need to know."""

    kind: ClassVar[str]
    """As an error calls it."""

    @property
    @abstractmethod
    def name(self) -> str:
        """By which it is found among those of its kind in a study."""


Config = TypeVar("Config", bound=JobConfig, default=Any, covariant=True)
AnyProduct = TypeVar("AnyProduct", bound=Product)


@dataclass(frozen=True)
class Job(Generic[Config]):
    """One unit of computation, a value: equal `key`, equal result.

    The key is made of the plugin, its version, the configuration and the inputs;
    the remaining fields say how to run it and do not decide what comes out.
    """

    plugin: str
    version: str
    config: Config
    inputs: Mapping[str, str] = field(default_factory=dict)
    """What it reads, by the name that this plugin has for it: the key of another job, or a digest."""
    label: str = ""
    """For people, e.g. `transfer llama-s: compare/de seed 17`."""
    batch: str = ""
    """Jobs of one plugin with the same batch share a base and are run in one visit, in plan order."""
    cost: float = 1.0
    """Expected duration in arbitrary but common units; drives the order of work and the expected end."""
    work: str = ""
    """What is done, from the general to the special, e.g. `score/llama-s/compare`: from jobs that ran, `transfer plan`
    learns how long others of the most special part they share take for their cost."""
    provides: Product | None = None
    """What later plugins find in the plan."""
    leaves_artifact: bool = False
    """True: its result includes `artifacts/<key>/`, which jobs that list it as an input read."""

    def __post_init__(self) -> None:
        if not isinstance(self.config, JobConfig):
            found = type(self.config).__name__
            raise ValueError(f"job {self.label!r}: its config is a {found}, expected a compute.plugin.JobConfig")

    @property
    def values(self) -> Mapping[str, Any]:
        """The configuration as plain values, as the warehouse has it."""
        return self.config.identity()

    @cached_property
    def key(self) -> str:
        return digest([self.plugin, self.version, self.values, list(self.inputs.values())])


class Made(NamedTuple, Generic[AnyProduct]):
    """A product, and the key of the job that makes it."""

    key: str
    product: AnyProduct


class Planned:
    """The jobs planned so far, in order, and the products by which later plugins find them."""

    def __init__(self) -> None:
        self.jobs: dict[str, Job] = {}
        self._made: dict[tuple[type[Product], str], Made[Any]] = {}

    def add(self, job: Job) -> None:
        self.jobs.setdefault(job.key, job)
        if job.provides is not None:
            self._made.setdefault((type(job.provides), job.provides.name), Made(job.key, job.provides))

    def all(self, kind: type[AnyProduct]) -> list[Made[AnyProduct]]:
        """Return the products of one kind, in plan order."""
        return [made for (of_kind, _), made in self._made.items() if of_kind is kind]

    def find(self, kind: type[AnyProduct], name: str) -> Made[AnyProduct]:
        """Return a product; raise UserError with the nearest name if there is none."""
        if (kind, name) not in self._made:
            raise UserError(str(UnknownName(kind.kind, name, [made.product.name for made in self.all(kind)])))
        return self._made[kind, name]


@dataclass(frozen=True)
class Context:
    """What a running plugin may use: its device, the artifact store, and a way to say how far it is."""

    device: str
    artifacts: ArtifactStore
    report_progress: Callable[[str, float], None] = field(default=lambda text, fraction: None, repr=False)
    """`report_progress(text, fraction)`: fraction of the batch done, 0 to 1."""
    note: Callable[[str], None] = field(default=lambda text: None, repr=False)
    """`note(text)`: a line that the user is told for certain; of progress only what is on the screen is seen."""


class Plugin(ABC):
    """Declares the jobs of a study and runs them. Pure: it opens no database and imports no other plugin."""

    name: ClassVar[str]
    version: ClassVar[str]
    """Raise it when the same configuration would give other numbers: every job key depends on it."""
    imports: ClassVar[tuple[str, ...]] = ()
    """Modules that `run` needs and that take seconds to import: a process does so before its jobs' time is taken."""
    Config: ClassVar[type[BaseModel] | None] = None
    """How the plugin's section under `plugins:` is checked; None for plugins of the study's own sections."""

    @abstractmethod
    def plan(self, study: Study, planned: Planned, config: Any) -> Iterable[Job]:
        """Yield the jobs `study` asks of this plugin; `config` is an instance of `Config`, if there is one."""

    @abstractmethod
    def run(self, jobs: Sequence[Job], context: Context) -> Iterator[tuple[Job, Outcome]]:
        """Run jobs of one batch; yield each with its rows by raw table, or a JobError, as it finishes."""


BUILT_IN: dict[str, str] = {
    "items": "compute.plugins.items:Items",
    "pretrain": "compute.plugins.pretrain:Pretrain",
    "checkpoint": "compute.plugins.checkpoint:Checkpoint",
    "baseline": "compute.plugins.baseline:Baseline",
    "transfer": "compute.plugins.transfer:Transfer",
    "sources": "compute.plugins.sources:Sources",
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
    "nn_rank": "compute.plugins.nn_rank:NnRank",
}
"""Plugins of ours that a study asks for by name under `plugins:`, as it does for others'."""

PLUGINS: Registry[type[Plugin]] = Registry(
    "plugin", "transfer.plugins", {**BUILT_IN, **ON_REQUEST}, "compute.plugin:Plugin"
)


def prepare_plugin(name: str) -> Plugin:
    """Return the plugin of that name, with all that it needs imported now. Raises as `load_plugin`, and ImportError."""
    plugin = load_plugin(name)
    for module in plugin.imports:
        import_module(module)
    return plugin


def optional_plugins() -> list[str]:
    """Return the names that a study may use under `plugins:`."""
    return sorted(set(PLUGINS) - set(BUILT_IN))


def load_plugin(name: str) -> Plugin:
    """Return the plugin of that name, imported now. Raises UnknownName or UserError as a registry does."""
    return PLUGINS.load(name)()


def configure(plugin: Plugin, section: Mapping[str, Any]) -> BaseModel | None:
    """Return a plugin's section of a study, checked; pydantic's ValidationError if it does not fit."""
    return None if plugin.Config is None else plugin.Config(**section)
