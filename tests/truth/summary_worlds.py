"""Worlds of what is said of a whole study: whether advice pays, what a source does on and off its task, distances."""

from __future__ import annotations

import numpy as np

from tests.truth.judges import Judge, rate_of
from tests.truth.population import Design, Plant
from tests.truth.rates import Reach
from tests.truth.world import Draw, World, accuracies, cells_of

AHEAD_PP = 16.0
"""By how much the best source of a target is ahead of others that give nothing."""
SLOPE_PP = -14.0
"""Transfer for each unit of distance."""


def best_sources(*, are_shared: bool) -> Draw:
    """A best source for each target, the same for all three models or each model's own."""
    design = Design(cells_of("add", 4), cells_of("sort", 4), 3, 400, 2)
    models, sources, targets = design.shape

    def draw(rng: np.random.Generator) -> Plant:
        best = rng.integers(sources, size=(1 if are_shared else models, targets))
        tuned = AHEAD_PP * (np.arange(sources)[:, None] == best[:, None, :]) + np.zeros(design.shape)
        return Plant(design, accuracies(rng, design, 0.35, 0.65), tuned)

    return draw


def of_one_task(on_pp: float, off_pp: float) -> Draw:
    """Four sources of a task; one is ahead by `on_pp` on it and by `off_pp` off it, the others give nothing."""
    design = Design(cells_of("add", 4), cells_of("add", 4) + cells_of("sort", 4), 1, 200, 2)

    def draw(rng: np.random.Generator) -> Plant:
        chosen = int(rng.integers(len(design.sources)))
        tuned = np.zeros(design.shape)
        tuned[:, chosen, :4], tuned[:, chosen, 4:] = on_pp, off_pp
        plant = Plant(design, accuracies(rng, design), tuned)
        plant.facts["planted"] = design.sources[chosen][1]
        return plant

    return draw


def far_and_near(slope_pp: float) -> Draw:
    """Four sources and nine targets of one task; sources and targets differ, and distance takes `slope_pp` a unit.

    A language's own part makes its distances alike, so that pairs are not independent.
    """
    design = Design(cells_of("add", 4), cells_of("add", 9), 1, 400, 2)
    _, sources, targets = design.shape

    def draw(rng: np.random.Generator) -> Plant:
        own, noise = rng.random((targets, 1)), rng.random((targets, targets))
        distance = np.abs(own - own.T) + 0.1 * (noise + noise.T)
        tuned = rng.normal(0, 3, (sources, 1)) + rng.normal(0, 3, targets) + slope_pp * distance[:sources]
        plant = Plant(design, accuracies(rng, design, 0.4, 0.6), np.clip(tuned, -35, 35)[None])
        plant.distance = distance
        return plant

    return draw


def _of(recommender: str, column: str) -> str:
    """The mean over models left out, of one study."""
    kept = f"recommender = '{recommender}'"
    return (
        f"case when count({column}) filter (where {kept}) = count(*) filter (where {kept})"
        f" then avg({column}) filter (where {kept}) end"
    )


def _mean(name: str, reach: Reach, view: str, value: str) -> Judge:
    return Judge(name, reach, view, f"select study, {value} from {view} group by study", kind="mean")


REGRET, NDCG, REGRET_AT_RANDOM = (
    _mean(name, reach, "advice_eval", _of(recommender, column))
    for name, recommender, column, reach in (
        ("regret of advice, pp: mean", "advice", "regret", Reach(high=0.6)),
        ("NDCG of advice: mean", "advice", "ndcg", Reach(low=0.95)),
        ("regret at random, three quarters of the lead, pp: mean", "random", "regret",
         Reach(0.75 * AHEAD_PP - 0.6, 0.75 * AHEAD_PP + 0.6)),
    )
)  # fmt: skip
NO_LEAD, NO_LEAD_IN_NDCG, NO_LEAD_OF_LANGUAGE = (
    _mean(
        f"{column} of {recommender.replace('_', ' ')} less that at random: mean", reach, "advice_eval",
        f"{_of(recommender, column)} - {_of('random', column)}",
    )
    for recommender, column, reach in (
        ("advice", "regret", Reach(-0.5, 0.5)), ("advice", "ndcg", Reach(-0.04, 0.04)),
        ("same_language", "regret", Reach(-0.5, 0.5)),
    )
)  # fmt: skip

ON_AND_OFF = tuple(
    _mean(
        f"{side}_task_pp less its truth: mean, pp", Reach(-0.2, 0.2), "asymmetry",
        f"case when count({side}_task_pp) = count(*) then avg({side}_task_pp - true_{side}_pp) end",
    )
    for side in ("on", "off")
)  # fmt: skip
THE_PLANTED_IS_PARETO = rate_of(
    "the planted source is Pareto", "asymmetry", "is_pareto", Reach(low=0.9), where="source_language = planted"
)
OTHERS_ARE_DOMINATED = rate_of(
    "others are", "asymmetry", "is_pareto", Reach(high=0.05), where="source_language != planted", unknown=True
)
NO_SOURCE_ALONE = Judge(
    "studies in which one source alone is Pareto", Reach(high=0.05), "asymmetry",
    "select study, cast(coalesce(count_if(is_pareto) = 1, true) as integer), 1 from asymmetry group by study",
)  # fmt: skip

DISTANCE_FOUND = rate_of(
    "regressions of p ≤ .05",
    "typology",
    "regression_p_value <= 0.05",
    Reach(low=0.8),
    "rpt_pair_correlations.regression_p_value",
)
NO_DISTANCE_FOUND = rate_of(
    "regressions of p ≤ .05", "typology", "regression_p_value <= 0.05", Reach(high=0.05),
    "rpt_pair_correlations.regression_p_value", unknown=True,
)  # fmt: skip


def slope(true_pp: float) -> Judge:
    """The mean slope, beside the planted one."""
    return _mean(
        f"slope, {true_pp:g} pp: mean", Reach(true_pp - 1, true_pp + 1), "typology", "any_value(regression_slope_pp)"
    )


def summary_worlds() -> tuple[World, ...]:
    """Return the worlds of this module."""
    return (
        World(
            "advice pays", "4 sources and 4 targets of another task; each target has one source 16 pp ahead of others"
            " that give nothing, the same for 3 models", best_sources(are_shared=True),
            (REGRET, NDCG, REGRET_AT_RANDOM, NO_LEAD_OF_LANGUAGE),
        ),
        World(
            "advice is worth nothing", "the same, but each model has a best source of its own",
            best_sources(are_shared=False), (NO_LEAD, NO_LEAD_IN_NDCG, NO_LEAD_OF_LANGUAGE),
        ),
        World(
            "on and off task", "one of 4 sources is 10 pp ahead on its task and off it: 1 model, 200 items, 2 seeds",
            of_one_task(10, 10), (*ON_AND_OFF, THE_PLANTED_IS_PARETO, OTHERS_ARE_DOMINATED),
        ),
        World(
            "on against off task", "one of 4 sources is 10 pp ahead on its task and 10 pp behind off it",
            of_one_task(10, -10), (*ON_AND_OFF, THE_PLANTED_IS_PARETO, NO_SOURCE_ALONE),
        ),
        World(
            "distance matters", "transfer falls by 14 pp a unit of distance; 4 sources and 9 targets that differ by SD"
            " 3 pp, 400 items, 2 seeds", far_and_near(SLOPE_PP), (DISTANCE_FOUND, slope(SLOPE_PP)),
        ),
        World(
            "distance does not matter", "the same, but distance takes nothing", far_and_near(0),
            (NO_DISTANCE_FOUND, slope(0)),
        ),
    )  # fmt: skip
