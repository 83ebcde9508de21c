"""Worlds of mixtures: what an adapter tuned on several sources at once does beside the adapters of its parts."""

from __future__ import annotations

import numpy as np

from tests.truth.judges import Judge, covers, rate_of
from tests.truth.population import Design, Plant
from tests.truth.rates import Reach
from tests.truth.world import Draw, World, accuracies, cells_of

MIXTURE = ("mul", "mul")
PARTS = (("add", "a"), ("add", "b"), ("sort", "a"))
DESIGN = Design((*PARTS, MIXTURE), cells_of("add", 4) + cells_of("sort", 3), 1, 200, 2)


def mixed(parts_pp: tuple[float, ...], mixture_pp: float, dose: float) -> Draw:
    """What each part alone and the mixture do on every target, which differ in how much all of them gain."""

    def draw(rng: np.random.Generator) -> Plant:
        of_target = np.clip(rng.normal(0, 3, len(DESIGN.targets)), -8, 8)
        # The mixture has of it what the parts' sum has, so that it is over the sum by the same on every target.
        shares = np.append(np.ones(len(PARTS)), len(PARTS) * dose)
        tuned = np.array([*parts_pp, mixture_pp])[None, :, None] + shares[:, None] * of_target / shares.max()
        return Plant(DESIGN, accuracies(rng, DESIGN, 0.4, 0.6), tuned, doses=(dose,) * len(PARTS))

    return draw


def found(name: str, comparison: str, reach: Reach, *, unknown: bool) -> Judge:
    """The share of targets above or below what they are compared with, at q ≤ .05."""
    return rate_of(
        name, "mixtures", f"q_over_{comparison} <= 0.05", reach, f"rpt_mixtures.q_over_{comparison}",
        where="target_task is not null", unknown=unknown,
    )  # fmt: skip


def nothing_found(comparison: str, words: str) -> Judge:
    """The share of studies in which a target is told apart from what it is compared with, q ≤ .05, or all of them."""
    return Judge(
        f"studies with a target {words}, q ≤ .05", Reach(high=0.1), "mixtures",
        f"select study, cast(bool_or(coalesce(q_over_{comparison} <= 0.05, true)) as integer), 1 from mixtures"
        " where target_task is not null group by study",
        needs=(f"rpt_mixtures.q_over_{comparison}",),
    )  # fmt: skip


def _covers(comparison: str, words: str, reach: Reach) -> tuple[Judge, ...]:
    return tuple(
        covers(
            f"{words}, {of}: coverage", "mixtures", f"over_{comparison}", f"true_over_{comparison}_pp",
            where=f"target_task is {null}", reach=reach,
        )
        for of, null in (("a target", "not null"), ("all targets", "null"))
    )  # fmt: skip


ADDED_COVERS = _covers("added", "over the sum of the parts", Reach(0.92, 0.98))
BEST_COVERS = _covers("best", "over the best part", Reach(low=0.92))
"""Which part is best is seen in the same answers: the bounds hold for every part, and cover more often."""
NOTHING_OVER_BEST = nothing_found("best", "above the best part")
NOTHING_OVER_ADDED = nothing_found("added", "apart from the sum of its parts")


def mixture_worlds() -> tuple[World, ...]:
    """Return the worlds of this module."""
    return (
        World(
            "mixtures: nothing", "a mixture and its three parts do the same, equal parts: 200 items, 2 seeds",
            mixed((3, 3, 3), 3, 1 / 3), (NOTHING_OVER_BEST, NOTHING_OVER_ADDED, *BEST_COVERS, *ADDED_COVERS),
        ),
        World(
            "mixtures: better", "12 pp above the best of three parts, 14 pp above their mean by weight",
            mixed((3, 0, 0), 15, 1 / 3),
            (
                found("targets above the best part, q ≤ .05", "best", Reach(low=0.6), unknown=False),
                found("targets above the sum of the parts, q ≤ .05", "added", Reach(low=0.8), unknown=False),
                *BEST_COVERS, *ADDED_COVERS,
            ),
        ),
        World(
            "mixtures: parts add up", "all items of three parts that give 6, 4 and 2 pp; the mixture gives 12 pp",
            mixed((6, 4, 2), 12, 1.0), (NOTHING_OVER_ADDED, *BEST_COVERS, *ADDED_COVERS),
        ),
    )  # fmt: skip
