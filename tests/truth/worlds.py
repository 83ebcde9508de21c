"""The worlds: what is planted, and what must and must not be found in it.

Every world has a truth to recover or one that must not be found, and most have both. Their judges are SQL over views
of `judging.py`: `cells`, `roles`, `regimes`, `shares`, `advice`, each a mart with what is true beside it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tests.truth.population import Design, Plant
from tests.truth.rates import Reach
from tests.warehouse_fixture import Cell

LETTERS = "abcdefghijkl"


def cells_of(task: str, n: int) -> tuple[Cell, ...]:
    """A task in the first n languages."""
    return tuple((task, language) for language in LETTERS[:n])


@dataclass(frozen=True)
class Judge:
    """One number: `sql` gives a row a study, `study, successes, trials` for a rate and `study, value` for a mean or a
    median of studies. NULL is never a success where a success is wanted, nor a failure where one is wanted."""

    name: str
    reach: Reach
    sql: str
    kind: str = "rate"
    needs: tuple[str, ...] = ()
    """Columns (mart.column) without which it cannot be asked."""


@dataclass(frozen=True)
class World:
    """A population of studies: `draw` makes one, judged with others of its kind."""

    name: str
    sentence: str
    marts: tuple[str, ...]
    draw: Callable[[np.random.Generator], Plant]
    judges: tuple[Judge, ...]


def covers(name: str, view: str, where: str, low: str, high: str, true: str, reach: Reach, *needs: str) -> Judge:
    """The coverage of intervals: NULL covers nothing."""
    return Judge(
        name, reach,
        f"select study, count_if(coalesce({true} between {low} and {high}, false)), count(*)"
        f" from {view} where {where} group by study",
        needs=needs,
    )  # fmt: skip


def half_width(name: str, view: str, where: str, low: str, high: str, most: float, *needs: str) -> Judge:
    """The median half-width of a study's intervals."""
    return Judge(
        name, Reach(high=most),
        f"select study, coalesce(median(({high} - {low}) / 2), 'inf') from {view} where {where} group by study",
        kind="median", needs=needs,
    )  # fmt: skip


COVERAGE = Reach(0.92, 0.98)
TUNED = "control is null and not is_own"
PLACEBO = "control = 'placebo' and not is_own"
CELL_COVERAGE = covers("cells: coverage", "cells", TUNED, "ci_low", "ci_high", "true_pp", COVERAGE)
CELL_WIDTH = half_width("cells: median half-width, pp", "cells", TUNED, "ci_low", "ci_high", 6.5)
ANY_FOUND = Judge(
    "studies with a cell of q ≤ .05", Reach(high=0.15),
    "select study, cast(bool_or(coalesce(q_value <= 0.05, true)) as integer), 1 from cells"
    f" where {TUNED} group by study",
)  # fmt: skip
NO_HARM_FOUND = Judge(
    "studies with a verdict of harm", Reach(high=0.15),
    "select study, cast(bool_or(coalesce(verdict = 'harm', true)) as integer), 1 from cells"
    f" where {TUNED} group by study",
    needs=("fct_transfer.verdict",),
)  # fmt: skip
FALSE_DISCOVERIES = Judge(
    "false discovery rate at q ≤ .05", Reach(high=0.06),
    "select study, coalesce(count_if(true_pp = 0 and coalesce(q_value <= 0.05, true))"
    " / nullif(count_if(coalesce(q_value <= 0.05, true)), 0), 0), 1"
    f" from cells where {TUNED} group by study",
)  # fmt: skip
POWER = Judge(
    "power at q ≤ .05", Reach(low=0.45),
    "select study, count_if(coalesce(q_value <= 0.05, false)), count(*)"
    f" from cells where {TUNED} and true_pp != 0 group by study",
)  # fmt: skip
REGIME_COVERAGE = covers(
    "regimes: coverage", "regimes", "regime != 'MT-ML'", "ci_low", "ci_high", "true_pp", COVERAGE,
)  # fmt: skip
REGIME_NULL = Judge(
    "regimes above 0 by their interval", Reach(high=0.025),
    "select study, count_if(coalesce(ci_low > 0, true)), count(*) from regimes where regime != 'MT-ML' group by study",
)  # fmt: skip
REGIME_NULL_HARM = Judge(
    "regimes below 0 by their interval", Reach(high=0.025),
    "select study, count_if(coalesce(ci_high < 0, true)), count(*) from regimes where regime != 'MT-ML' group by study",
)  # fmt: skip
ROLE_COVERAGES = tuple(
    covers(
        f"{role}s: coverage of raw means", "roles", f"role = '{role}'", f"{role}_ci_low", f"{role}_ci_high",
        "true_raw_pp", COVERAGE,
    )
    for role in ("donor", "recipient")
)  # fmt: skip
EFFECT_COVERAGES = tuple(
    covers(
        f"{role}s: coverage of effects", "roles", f"role = '{role}'", f"{role}_effect_low", f"{role}_effect_high",
        "true_effect_pp", COVERAGE, f"rpt_roles.{role}_effect_low",
    )
    for role in ("donor", "recipient")
)  # fmt: skip
GAIN_COVERAGE = covers(
    "donors: coverage of effects over placebo's", "roles", "role = 'donor'", "gain_over_placebo_low",
    "gain_over_placebo_high", "true_gain_pp", COVERAGE, "rpt_roles.gain_over_placebo_low",
)  # fmt: skip
DONOR_NULL = Judge(
    "donors' effects above 0 by their interval", Reach(high=0.025),
    "select study, count_if(coalesce(donor_effect_low > 0, true)), count(*) from roles where role = 'donor'"
    " group by study",
    needs=("rpt_roles.donor_effect_low",),
)  # fmt: skip


def no_entity(flag: str, role: str, most: float) -> Judge:
    """No entity is called a hub, or brittle."""
    return Judge(
        f"studies with {flag.replace('is_', 'a ').replace('a brittle', 'a brittle target')}", Reach(high=most),
        f"select study, cast(bool_or(coalesce({flag}, true)) as integer), 1 from roles where role = '{role}'"
        " group by study",
    )  # fmt: skip


def the_one_entity(flag: str, role: str, least: float) -> Judge:
    """The planted entity, and no other, is called so."""
    return Judge(
        f"the planted one alone: {flag}", Reach(low=least),
        f"select study, cast(bool_and(coalesce({flag} = (entity = planted), false)) as integer), 1 from roles"
        f" where role = '{role}' group by study",
    )  # fmt: skip


RECEPTIVITY = Judge(
    "Spearman of donor rank and own receptivity, mean", Reach(-0.25, 0.25),
    """
    with ranked as (
        select
            donor.study,
            rank() over (partition by donor.study order by -donor.donor_rank) as by_donor,
            rank() over (partition by donor.study order by recipient.true_effect_pp) as by_receptivity
        from roles as donor
        inner join roles as recipient
            on donor.study = recipient.study and donor.entity = recipient.entity and recipient.role = 'recipient'
        where donor.role = 'donor' and donor.donor_rank is not null
    )
    select study, corr(by_donor, by_receptivity) from ranked group by study
    """,
    kind="mean",
)  # fmt: skip


# --- cells ---------------------------------------------------------------------------------------------------------


def cell_design(n_items: int = 400, n_seeds: int = 2, n_placebo_seeds: int = 0) -> Design:
    """Six adapters, one model: two tasks in three languages, each asked in four languages of one task or both."""
    sources = cells_of("add", 3) + cells_of("sort", 3)
    return Design(sources, cells_of("add", 4) + cells_of("sort", 3), 1, n_items, n_seeds, n_placebo_seeds)


def accuracies(rng: np.random.Generator, design: Design, low: float = 0.35, high: float = 0.75) -> np.ndarray:
    """Accuracies of the base models, [model, target]."""
    return rng.uniform(low, high, (design.n_models, len(design.targets)))


def nothing(n_seeds: int, n_items: int = 400, luck_pp: float = 3.6) -> Callable[[np.random.Generator], Plant]:
    """No adapter changes what is expected anywhere."""
    design = cell_design(n_items, n_seeds)

    def draw(rng: np.random.Generator) -> Plant:
        return Plant(design, accuracies(rng, design), np.zeros(design.shape), luck_pp=luck_pp)

    return draw


def some_effects(n_seeds: int, share: float = 0.3, luck_pp: float = 3.6) -> Callable[[np.random.Generator], Plant]:
    """A share of the cells at ±5 or ±8 pp, the others at nothing."""
    design = cell_design(400, n_seeds)

    def draw(rng: np.random.Generator) -> Plant:
        tuned = rng.choice([-8.0, -5.0, 5.0, 8.0], design.shape) * (rng.random(design.shape) < share)
        return Plant(design, accuracies(rng, design), tuned, luck_pp=luck_pp)

    return draw


def unlike_luck(rng: np.random.Generator) -> Plant:
    """Baselines below .8, luck of 5.4 pp that differs between sources."""
    design = cell_design()
    luck = 5.4 * np.exp(0.3 * rng.standard_normal(len(design.sources)))
    return Plant(design, accuracies(rng, design, 0.3, 0.8), rng.normal(0, 3, design.shape), luck_pp=np.minimum(luck, 9))


def unlike_accuracies(rng: np.random.Generator) -> Plant:
    """Accuracies from .2 to .99."""
    design = cell_design()
    accuracy = rng.uniform(0.2, 0.99, (1, len(design.targets)))
    tuned = rng.normal(0, 3, design.shape) * (4 * accuracy * (1 - accuracy))[:, None]
    tuned = np.clip(tuned, -6, np.minimum(6, 50 * (1 - accuracy))[:, None])
    return Plant(design, accuracy, tuned)


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
    return Plant(
        design, accuracies(rng, design), rng.normal(0, 3, design.shape), placebo=rng.normal(-1, 2, design.shape)
    )


# --- roles ---------------------------------------------------------------------------------------------------------


def role_design(n_models: int = 3, n_items: int = 200, n_seeds: int = 2, n_placebo_seeds: int = 2) -> Design:
    """One task in eight languages, each a source and a target."""
    return Design(cells_of("add", 8), cells_of("add", 8), n_models, n_items, n_seeds, n_placebo_seeds)


def receptive(donor_pp: float, n_models: int = 3) -> Callable[[np.random.Generator], Plant]:
    """Equal donors but one that is `donor_pp` ahead, recipients that gain unequally."""
    design = role_design(n_models)

    def draw(rng: np.random.Generator) -> Plant:
        receptivity = np.clip(rng.normal(0, 8, len(design.targets)), -20, 20)
        tuned = np.zeros(design.shape) + receptivity
        donor = int(rng.integers(len(design.sources)))
        tuned[:, donor] += donor_pp
        plant = Plant(design, accuracies(rng, design, 0.4, 0.6), tuned)
        plant.facts["planted"] = design.sources[donor][1] if donor_pp else ""
        return plant

    return draw


def costly(harm_pp: float) -> Callable[[np.random.Generator], Plant]:
    """Any tuning costs 4 pp, the placebo's too; one target loses `harm_pp` more, under tuning only."""
    design = role_design(1)

    def draw(rng: np.random.Generator) -> Plant:
        tuned = np.full(design.shape, -4.0)
        target = int(rng.integers(len(design.targets)))
        tuned[:, :, target] -= harm_pp
        plant = Plant(design, accuracies(rng, design, 0.4, 0.7), tuned, placebo=np.full(design.shape, -4.0))
        plant.facts["planted"] = design.targets[target][1] if harm_pp else ""
        return plant

    return draw


CELL_MARTS, ROLE_MARTS = ("fct_transfer", "rpt_regimes"), ("rpt_roles", "rpt_regimes")

WORLDS: dict[str, World] = {
    world.name: world
    for world in (
        *(
            World(
                f"nothing, {n} seed{'s' * (n > 1)}", "no adapter changes anything; luck 3.6 pp, 400 items", CELL_MARTS,
                nothing(n), (ANY_FOUND, NO_HARM_FOUND, CELL_COVERAGE, REGIME_NULL, REGIME_NULL_HARM),
            )
            for n in (3, 2, 1)
        ),
        *(
            World(
                f"some effects, {n} seeds", "30 % of the cells at ±5 or ±8 pp, else nothing; 400 items", CELL_MARTS,
                some_effects(n), (FALSE_DISCOVERIES, POWER, CELL_COVERAGE, REGIME_COVERAGE),
            )
            for n in (3, 2)
        ),
        World(
            "cells, 2 seeds", "baselines .35 to .75, luck 3.6 pp, 400 items", CELL_MARTS, nothing(2),
            (CELL_COVERAGE, CELL_WIDTH),
        ),
        World(
            "unlike luck", "baselines below .8, luck of about 5.4 pp that differs between sources", CELL_MARTS,
            unlike_luck, (CELL_COVERAGE, REGIME_COVERAGE),
        ),
        World(
            "unlike accuracies", "accuracies from .2 to .99, luck 3.6 pp", CELL_MARTS, unlike_accuracies,
            (
                CELL_COVERAGE, REGIME_COVERAGE,
                *(
                    covers(
                        f"cells of accuracy {low} to {high}: coverage", "cells",
                        f"{TUNED} and accuracy >= {low} and accuracy < {high}", "ci_low", "ci_high", "true_pp",
                        Reach(low=0.89),
                    )
                    for low, high in ((0.2, 0.35), (0.35, 0.65), (0.65, 0.8), (0.8, 0.9), (0.9, 0.95), (0.95, 1))
                ),
            ),
        ),
        World(
            "one wild source", "one source of six with five times the luck (9 pp against 1.8)", CELL_MARTS,
            one_wild_source,
            (
                covers(
                    "its cells: coverage", "cells", f"{TUNED} and source_task || '/' || source_language = planted",
                    "ci_low", "ci_high", "true_pp", Reach(low=0.85),
                ),
                covers(
                    "the others' cells: coverage", "cells",
                    f"{TUNED} and source_task || '/' || source_language != planted", "ci_low", "ci_high", "true_pp",
                    Reach(low=0.92),
                ),
            ),
        ),
        World(
            "one placebo seed", "two seeds of tuning, one of the placebo; cells of both arms", CELL_MARTS,
            one_placebo_seed,
            (
                CELL_COVERAGE,
                covers("placebo's cells: coverage", "cells", PLACEBO, "ci_low", "ci_high", "true_placebo_pp", COVERAGE),
            ),
        ),
        World(
            "equal donors", "8 equal donors, receptivity of SD 8 pp; 3 models, 200 items, 2 and 2 seeds", ROLE_MARTS,
            receptive(0), (no_entity("is_hub", "donor", 0.1), RECEPTIVITY, *ROLE_COVERAGES, *EFFECT_COVERAGES,
                           GAIN_COVERAGE, REGIME_COVERAGE),
        ),
        World(
            "one donor", "the same with one donor 6 pp ahead", ROLE_MARTS, receptive(6),
            (the_one_entity("is_hub", "donor", 0.8), *ROLE_COVERAGES, *EFFECT_COVERAGES, GAIN_COVERAGE),
        ),
        World(
            "costly tuning", "any tuning costs 4 pp, the placebo's too; 1 model, 200 items, 2 and 2 seeds", ROLE_MARTS,
            costly(0), (no_entity("is_brittle", "recipient", 0.15), GAIN_COVERAGE, *EFFECT_COVERAGES),
        ),
        World(
            "one brittle target", "the same with one target 8 pp worse under tuning only", ROLE_MARTS, costly(8),
            (the_one_entity("is_brittle", "recipient", 0.8), no_entity("is_hub", "donor", 0.1)),
        ),
    )
}  # fmt: skip
