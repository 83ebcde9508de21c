"""What the parts of a study are made of: names, languages, lists without repeats, and the closed section."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from compute.names import UnknownName

Location = tuple[str | int, ...]
"""Keys and positions, from a model down to what it holds."""

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

RandomSeeds = Annotated[tuple[Annotated[int, Field(ge=0, lt=2**32)], ...], NoRepeats]
Languages = Annotated[tuple[Language, ...], Field(min_length=1), NoRepeats]


class Section(BaseModel):
    """Part of a study: immutable, and unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)


def refusal(location: Location, why: Exception | str) -> ValidationError:
    """Return what a validator raises to say something of a part of what it validates.

    Args:
        location: of the part, from the model or field that is validated.
        why: as a line.
    """
    return ValidationError.from_exception_data("part", [_refusal(location, why)])


def _refusal(location: Location, why: Exception | str) -> InitErrorDetails:
    return InitErrorDetails(
        type=PydanticCustomError("value_error", "{why}", {"why": str(why)}), loc=location, input=None
    )


def check_settings(model: type[BaseModel], settings: Mapping[str, Any], location: Location = ()) -> None:
    """Check settings whose model depends on a name beside them.

    Raises:
        ValidationError: they do not fit; for an unknown key it has the nearest. `location` is that of the settings.
    """
    try:
        model(**settings)
    except ValidationError as error:
        details = [
            _refusal((*location, *one["loc"]), UnknownName("key", str(one["loc"][-1]), model.model_fields))
            if one["type"] == "extra_forbidden"
            else InitErrorDetails(
                type=one["type"], loc=(*location, *one["loc"]), input=one["input"], ctx=one.get("ctx", {})
            )
            for one in error.errors()
        ]
        raise ValidationError.from_exception_data(model.__name__, details) from None
