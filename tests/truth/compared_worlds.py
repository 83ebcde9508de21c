"""Worlds of stated rates and of finer questions: the harm threshold, stated power, probabilities, contrasts, items."""

from __future__ import annotations

import numpy as np

from compute.verbs.sensitivity import Design as PlannedDesign
from compute.verbs.sensitivity import smallest_of_cell, smallest_of_regime
from tests.truth import judges as ask
from tests.truth.population import Design, Plant
from tests.truth.power import components
from tests.truth.world import Draw, World, accuracies, cell_design, cells_of


def at_the_threshold(rng: np.random.Generator) -> Plant:
    """Every cell at exactly -1 pp."""
    design = cell_design()
    return Plant(design, accuracies(rng, design), np.full(design.shape, -1.0))


def of_probability(share: float) -> Draw:
    """The same as `some_effects` in the right choice's probability; a share of 0: nothing."""
    sources, targets = cells_of("odds", 3) + cells_of("even", 3), cells_of("odds", 4) + cells_of("even", 3)
    design = Design(sources, targets, 1, 400, 3)

    def draw(rng: np.random.Generator) -> Plant:
        tuned = rng.choice([-8.0, -5.0, 5.0, 8.0], design.shape) * (rng.random(design.shape) < share)
        return Plant(design, accuracies(rng, design), tuned, of_probability=True)

    return draw


def at_the_edge(n_seeds: int, share: float = 0.3) -> Draw:
    """A share of the transfer cells changed by as much as `transfer power` says is found with 80 %."""
    design = cell_design(400, n_seeds)

    def draw(rng: np.random.Generator) -> Plant:
        change = smallest_of_cell(components(), planned(design), design.n_items, share)
        chosen = rng.permutation(np.argwhere(~own_cells(design)))
        tuned = np.zeros(design.shape)
        for s, t in chosen[: round(share * len(chosen))]:
            tuned[0, s, t] = rng.choice([-1, 1]) * 100 * (change or np.nan)
        return Plant(design, accuracies(rng, design), tuned)

    return draw


def regime_at_the_edge(rng: np.random.Generator) -> Plant:
    """All cells changed by as much as `transfer power` says of the mean over all transfer cells."""
    design = cell_design()
    change = smallest_of_regime(components(), planned(design), "transfer")
    return Plant(design, accuracies(rng, design), np.full(design.shape, 100 * (change or np.nan)))


def own_cells(design: Design) -> np.ndarray:
    """Which cells are trained cells, [source, target]."""
    return np.array([[source == target for target in design.targets] for source in design.sources])


def planned(design: Design) -> PlannedDesign:
    """The design as `transfer power` has it of a study file."""
    items = dict.fromkeys(design.targets, design.n_items)
    return PlannedDesign(
        design.n_models, design.sources, design.targets, items, design.n_seeds, design.n_placebo_seeds
    )  # fmt: skip


def contrasted(share: float) -> Draw:
    """Any tuning costs 3 pp; beyond it, under tuning only, a share of the targets gains or loses 8 pp."""
    sources = cells_of("add", 3) + cells_of("sort", 3)
    design = Design(sources, cells_of("add", 4) + cells_of("sort", 3), 1, 400, 2, 2)
    names = ["/".join(source) for source in sources]
    arms = {
        "placebo": {"a": {}, "b": {"control": "placebo"}},
        "sources": {"a": {"source": names[0]}, "b": {"source": names[1]}},
    }

    def draw(rng: np.random.Generator) -> Plant:
        placebo = np.full(design.shape, -3.0)
        of_target = rng.choice([-8.0, 8.0], len(design.targets)) * (rng.random(len(design.targets)) < share)
        return Plant(design, accuracies(rng, design), placebo + of_target, placebo=placebo, contrasts=arms)

    return draw


def with_broken_items(broken: int) -> Draw:
    """Cells at nothing or ±5 pp; some items of the first task are lost by nearly all adapters of three models."""
    sources = cells_of("add", 3) + cells_of("sort", 3)
    design = Design(sources, cells_of("add", 4) + cells_of("sort", 3), 3, 200, 2)

    def draw(rng: np.random.Generator) -> Plant:
        tuned = rng.choice([-5.0, 0.0, 5.0], design.shape)
        return Plant(design, accuracies(rng, design), tuned, broken=broken)

    return draw


def compared_worlds() -> tuple[World, ...]:
    """Return the worlds of this module."""
    return (
        World(
            "at the threshold", "every cell at exactly -1 pp, the harm threshold: 400 items, 2 seeds", at_the_threshold,
            (*ask.NO_HARM_AT_THE_THRESHOLD, ask.CELLS_COVER),
        ),
        *(
            World(
                f"at the edge, {n} seeds", f"30 % of the cells changed by what `transfer power` states: 400 items, {n}"
                " seeds", at_the_edge(n), (ask.POWER_AS_STATED, ask.FALSE_DISCOVERIES),
            )
            for n in (2, 3)
        ),
        World(
            "a regime at the edge", "every cell changed by what `transfer power` states of the mean over all of them",
            regime_at_the_edge, (ask.REGIME_POWER_AS_STATED,),
        ),
        World(
            "probability: nothing",
            "no adapter changes the right choice's probability: luck 3.6 pp, 400 items, 3 seeds",
            of_probability(0), (ask.NO_PROBABILITY_FOUND, ask.PROBABILITIES_COVER),
        ),
        World(
            "probability: some effects", "30 % of the cells at ±5 or ±8 pp of probability, else nothing",
            of_probability(0.3),
            (ask.FALSE_PROBABILITIES, ask.POWER_OF_PROBABILITIES, ask.POWER_OF_ACCURACY, ask.PROBABILITIES_COVER),
        ),
        World(
            "contrasts: nothing", "tuning and placebo cost 3 pp alike, sources are alike: 400 items, 2 and 2 seeds",
            contrasted(0), (ask.NO_CONTRAST, ask.NO_CONTRAST_VERDICT, *ask.CONTRASTS_COVER),
        ),
        World(
            "contrasts: some effects", "30 % of the targets 8 pp apart between tuning and placebo, else alike",
            contrasted(0.3), (ask.FALSE_CONTRASTS, ask.POWER_OF_CONTRASTS, *ask.CONTRASTS_COVER),
        ),
        World(
            "items: nothing", "cells at nothing or ±5 pp: 3 models, 6 sources, 200 items, 2 seeds",
            with_broken_items(0),
            (ask.NO_OTHER_ITEM_LOST, ask.NO_ITEM_GAINED),
        ),
        World(
            "items: five broken", "the same; five items of a task are lost by nearly all adapters",
            with_broken_items(5),
            (ask.BROKEN_ITEMS_FOUND, ask.NO_OTHER_ITEM_LOST, ask.NO_ITEM_GAINED),
        ),
    )  # fmt: skip
