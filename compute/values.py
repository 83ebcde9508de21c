"""What the parts of a study are made of: names, languages, lists without repeats, and the closed section."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=64)]
"""A name that is safe as a label, a key and a file name."""

Language = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}$")]
"""ISO 639-1, else 639-3."""


def no_repeats(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """The values; ValueError if one is listed twice."""
    for position, value in enumerate(values):
        if value in values[:position]:
            raise ValueError(f"{value!r} is listed twice")
    return values


NoRepeats = AfterValidator(no_repeats)

Seeds = Annotated[tuple[Annotated[int, Field(ge=0, lt=2**32)], ...], NoRepeats]
Languages = Annotated[tuple[Language, ...], Field(min_length=1), NoRepeats]


class Section(BaseModel):
    """Part of a study: immutable, and unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
