"""What a study may say about downstream tasks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field, ValidationInfo, field_validator, model_validator

from compute.embeddings.downstream import CLASSIFIERS, COLLECTIONS, of_task
from compute.embeddings.downstream.classifiers import Classifier
from compute.embeddings.downstream.collections import Collection
from compute.names import UnknownName
from compute.project import expand
from compute.values import RandomSeeds, Section, check_settings

Label = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=64)]


class ClassifierEntry(Section):
    """A classifier with its settings; a bare name means its defaults."""

    name: str = Field(description="as `transfer ls classifiers` lists it")
    label: Label | None = Field(None, description="what its rows are called, where it is listed more than once")
    settings: dict[str, Any] = Field({}, description="what of it is set otherwise than by default")

    @model_validator(mode="before")
    @classmethod
    def _bare_name(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    @property
    def shown(self) -> str:
        """`classifier` of its rows."""
        return self.label or self.name


class Downstream(Section):
    """One task on one collection, for every mapping of the study whose languages the collection has."""

    task: str = Field(description="cldc, clir or xnli")
    collection: str = Field(description="where its items come from")
    folder: str | None = Field(None, min_length=1, description="where a collection that is not cataloged lies")
    classifiers: tuple[ClassifierEntry, ...] = Field(min_length=1, description="by name, or with their settings")
    pairs: tuple[tuple[str, str], ...] | None = Field(
        None, min_length=1, description="pairs it is run on; left out: all of the study's that the collection has"
    )
    seeds: RandomSeeds = Field((), description="of classifiers that draw; left out: that of the mapping")

    @field_validator("task")
    @classmethod
    def _task_is_known(cls, task: str) -> str:
        of_task(CLASSIFIERS, task)
        return task

    @field_validator("collection")
    @classmethod
    def _collection_is_known(cls, collection: str, info: ValidationInfo) -> str:
        if "task" in info.data:
            COLLECTIONS[info.data["task"]].check(collection)
        return collection

    @field_validator("classifiers")
    @classmethod
    def _classifiers_are_known(
        cls, classifiers: tuple[ClassifierEntry, ...], info: ValidationInfo
    ) -> tuple[ClassifierEntry, ...]:
        shown = [entry.shown for entry in classifiers]
        for position, entry in enumerate(classifiers):
            if "task" in info.data:
                CLASSIFIERS[info.data["task"]].check(entry.name)
            if entry.shown in shown[:position]:
                raise ValueError(f"{entry.shown!r} is listed twice: give one of them a `label`")
        for position, entry in enumerate(classifiers if "task" in info.data else ()):
            check_settings(CLASSIFIERS[info.data["task"]].load(entry.name), entry.settings, (position, "settings"))
        return classifiers

    @model_validator(mode="after")
    def _folder_fits(self) -> Downstream:
        reads_folder = COLLECTIONS[self.task].load(self.collection).reads_folder
        if reads_folder and self.folder is None:
            raise ValueError(f"collection {self.collection!r} is read from a folder of yours: say which, as `folder`")
        if not reads_folder and self.folder is not None:
            raise ValueError(f"collection {self.collection!r} is cataloged: it takes no `folder`")
        return self

    def build(self, entry: ClassifierEntry) -> Classifier:
        """Return one of its classifiers with its settings."""
        return CLASSIFIERS[self.task].load(entry.name)(**entry.settings)

    def open(self) -> Collection:
        """Its collection."""
        return open_collection(self.task, self.collection, self.folder)

    def runs_on(self, source: str, target: str) -> bool:
        """Return whether it is run on a pair of the study's."""
        asked = self.pairs is None or (source, target) in self.pairs
        return asked and self.open().covers(source, target)

    def check_pairs(self, of_study: Sequence[tuple[str, str]]) -> None:
        """Raises ValueError where there is nothing to run on, or a pair is named that cannot be."""
        collection = self.open()
        if collection.folder is not None and not collection.folder.is_dir():
            raise ValueError(f"no folder {self.folder}")
        known = ["-".join(pair) for pair in of_study]
        for pair in self.pairs or ():
            if "-".join(pair) not in known:
                raise UnknownName("pair of embeddings.pairs", "-".join(pair), known)
        covered = [pair for pair in self.pairs or of_study if collection.covers(*pair)]
        lacking = [pair for pair in self.pairs or () if pair not in covered]
        if lacking or not covered:
            which = "-".join(lacking[0]) if lacking else "any pair of the study"
            raise ValueError(f"collection {self.collection!r} of {self.task} has no data for {which}")


def open_collection(task: str, name: str, folder: str | None) -> Collection:
    """Return a collection. Raises compute.names.UnknownName: no such task, or it has no such collection."""
    return of_task(COLLECTIONS, task).load(name)(None if folder is None else expand(folder).absolute())
