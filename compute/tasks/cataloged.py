"""Tasks whose questions are read from cataloged files."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from compute.catalog import Entry, digest, fetch
from compute.tasks.checks import Located, check_distinct_choices, check_questions, with_places
from compute.tasks.order import fair_order
from compute.tasks.sizes import known_size
from compute.tasks.task import Question, Split, Task


@dataclass(frozen=True, kw_only=True)
class CatalogedTask(Task):
    """A task over files of `compute.catalog`.

    Its digest comes from theirs, so a study is planned without reading or fetching one. Questions are in
    `compute.tasks.order.fair_order`.

    Attributes:
        revision: raised when the same files are to give other questions: other splits, fields, choices or order.
    """

    revision: int = 1

    @abstractmethod
    def sources(self, language: str) -> tuple[Entry, ...]:
        """Return the files that the questions of a language are read from."""

    @abstractmethod
    def read(self, language: str, paths: Sequence[Path]) -> Mapping[Split, list[Located]]:
        """Return the questions of all splits that the task has, in any order, each with the row it is from.

        Args:
            paths: of the fetched `sources(language)`, in their order.

        Raises:
            compute.errors.UserError: what a file holds is not as expected; the line names file and row.
        """

    def rules(self) -> tuple[str, ...]:
        """Return what else of this project, besides the code, decides which questions the files give."""
        return ()

    def check(self, splits: Mapping[Split, list[Located]]) -> None:
        """Refuses questions that cannot be asked soundly. Raises UserError."""
        check_questions(self.kind, splits)
        check_distinct_choices(splits)

    def questions(self, language: str, split: Split) -> list[Question]:
        """See `Task.questions`."""
        self.check_language(language)
        return list(_questions(self, language, tuple(fetch(entry) for entry in self.sources(language))).get(split, ()))

    def digest(self, language: str) -> str:
        """See `Task.digest`. Derived from the catalog's digests and the task's revision: no file is read."""
        self.check_language(language)
        return digest(self.sources(language), self.name, str(self.revision), *self.rules())

    def size(self, language: str, split: Split) -> int | None:
        """See `Task.size`."""
        self.check_language(language)
        return known_size(self, language, split)


@lru_cache(maxsize=256)
def _questions(task: CatalogedTask, language: str, paths: tuple[Path, ...]) -> dict[Split, tuple[Question, ...]]:
    splits = task.read(language, paths)
    task.check(splits)
    return {split: fair_order(with_places(located)) for split, located in splits.items()}
