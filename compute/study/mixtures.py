"""Mixtures: a model tuned on several of a study's sources at once."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from pydantic import Field, model_validator

from compute.study.contrasts import CellName
from compute.study.sources import SEVERAL
from compute.values import NoRepeats, Section

ItemsOfMixture = Literal["equal", "all"] | Annotated[int, Field(ge=1)]


class Mixture(Section):
    """Sources of the study that one adapter is tuned on together."""

    parts: Annotated[tuple[CellName, ...], Field(min_length=2), NoRepeats]
    """Sources of this study, as task/language; two at least."""
    weights: tuple[Annotated[float, Field(gt=0)], ...] = ()
    """The parts' shares of the items, in their order, in any unit; left out: equal shares."""
    items: ItemsOfMixture = "equal"
    """Items in all: `equal`, as many as the smallest part alone is tuned on; a number; or `all` of every part."""

    @model_validator(mode="after")
    def _weighs_every_part(self) -> Mixture:
        if self.weights and len(self.weights) != len(self.parts):
            raise ValueError(f"expected a weight for each of {len(self.parts)} parts, found {len(self.weights)}")
        if self.weights and self.items == "all":
            raise ValueError("`items: all` takes every item of every part, which leaves nothing to `weights`")
        return self

    @property
    def cells(self) -> list[tuple[str, str]]:
        """(task, language) of each part."""
        return [(task, language) for task, _, language in (part.partition("/") for part in self.parts)]

    @property
    def source(self) -> tuple[str, str]:
        """Task and language: what all parts share, else `mul`."""
        tasks, languages = ({cell[place] for cell in self.cells} for place in (0, 1))
        return (
            tasks.pop() if len(tasks) == 1 else SEVERAL,
            languages.pop() if len(languages) == 1 else SEVERAL,
        )

    @property
    def shares(self) -> tuple[float, ...]:
        """Each part's share of the items; they add up to 1."""
        weights = self.weights or (1.0,) * len(self.parts)
        return tuple(weight / math.fsum(weights) for weight in weights)


def items_of_parts(asked: ItemsOfMixture, shares: Sequence[float], there: Mapping[str, int]) -> list[int]:
    """Return how many items a mixture has of each part: shares of the total, those left over to the largest rests.

    Args:
        asked: `Mixture.items`.
        shares: of each part.
        there: part -> items that it alone is tuned on.

    Raises:
        ValueError: a part has fewer than its share, or its share is less than one item.
    """
    if asked == "all":
        return list(there.values())
    total = min(there.values()) if asked == "equal" else asked
    exact = [round(share * total, 9) for share in shares]
    counts = [math.floor(number) for number in exact]
    by_rest = sorted(range(len(exact)), key=lambda place: (counts[place] - exact[place], place))
    for place in by_rest[: total - sum(counts)]:
        counts[place] += 1
    for part, count, share in zip(there, counts, shares, strict=True):
        if count > there[part]:
            raise ValueError(f"{count} items are asked of {part}, which alone is tuned on {there[part]}")
        if count == 0:
            raise ValueError(f"of {total} items none is left for {part}, whose share is {share:g}")
    return counts
