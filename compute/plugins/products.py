"""What plugins make that others look for in the plan, without knowing who made it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from compute.language_models.stored_reading import AS_MOST, Reading
from compute.plugin import JobConfig, Made, Product, digest

if TYPE_CHECKING:
    from compute.embeddings.settings import VectorSet
    from compute.language_models.revisions import Revision
    from compute.study.schema import ModelEntry


@dataclass(frozen=True)
class TaskItems(Product):
    """The items of a task in a language."""

    task: str
    language: str

    kind = "items"

    @property
    def name(self) -> str:
        return f"{self.task}/{self.language}"


@dataclass(frozen=True)
class CheckpointPlace:
    """Where a checkpoint is loaded from, and how."""

    checkpoint: str
    revision: str | None
    dtype: str
    chat_template: bool
    trust_remote_code: bool


def checkpoint_place(entry: ModelEntry, revision: Revision) -> CheckpointPlace:
    """Return where a checkpoint is that is loaded as a model of a study is, at a revision."""
    return CheckpointPlace(
        revision.location, revision.commit, entry.dtype, entry.chat_template, entry.trust_remote_code
    )


@dataclass(frozen=True)
class BaseModel(Product):
    """A language model to tune and to score; without a place it is the artifact of the job that made it."""

    model: str
    place: CheckpointPlace | None = None
    reading: Reading = AS_MOST

    kind = "model"

    @property
    def name(self) -> str:
        return self.model


@dataclass(frozen=True)
class LanguageVectors(Product):
    """A vector set's vectors of a language."""

    vectors: str
    language: str

    kind = "vectors"

    @property
    def name(self) -> str:
        return f"{self.vectors}/{self.language}"


class MappingKeys(JobConfig):
    """By which rows about mapped vectors are told apart."""

    method: str
    variant: str
    vectors: str
    """`name@digest`"""
    source_language: str
    target_language: str
    dictionary_size: int
    """Training pairs; 0: none are needed."""
    seed: int

    @property
    def keys(self) -> dict[str, str | int]:
        """The columns of these names."""
        return {name: getattr(self, name) for name in MappingKeys.model_fields}


MAPPED = "mapped"
"""The input of jobs on mapped vectors: the job that mapped them."""


@dataclass(frozen=True)
class MappedVectors(Product):
    """The vectors of two languages in one space: an artifact with `source/` and `target/`."""

    keys: MappingKeys
    train_sha256: str | None
    """Of the training pairs."""
    lower_case: bool
    """True: the words of both vocabularies are in lower case."""
    what: str
    """For labels; without the seed."""
    batch: str
    """Of which jobs on it are to be."""

    kind = "mapping"

    @property
    def name(self) -> str:
        return f"{self.what} seed {self.keys.seed}"


def model_label(name: str, key: str) -> str:
    """Return `name@digest`: a model as named in rows, tied to the job (its key) that made or found it."""
    return f"{name}@{key[:8]}"


def label_of(base: Made[BaseModel]) -> str:
    """Return a model as named in rows."""
    return model_label(base.product.model, base.key)


def vectors_label(name: str, settings: VectorSet) -> str:
    """Return `name@digest`: a vector set as named in rows, tied to exactly these settings; the content of files is in
    the keys of the jobs that read them, one a language."""
    return f"{name}@{digest(settings.identity())[:8]}"
