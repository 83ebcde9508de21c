"""Contrasts: two arms of a study that are set against each other on the same items."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from compute.values import Name, NoRepeats, Section

CellName = Annotated[str, Field(pattern=r"^[^/]+/[^/]+$", description="task/language")]


class Arm(Section):
    """One arm: what is said of it holds for its cells, the rest is as in the other arm.

    `variant` and `control` left out in one arm alone are 'default' and 'tuned' there.
    """

    variant: Name | None = Field(None, description="a label of `variants`, or default")
    control: Literal["tuned", "placebo"] = "tuned"
    """The adapters as asked for, or those on permuted labels."""
    model: str | None = Field(None, min_length=1, description="a model's name")
    source: str | None = Field(
        None, min_length=1, description="the cell tuned on, as task/language, or the name of a mixture or given source"
    )
    prompt: str | None = Field(None, min_length=1, description="the prompt evaluated with (imports)")


class Contrast(Section):
    """Arm `a` against arm `b`, over all targets that both have, or those named; one family of tests."""

    a: Arm = Arm()
    """The arm from which the other is taken."""
    b: Arm = Arm()
    """The arm that is taken from it."""
    targets: Annotated[tuple[CellName, ...], NoRepeats] = ()
    """Targets compared, as task/language; left out: all that both arms have."""

    @model_validator(mode="after")
    def _arms_differ(self) -> Contrast:
        return self.checked()

    def checked(self) -> Contrast:
        """Return itself; ValueError if the arms are the same, or one says what the other leaves open."""
        said = [(name, getattr(self.a, name), getattr(self.b, name)) for name in ("model", "source", "prompt")]
        for name, one, other in said:
            if (one is None) != (other is None):
                raise ValueError(f"{name} is said of arm {'a' if other is None else 'b'} alone; say it of both")
        variants = {arm.variant or "default" for arm in (self.a, self.b)}
        if len(variants) == 1 and self.a.control == self.b.control and all(one == other for _, one, other in said):
            raise ValueError("the arms are the same; set them apart by variant, control, model, source or prompt")
        return self
