"""The worlds: what is planted, with a truth to recover and one that must not be found."""

from __future__ import annotations

import numpy as np

from tests.truth import judges as ask
from tests.truth.compared_worlds import compared_worlds
from tests.truth.mixture_worlds import mixture_worlds
from tests.truth.population import Design, Plant
from tests.truth.rates import Reach
from tests.truth.summary_worlds import summary_worlds
from tests.truth.world import Draw, World, accuracies, cell_design, cells_of, unlike

# --- cells ---------------------------------------------------------------------------------------------------------


def nothing(n_seeds: int, luck_pp: float = 3.6, seeds_of: tuple[int, ...] | None = None) -> Draw:
    """No adapter changes what is expected anywhere."""
    design = cell_design(400, n_seeds)

    def draw(rng: np.random.Generator) -> Plant:
        zero = np.zeros(design.shape)
        return Plant(design, accuracies(rng, design), zero, luck_pp=luck_pp, seeds_of=seeds_of)

    return draw


def some_effects(n_seeds: int, share: float = 0.3) -> Draw:
    """A share of the cells at ±5 or ±8 pp, the others at nothing."""
    design = cell_design(400, n_seeds)

    def draw(rng: np.random.Generator) -> Plant:
        tuned = rng.choice([-8.0, -5.0, 5.0, 8.0], design.shape) * (rng.random(design.shape) < share)
        return Plant(design, accuracies(rng, design), tuned)

    return draw


def unlike_luck(rng: np.random.Generator) -> Plant:
    """Baselines below .8, luck of 5.4 pp that differs between sources."""
    design = cell_design()
    accuracy = accuracies(rng, design, 0.3, 0.8)
    return Plant(design, accuracy, rng.normal(0, 3, design.shape), luck_pp=unlike(rng, design, 5.4))


def unlike_accuracies(rng: np.random.Generator) -> Plant:
    """Accuracies from .2 to .99."""
    design = cell_design()
    accuracy = rng.uniform(0.2, 0.99, (1, len(design.targets)))
    tuned = rng.normal(0, 3, design.shape) * (4 * accuracy * (1 - accuracy))[:, None]
    return Plant(design, accuracy, np.clip(tuned, -6, np.minimum(6, 50 * (1 - accuracy))[:, None]))


def one_wild_source(rng: np.random.Generator) -> Plant:
    """One source of six with five times the luck."""
    design = cell_design()
    wild = int(rng.integers(len(design.sources)))
    luck = np.full(len(design.sources), 1.8)
    luck[wild] *= 5
    plant = Plant(design, accuracies(rng, design, 0.4, 0.7), np.zeros(design.shape), luck_pp=luck)
    plant.facts["planted"] = "/".join(design.sources[wild])
    return plant


def one_placebo_seed(rng: np.random.Generator) -> Plant:
    """Two seeds of tuning, one of the placebo; both arms move the answers."""
    design = cell_design(400, 2, 1)
    tuned, placebo = rng.normal(0, 3, design.shape), rng.normal(-1, 2, design.shape)
    return Plant(design, accuracies(rng, design), tuned, placebo=placebo)


# --- roles ---------------------------------------------------------------------------------------------------------


def role_design(n_models: int, n_seeds: int = 2, n_placebo_seeds: int = 2) -> Design:
    """One task in eight languages, each a source and a target."""
    return Design(cells_of("add", 8), cells_of("add", 8), n_models, 200, n_seeds, n_placebo_seeds)


def receptive(donor_pp: float, design: Design, *, is_unlike: bool = False) -> Draw:
    """Equal donors but one that is `donor_pp` ahead, recipients that gain unequally."""

    def draw(rng: np.random.Generator) -> Plant:
        receptivity = np.clip(rng.normal(0, 8, len(design.targets)), -20, 20)
        # All gain where nobody is ahead, so that only being ahead makes a hub; where one is, his lead is his gain.
        receptivity += (0 if donor_pp else 4) - receptivity.mean()
        tuned = np.zeros(design.shape) + receptivity
        donor = int(rng.integers(len(design.sources)))
        tuned[:, donor] += donor_pp
        accuracy = accuracies(rng, design, 0.3, 0.7) if is_unlike else accuracies(rng, design, 0.4, 0.6)
        plant = Plant(design, accuracy, tuned, luck_pp=unlike(rng, design, 3) if is_unlike else 3.6)
        plant.facts["planted"] = design.sources[donor][1] if donor_pp else ""
        return plant

    return draw


def costly(harm_pp: float, cost_pp: float = 4, *, is_unlike: bool = False) -> Draw:
    """Any tuning costs `cost_pp`, the placebo's too; one target loses `harm_pp` more, under tuning only."""
    design = role_design(1)

    def draw(rng: np.random.Generator) -> Plant:
        cost = rng.uniform(2, 8, len(design.targets)) if is_unlike else np.full(len(design.targets), cost_pp)
        placebo = np.zeros(design.shape) - cost
        tuned = placebo.copy()
        target = int(rng.integers(len(design.targets)))
        tuned[:, :, target] -= harm_pp
        accuracy = accuracies(rng, design, 0.3, 0.9) if is_unlike else accuracies(rng, design, 0.4, 0.7)
        luck_pp = unlike(rng, design, 3.6) if is_unlike else 3.6
        plant = Plant(design, accuracy, tuned, placebo=placebo, luck_pp=luck_pp)
        plant.facts["planted"] = design.targets[target][1] if harm_pp else ""
        return plant

    return draw


# --- shares of variance, advice, incomplete grids --------------------------------------------------------------------


def centred(rng: np.random.Generator, standard_deviation: float, *shape: int) -> np.ndarray:
    """Normals of exactly this standard deviation (n - 1 over each axis), with means of 0 along each axis."""
    drawn = rng.standard_normal(shape)
    for axis in range(len(shape)):
        drawn -= drawn.mean(axis=axis, keepdims=True)
    return np.asarray(drawn * standard_deviation / np.sqrt(np.square(drawn).sum() / np.prod(np.array(shape) - 1)))


def crossed(model_source_pp: float, n_models: int = 3) -> Draw:
    """Model, source and target of 3 pp each, target's own with source and model 1.5 pp, model × source as asked."""
    design = Design(cells_of("add", 6), cells_of("add", 6), n_models, 200, 2)
    models, sources, targets = design.shape

    def draw(rng: np.random.Generator) -> Plant:
        tuned = centred(rng, 3, models)[:, None, None] + centred(rng, 3, sources)[:, None] + centred(rng, 3, targets)
        tuned = tuned + centred(rng, 1.5, sources, targets) + centred(rng, 1.5, models, targets)[:, None]
        tuned += centred(rng, model_source_pp, models, sources)[:, :, None]
        plant = Plant(design, accuracies(rng, design, 0.4, 0.65), tuned)
        plant.facts["planted_pp2"] = 3 * 3**2 + 2 * 1.5**2 + model_source_pp**2
        return plant

    return draw


def population_of_models(n_models: int, n_items: int) -> Draw:
    """Models drawn from a population, one of them unseen; how far they spread differs between cells."""
    design = Design(cells_of("add", 6), cells_of("add", 6), n_models, n_items, 2)
    models, sources, targets = design.shape

    def draw(rng: np.random.Generator) -> Plant:
        everywhere = rng.normal(0, 2, (sources, 1)) + rng.normal(0, 4, targets) + rng.normal(0, 2, (sources, targets))
        spread = np.exp(0.3 * rng.standard_normal((sources, targets)))
        own = (
            rng.normal(0, 1.5, (models + 1, 1, 1))
            + rng.normal(0, 1.5, (models + 1, sources, 1))
            + rng.normal(0, 1, (models + 1, 1, targets))
            + spread * rng.normal(0, 2, (models + 1, sources, targets))
        )
        deltas = np.clip(everywhere + own, -28, 28)
        return Plant(design, accuracies(rng, design, 0.35, 0.65), deltas[:-1], new_model=deltas[-1])

    return draw


def learning(rng: np.random.Generator) -> Plant:
    """Half of the sources gain 15 pp on their own cell, nobody anything elsewhere."""
    design = role_design(1, 2, 0)
    learners = rng.permutation(len(design.sources)) < len(design.sources) // 2
    return Plant(design, accuracies(rng, design), np.diag(15.0 * learners)[None])


def agreeing(share: float) -> Draw:
    """Three models whose differences have an SD of 8 pp over targets, of which they share this part of the variance."""
    design = Design(cells_of("add", 4), cells_of("sort", 8), 3, 200, 2)
    models, sources, targets = design.shape

    def draw(rng: np.random.Generator) -> Plant:
        shared, own = rng.normal(0, 8, (sources, targets)), rng.normal(0, 8, (models, sources, targets))
        tuned = np.clip(np.sqrt(share) * shared + np.sqrt(1 - share) * own, -30, 30)
        return Plant(design, accuracies(rng, design, 0.4, 0.6), tuned)

    return draw


def incomplete(target_task: str) -> Draw:
    """One adapter of 18 failed; another model lacks one target of seven."""
    design = Design(cells_of("add", 6), cells_of(target_task, 7), 3, 200, 2)
    models, sources, targets = design.shape

    def draw(rng: np.random.Generator) -> Plant:
        tuned = rng.normal(0, 2, (models, 1, 1)) + rng.normal(0, 3, (sources, 1)) + rng.normal(0, 4, targets)
        first, second = rng.choice(models, 2, replace=False)
        failed, absent = (int(first), int(rng.integers(sources))), (int(second), int(rng.integers(targets)))
        accuracy = accuracies(rng, design, 0.4, 0.6)
        return Plant(
            design, accuracy, np.clip(tuned, -25, 25),
            failed=(failed,), absent=(absent,), absent_is_planned=bool(rng.random() < 0.5),
        )  # fmt: skip

    return draw


# --- the list --------------------------------------------------------------------------------------------------------

BANDS = ((0.2, 0.35), (0.35, 0.65), (0.65, 0.8), (0.8, 0.9), (0.9, 0.95), (0.95, 0.99))


def _worlds() -> tuple[World, ...]:
    cells = (
        World(
            "nothing, 3 seeds", "no adapter changes anything: luck 3.6 pp, 400 items, 3 seeds", nothing(3),
            (ask.NOTHING_FOUND, ask.NO_VERDICT, ask.CELLS_COVER, ask.REGIMES_ABOVE, ask.REGIMES_BELOW),
        ),
        World(
            "nothing, 2 seeds", "the same, 2 seeds", nothing(2),
            (ask.NOTHING_FOUND, ask.NO_VERDICT, ask.CELLS_COVER, ask.CELLS_WIDTH),
        ),
        World(
            "nothing, 1 seed", "the same, 1 seed: luck cannot be seen, and errors are of this run", nothing(1),
            (ask.ERRORS_OF_THIS_RUN, ask.NOTHING_SAID_OF_TUNING, ask.THIS_RUN_COVERED),
        ),
        World(
            "nothing, some seeds", "the same, three sources with 1 seed and three with 3",
            nothing(3, seeds_of=(1, 3, 1, 3, 1, 3)),
            (
                ask.ERRORS_OF_TUNING, ask.NOTHING_FOUND, ask.CELLS_COVER,
                ask.covers(
                    "cells of 1 seed: coverage", "cells", "ci", "true_pp", where=f"{ask.TUNED} and n_seeds_planted = 1"
                ),
            ),
        ),
        *(
            World(
                f"some effects, {n} seeds", f"30 % of the cells at ±5 or ±8 pp, else nothing: 400 items, {n} seeds",
                some_effects(n),
                (ask.FALSE_DISCOVERIES, power, ask.FALSE_GAINS, ask.FALSE_HARMS, ask.CELLS_COVER),
            )
            for n, power in ((3, ask.POWER), (2, ask.POWER_OF_TWO_SEEDS))
        ),
        World(
            "unlike luck", "baselines below .8, luck of about 5.4 pp that differs between sources", unlike_luck,
            (ask.CELLS_COVER,),
        ),
        World(
            "unlike accuracies", "accuracies from .2 to .99, luck 3.6 pp at one half", unlike_accuracies,
            (
                ask.CELLS_COVER, ask.REGIMES_COVER,
                *(
                    ask.covers(
                        f"cells of accuracy {low} to {high}: coverage", "cells", "ci", "true_pp",
                        where=f"{ask.TUNED} and accuracy >= {low} and accuracy < {high}", reach=Reach(low=0.89),
                    )
                    for low, high in BANDS
                ),
            ),
        ),
        World(
            "one wild source", "one source of six with five times the luck: 9 pp against 1.8", one_wild_source,
            tuple(
                ask.covers(
                    f"{whose} cells: coverage", "cells", "ci", "true_pp", reach=Reach(low=least),
                    where=f"{ask.TUNED} and source_task || '/' || source_language {sign} planted",
                )
                for whose, sign, least in (("its", "=", 0.85), ("the others'", "!=", 0.92))
            ),
        ),
        World(
            "one placebo seed", "two seeds of tuning, one of the placebo, effects in both arms", one_placebo_seed,
            (ask.CELLS_COVER, ask.PLACEBO_CELLS_COVER),
        ),
    )  # fmt: skip
    paper, small = role_design(3), role_design(1, 3, 1)
    estimates = (*ask.RAW_MEANS_COVER, *ask.EFFECTS_COVER, ask.GAINS_COVER)
    roles = (
        World(
            "equal donors", "8 equal donors that give 4 pp, receptivity of SD 8 pp: 3 models, 200 items, 2 and 2"
            " seeds", receptive(0, paper), (
                ask.NO_HUB, ask.RECEPTIVITY_IS_NO_DONATION, *estimates, ask.REGIMES_COVER, ask.BEST_DONOR,
                ask.BEST_DONOR_SHRUNK, ask.NO_DONOR_ON_TOP,
            ),
        ),
        World(
            "one donor", "the same with one donor 6 pp ahead of others that give nothing", receptive(6, paper),
            (ask.the_planted_alone("is_hub", "donor"), *estimates, ask.BEST_DONOR, ask.BEST_DONOR_SHRUNK,
             ask.THE_PLANTED_ON_TOP),
        ),
        World(
            "equal donors, unlike", "1 model, 3 seeds and 1, luck about 3 pp that differs between sources, baselines .3"
            " to .7", receptive(0, small, is_unlike=True),
            (ask.NO_HUB, ask.RECEPTIVITY_IS_NO_DONATION, *estimates),
        ),
        World(
            "nothing, roles", "neither arm changes anything: 1 model, 200 items, 2 and 2 seeds", costly(0, 0),
            (ask.NO_HUB, ask.NO_BRITTLE, ask.EFFECTS_ABOVE, ask.GAINS_ABOVE, *estimates),
        ),
        World(
            "costly tuning", "any tuning costs 4 pp, the placebo's too: 1 model, 200 items, 2 and 2 seeds",
            costly(0), (ask.NO_BRITTLE, ask.NO_HUB, ask.GAINS_ABOVE, *estimates),
        ),
        World(
            "one brittle target", "the same with one target 8 pp worse under tuning only", costly(8),
            (ask.the_planted_alone("is_brittle", "recipient"), ask.NO_HUB),
        ),
        World(
            "one brittle target, free tuning", "one target 8 pp worse under tuning only, else nothing: 1 model, 200"
            " items, 2 and 2 seeds", costly(8, 0), (ask.the_planted_alone("is_brittle", "recipient"),),
        ),
        World(
            "costly tuning, unlike", "targets lose 2 to 8 pp in both arms: baselines .3 to .9, luck that differs",
            costly(0, is_unlike=True), (ask.NO_BRITTLE, ask.GAINS_COVER),
        ),
    )  # fmt: skip
    agreement = (
        World(
            "models agree", "3 models whose gains by target share .9 of their variance", agreeing(0.9),
            (ask.AGREEMENT,),
        ),
        World(
            "models do not agree", "the same with nothing shared", agreeing(0),
            (ask.NO_AGREEMENT,),
        ),
        World(
            "learners", "half of 8 sources gain 15 pp on their own cell: 1 model, 2 seeds", learning,
            (ask.LEARNERS_FOUND, ask.OTHERS_NOT_FOUND),
        ),
    )  # fmt: skip
    variance = tuple(
        World(
            f"model × source of {pp} pp", "model, source and target of 3 pp, luck 3.6 pp: 3 models, 200 items, 2 seeds",
            crossed(pp),
            (ask.share("model_source", reach), ask.share_beside_planted("run"), ask.share_beside_planted("sampling")),
        )
        for pp, reach in ((0, Reach(high=0.04)), (3, Reach(0.1, 0.3)))
    )  # fmt: skip
    advice = tuple(
        World(
            f"{n} models seen", f"models of a population: {n} seen, {items} items, 2 seeds; one more is asked for",
            population_of_models(n, items),
            (
                ask.NEW_MODEL_COVERED, ask.NEW_MODEL_WIDTH, ask.MODELS_AT_HAND_COVERED, ask.NEW_MODEL_COVERED_BY_CI,
                ask.SOURCE_EFFECTS_COVERED, ask.SOURCE_EFFECTS_WRONG,
            ),
        )
        for n, items in ((3, 200), (9, 100))
    )  # fmt: skip
    grids = (
        World(
            "incomplete grid", "one adapter of 18 failed, one model lacks one target of seven; targets of another task",
            incomplete("sort"), (ask.regime_cells(90, 126, least=90), ask.role_cells("cell", 90, least=90),
                                        ask.REGIMES_COVER),
        ),
        World(
            "incomplete grid, own cells", "the same with targets of the sources' task, whose trained cells are absent",
            incomplete("add"),
            (ask.regime_cells(78, 108, least=75), ask.role_cells("language", 78, least=75), ask.REGIMES_COVER,
             *ask.RAW_MEANS_COVER, *ask.EFFECTS_COVER),
        ),
    )  # fmt: skip
    return (
        *cells, *compared_worlds(), *roles, *agreement, *variance, *advice, *grids, *summary_worlds(), *mixture_worlds()
    )  # fmt: skip


WORLDS: dict[str, World] = {world.name: world for world in _worlds()}
