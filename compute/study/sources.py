"""Sources that exist already: adapters and tuned checkpoints, each under the model that it was made from."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints, field_validator, model_validator

from compute.languages import THREE_LETTERS
from compute.names import UnknownName
from compute.values import Language, Name, Section

SEVERAL, UNKNOWN = "mul", "und"
"""ISO 639-2's codes for several languages and for an unknown one; of tasks they mean the same."""

TaskName = Annotated[
    str, StringConstraints(pattern=r"^(lm_eval:.+|[A-Za-z0-9][A-Za-z0-9._-]*)$", min_length=1, max_length=500)
]


class GivenSource(Section):
    """A tuning of the model that exists already: an adapter in PEFT's format, or a whole checkpoint.

    It is scored on the study's targets as the study's own tunings are. What it was tuned on is what is said here: where
    that is several or unknown tasks or languages, its cells have no regime, and a delta like any other.
    """

    name: Name
    """What it is called; the variant of its rows, so that two tunings on one cell are not taken for one."""
    adapter: str | None = Field(None, min_length=1, description="in PEFT's format: a folder, or a name on the hub")
    checkpoint: str | None = Field(None, min_length=1, description="a tuned model: a folder, or a name on the hub")
    revision: str = Field("main", min_length=1, description="on the hub: commit, tag or branch")
    base: str | None = Field(
        None, min_length=1, description="what adapter_config.json calls the base, where that is this model's other name"
    )
    task: TaskName = UNKNOWN
    """What it was tuned on: a task's name; mul: several; und: not known."""
    language: Language = UNKNOWN
    """In which language: ISO 639-1, else 639-3; mul: several; und: not known."""
    seed: int = Field(0, ge=0, lt=2**32, description="tells tunings of one name apart, which are one source's seeds")
    variant: Name | None = Field(
        None, description="in the place of the name: sources of one variant are ranked against each other"
    )

    @property
    def label(self) -> str:
        """Return the variant of its rows."""
        return self.variant or self.name

    @property
    def cell(self) -> tuple[str, str]:
        """(task, language) that it was tuned on."""
        return self.task, self.language

    @field_validator("language")
    @classmethod
    def _is_the_shortest_code(cls, language: str) -> str:
        by_three = {three: two for two, three in THREE_LETTERS.items()}
        if language in by_three:
            raise ValueError(f"{language!r} is written {by_three[language]!r} here: ISO 639-1, else 639-3")
        if len(language) == 2 and language not in THREE_LETTERS:
            raise UnknownName("language of ISO 639-1", language, THREE_LETTERS)
        return language

    @model_validator(mode="after")
    def _is_one_of_both(self) -> GivenSource:
        if (self.adapter is None) == (self.checkpoint is None):
            raise ValueError(f"source {self.name!r}: give its `adapter`, or its `checkpoint`")
        if self.base is not None and self.adapter is None:
            raise ValueError(f"source {self.name!r}: `base` belongs to an adapter; a checkpoint names none")
        return self


def check_given(sources: tuple[GivenSource, ...]) -> tuple[GivenSource, ...]:
    """Return a model's sources; ValueError for two that rows would not tell apart, or one name of two things."""
    by_name: dict[str, GivenSource] = {}
    by_cell: dict[tuple[str, str, str], str] = {}
    seen = set()
    for source in sources:
        if (source.name, source.seed) in seen:
            raise ValueError(f"source {source.name!r} with seed {source.seed} is listed twice; give each its `seed`")
        seen.add((source.name, source.seed))
        first = by_name.setdefault(source.name, source)
        if (first.label, first.cell) != (source.label, source.cell):
            raise ValueError(f"source {source.name!r}: its seeds are of one task, language and variant")
        other = by_cell.setdefault((source.label, *source.cell), source.name)
        if other != source.name:
            raise ValueError(
                f"sources {other!r} and {source.name!r} are both {'/'.join(source.cell)} of variant {source.label!r}; "
                "leave `variant` out, or give each its own"
            )
    return sources
