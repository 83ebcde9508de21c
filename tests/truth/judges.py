"""What is asked of the marts: SQL over the tables of `judging.py`, each a mart with what is true beside it."""

from __future__ import annotations

from dataclasses import dataclass

from tests.truth.rates import Reach


@dataclass(frozen=True)
class Judge:
    """One number of a world.

    `sql` gives a row a study: `study, successes, trials` for a rate, `study, value` for a mean or median of studies.
    NULL in a mart never counts as right: not as covering, not as found, and not as nothing found.
    """

    name: str
    reach: Reach
    view: str
    """The table of `judging.py` that it asks."""
    sql: str
    kind: str = "rate"
    needs: tuple[str, ...] = ()
    """Columns (mart.column) without which it cannot be asked."""


COVERAGE = Reach(0.92, 0.98)
ALPHA = Reach(high=0.025)
TUNED = "control is null and not is_own"
PLACEBO = "control = 'placebo' and not is_own"


def rate_of(
    name: str, view: str, success: str, reach: Reach, *needs: str, where: str = "true", unknown: bool = False
) -> Judge:
    """A share of rows; where `success` is NULL it counts as `unknown`."""
    return Judge(
        name,
        reach,
        view,
        f"select study, count_if(coalesce({success}, {str(unknown).lower()})), count(*) from {view}"
        f" where {where} group by study",
        needs=needs,
    )


def studies_with(name: str, view: str, found: str, most: float, *needs: str, where: str = "true") -> Judge:
    """The share of studies with a row that must not be there; NULL counts as one."""
    return Judge(
        name,
        Reach(high=most),
        view,
        f"select study, cast(bool_or(coalesce({found}, true)) as integer), 1 from {view} where {where} group by study",
        needs=needs,
    )


def covers(name: str, view: str, interval: str, true: str, *needs: str, where: str, reach: Reach = COVERAGE) -> Judge:
    """The share of intervals `interval`_low, `interval`_high that hold the truth."""
    return rate_of(name, view, f"{true} between {interval}_low and {interval}_high", reach, *needs, where=where)


def half_width(name: str, view: str, interval: str, most: float, *needs: str, where: str) -> Judge:
    """The median half-width of intervals, pp; NULL is infinitely wide."""
    return Judge(
        name,
        Reach(high=most),
        view,
        f"select study, median(coalesce({interval}_high - {interval}_low, cast('inf' as double)) / 2) from {view}"
        f" where {where} group by study",
        kind="median",
        needs=needs,
    )


# --- cells ---------------------------------------------------------------------------------------------------------
CELLS_COVER = covers("cells: coverage", "cells", "ci", "true_pp", where=TUNED)
CELLS_WIDTH = half_width("cells: median half-width, pp", "cells", "ci", 6.5, where=TUNED)
PLACEBO_CELLS_COVER = covers("placebo's cells: coverage", "cells", "ci", "true_placebo_pp", where=PLACEBO)
NOTHING_FOUND = studies_with("studies with a cell of q ≤ .05", "cells", "q_value <= 0.05", 0.15, where=TUNED)
NO_VERDICT = studies_with(
    "studies with a verdict of gain or harm", "cells", "verdict in ('gain', 'harm')", 0.15, "fct_transfer.verdict",
    where=TUNED,
)  # fmt: skip


def false_share(
    name: str, found: str, is_false: str, most: float, *needs: str, view: str = "cells", where: str = TUNED
) -> Judge:
    """The expected share of false ones among what is found in a study (0 where nothing is)."""
    counted = f"count_if({where} and coalesce({found}, true)"
    return Judge(
        name,
        Reach(high=most),
        view,
        f"select study, coalesce({counted} and {is_false}) / nullif({counted}), 0), 0), 1 from {view} group by study",
        needs=needs,
    )


FALSE_DISCOVERIES = false_share("false discovery rate at q ≤ .05", "q_value <= 0.05", "true_pp = 0", 0.06)
FALSE_HARMS = false_share(
    "false share of verdicts of harm", "verdict = 'harm'", "true_pp >= -1", 0.06, "fct_transfer.verdict"
)
FALSE_GAINS = false_share(
    "false share of verdicts of gain", "verdict = 'gain'", "true_pp <= 0", 0.06, "fct_transfer.verdict"
)
POWER, POWER_OF_TWO_SEEDS = (
    rate_of("power at q ≤ .05", "cells", "q_value <= 0.05", reach, where=f"{TUNED} and true_pp != 0")
    for reach in (Reach(low=0.45), Reach())
)
ERRORS_OF_TUNING = rate_of(
    "cells whose error is of the tuning", "cells", "error_of = 'tuning'", Reach(low=1), "fct_transfer.error_of",
    where=TUNED,
)  # fmt: skip
ERRORS_OF_THIS_RUN = rate_of(
    "cells whose error is of this run", "cells", "error_of = 'this run'", Reach(low=1), "fct_transfer.error_of",
    where=TUNED,
)  # fmt: skip
NOTHING_SAID_OF_TUNING = studies_with(
    "studies with a cell of q ≤ .05 said of the tuning", "cells", "q_value <= 0.05 and error_of = 'tuning'", 0.15,
    "fct_transfer.error_of", where=TUNED,
)  # fmt: skip
THIS_RUN_COVERED = covers("cells: coverage of this run's difference", "cells", "ci", "true_of_runs_pp", where=TUNED)

# Cells at exactly minus the threshold: each is called harm in at most 2.5 % of the studies, any in 5 %.
NO_HARM_AT_THE_THRESHOLD = (
    rate_of(
        "cells at the threshold with the verdict harm", "cells", "verdict = 'harm'", ALPHA, "fct_transfer.verdict",
        where=TUNED, unknown=True,
    ),
    studies_with(
        "studies with a verdict of harm", "cells", "verdict = 'harm'", 0.05, "fct_transfer.verdict", where=TUNED
    ),
)  # fmt: skip
STATED_POWER = Reach(0.77, 0.83)
POWER_AS_STATED = rate_of(
    "power at q ≤ .05, where 80 % is stated", "cells", "q_value <= 0.05", STATED_POWER,
    where=f"{TUNED} and true_pp != 0",
)  # fmt: skip

# --- the right choice's probability ----------------------------------------------------------------------------------
PROBABILITIES_COVER = covers("cells: coverage", "probability_cells", "ci", "true_pp", where=TUNED)
NO_PROBABILITY_FOUND = studies_with(
    "studies with a cell of q ≤ .05", "probability_cells", "q_value <= 0.05", 0.15, where=TUNED
)
FALSE_PROBABILITIES = false_share(
    "false discovery rate at q ≤ .05", "q_value <= 0.05", "true_pp = 0", 0.06, view="probability_cells"
)
POWER_OF_PROBABILITIES = rate_of(
    "power at q ≤ .05", "probability_cells", "q_value <= 0.05", Reach(low=0.45), where=f"{TUNED} and true_pp != 0"
)
POWER_OF_ACCURACY = rate_of(
    "power of right answers in the same cells", "cells", "q_value <= 0.05", Reach(), where=f"{TUNED} and true_pp != 0"
)

# --- contrasts -------------------------------------------------------------------------------------------------------
ONE_TARGET = "target_task is not null"
CONTRASTS_COVER = tuple(
    covers(f"{name}: coverage", "contrasts", "ci", "true_pp", where=where)
    for name, where in (
        ("tuned less placebo, a target", f"contrast = 'placebo' and {ONE_TARGET}"),
        ("source less source, a target", f"contrast = 'sources' and {ONE_TARGET}"),
        ("all targets", "target_task is null"),
    )
)
NO_CONTRAST = studies_with(
    "studies with a contrast of q ≤ .05", "contrasts", "q_value <= 0.05", 0.15, where=ONE_TARGET
)  # fmt: skip
NO_CONTRAST_VERDICT = studies_with(
    "studies with a verdict of gain or harm", "contrasts", "verdict in ('gain', 'harm')", 0.15, where=ONE_TARGET
)
FALSE_CONTRASTS = false_share(
    "false discovery rate at q ≤ .05, tuned less placebo", "q_value <= 0.05", "true_pp = 0", 0.06, view="contrasts",
    where=f"contrast = 'placebo' and {ONE_TARGET}",
)  # fmt: skip
POWER_OF_CONTRASTS = rate_of(
    "power at q ≤ .05, tuned less placebo", "contrasts", "q_value <= 0.05", Reach(low=0.8),
    where=f"contrast = 'placebo' and {ONE_TARGET} and true_pp != 0",
)  # fmt: skip

# --- items -----------------------------------------------------------------------------------------------------------
BROKEN_ITEMS_FOUND = rate_of(
    "items that nearly all adapters lose, found", "items", "is_lost_by_most", Reach(low=0.9), where="is_broken"
)
NO_OTHER_ITEM_LOST = studies_with(
    "studies in which another item is", "items", "is_lost_by_most", 0.05, where="not is_broken"
)
NO_ITEM_GAINED = studies_with("studies with an item that most gain", "items", "is_gained_by_most", 0.05)

# --- regimes and roles ---------------------------------------------------------------------------------------------
TRANSFER = "regime != 'MT-ML'"
REGIMES_COVER = covers("regimes: coverage", "regimes", "ci", "true_pp", where=TRANSFER)
REGIME_POWER_AS_STATED = rate_of(
    "power of the interval over all transfer cells, where 80 % is stated", "regimes", "ci_low > 0", STATED_POWER,
    where="regime = 'transfer'",
)  # fmt: skip
REGIMES_ABOVE = rate_of(
    "regimes above 0 by their interval", "regimes", "ci_low > 0", ALPHA, where=TRANSFER, unknown=True
)
REGIMES_BELOW = rate_of(
    "regimes below 0 by their interval", "regimes", "ci_high < 0", ALPHA, where=TRANSFER, unknown=True
)
RAW_MEANS_COVER = tuple(
    covers(f"{role}s: coverage of raw means", "roles", f"{role}_ci", "true_raw_pp", where=f"role = '{role}'")
    for role in ("donor", "recipient")
)
EFFECTS_COVER = tuple(
    covers(
        f"{role}s: coverage of effects", "roles", f"{role}_effect", "true_effect_pp", f"rpt_roles.{role}_effect_low",
        where=f"role = '{role}'",
    )
    for role in ("donor", "recipient")
)  # fmt: skip
GAINS_COVER = covers(
    "donors: coverage of effects over the placebo's", "roles", "gain_over_placebo", "true_gain_pp",
    "rpt_roles.gain_over_placebo_low", where="role = 'donor'",
)  # fmt: skip
EFFECTS_ABOVE = rate_of(
    "donors' effects above 0 by their interval", "roles", "donor_effect_low > 0", ALPHA, "rpt_roles.donor_effect_low",
    where="role = 'donor'", unknown=True,
)  # fmt: skip
GAINS_ABOVE = rate_of(
    "donors' effects above the placebo's by their interval", "roles", "gain_over_placebo_low > 0", ALPHA,
    "rpt_roles.gain_over_placebo_low", where="role = 'donor'", unknown=True,
)  # fmt: skip
BEST_DONOR, BEST_DONOR_SHRUNK = (
    Judge(
        f"the best donor's effect{words}, less its truth: mean, pp", reach, "roles",
        f"select study, avg(donor_effect{column}_pp - true_effect_pp) from roles"
        " where role = 'donor' and donor_rank = 1 group by study",
        kind="mean", needs=(f"rpt_roles.donor_effect{column}_pp",),
    )
    for words, column, reach in (("", "", Reach()), (", shrunk", "_shrunk", Reach(-1, 1)))
)  # fmt: skip
THE_PLANTED_ON_TOP = rate_of(
    "p_top of the planted donor at .9 or more", "roles", "p_top >= 0.9", Reach(low=0.8),
    where="role = 'donor' and entity = planted",
)  # fmt: skip
NO_DONOR_ON_TOP = rate_of(
    "donors with a p_top of .9 or more", "roles", "p_top >= 0.9", Reach(high=0.05), where="role = 'donor'", unknown=True
)
NO_HUB = studies_with("studies with a hub", "roles", "is_hub", 0.1, where="role = 'donor'")
NO_BRITTLE = studies_with("studies with a brittle target", "roles", "is_brittle", 0.15, where="role = 'recipient'")


def the_planted_alone(flag: str, role: str, least: float = 0.8) -> Judge:
    """The planted entity, and no other, has the flag."""
    return Judge(
        f"the planted {role} alone is {flag.removeprefix('is_')}",
        Reach(low=least),
        "roles",
        f"select study, cast(bool_and(coalesce({flag} = (entity = planted), false)) as integer), 1 from roles"
        f" where role = '{role}' group by study",
    )


RECEPTIVITY_IS_NO_DONATION = Judge(
    "Spearman of donor rank and own receptivity, mean",
    Reach(-0.25, 0.25),
    "roles",
    """
    with ranked as (
        select
            donor.study,
            rank() over (partition by donor.study order by -donor.donor_rank) as by_donor,
            rank() over (partition by donor.study order by recipient.true_effect_pp) as by_receptivity
        from roles as donor
        inner join roles as recipient
            on donor.study = recipient.study and donor.entity = recipient.entity and recipient.role = 'recipient'
        where donor.role = 'donor'
    )
    select study, case when count(by_donor) = count(*) then corr(by_donor, by_receptivity) end
    from ranked group by study
    """,
    kind="mean",
)

LEARNERS_FOUND = rate_of(
    "sources that learned their own cell, found", "learners", "learned", Reach(low=0.8), "rpt_roles.learned",
    where="true_own_pp > 0",
)  # fmt: skip
OTHERS_NOT_FOUND = rate_of(
    "sources that did not, found", "learners", "learned", Reach(high=0.05), "rpt_roles.learned",
    where="true_own_pp = 0", unknown=True,
)  # fmt: skip
NO_AGREEMENT = rate_of(
    "sources whose agreement has p ≤ .05", "consistency", "p_value <= 0.05", Reach(high=0.05),
    where="regime = 'transfer'", unknown=True,
)  # fmt: skip
AGREEMENT = rate_of(
    "sources whose agreement has p ≤ .05", "consistency", "p_value <= 0.05", Reach(low=0.8),
    where="regime = 'transfer'",
)  # fmt: skip

# --- incomplete grids ----------------------------------------------------------------------------------------------


def regime_cells(kept: int, planned: int, *, least: int) -> Judge:
    """How many cells of an incomplete grid count in 'transfer': those of the whole sub-grid. The plan of a model may
    leave out a target, six cells."""
    return rate_of(
        f"'transfer' of the whole sub-grid's cells ({least}–{kept} of {planned})", "regimes",
        f"n_cells between {least} and {kept} and n_planned between {planned - 6} and {planned}", Reach(low=0.98),
        "rpt_regimes.n_planned", where="regime = 'transfer'",
    )  # fmt: skip


def role_cells(axis: str, kept: int, *, least: int) -> Judge:
    """How many cells the roles are of; each cell counts for its donor and for its recipient."""
    return Judge(
        f"roles of the whole sub-grid's cells ({least}–{kept})",
        Reach(low=0.98),
        "all_roles",
        f"select study, cast(coalesce(sum(n_cells) / 2 between {least} and {kept}, false) as integer), 1"
        f" from all_roles where axis = '{axis}' and scope = 'all' group by study",
    )


# --- shares of variance --------------------------------------------------------------------------------------------


def share(component: str, reach: Reach) -> Judge:
    """A component's mean share."""
    return Judge(
        f"share of {component}, mean",
        reach,
        "shares",
        f"select study, any_value(share) filter (where component = '{component}') from shares group by study",
        kind="mean",
    )


def share_beside_planted(component: str) -> Judge:
    """A component's mean share over its planted one."""
    return Judge(
        f"share of {component} over the planted, mean",
        Reach(0.8, 1.25),
        "shares",
        f"select study, any_value(share) filter (where component = '{component}')"
        f" * any_value(planted_pp2 + run_pp2 + sampling_pp2) / any_value({component}_pp2) from shares group by study",
        kind="mean",
    )


# --- advice --------------------------------------------------------------------------------------------------------
MODELS_AT_HAND_COVERED = covers(
    "gain of the models at hand: coverage", "advice", "ci", "mean_over_models_pp", where="true"
)
SOURCE_EFFECTS_COVERED = covers(
    "what a source does to a target, models at hand, own cell too: coverage", "source_effects", "ci", "true_pp",
    "rpt_source_effects.ci_low", where="true",
)  # fmt: skip
SOURCE_EFFECTS_WRONG = rate_of(
    "verdicts harm and gain of that without harm or gain", "source_effects",
    "case verdict when 'harm' then true_pp >= -1 when 'gain' then true_pp <= 0 end", Reach(high=0.05),
    "rpt_source_effects.verdict", where="verdict in ('harm', 'gain')",
)  # fmt: skip
NEW_MODEL_COVERED = covers(
    "gain of one more model: coverage", "advice", "new_model", "new_model_pp", "rpt_advice.new_model_low",
    where="true", reach=Reach(0.91, 0.99),
)  # fmt: skip
NEW_MODEL_WIDTH = half_width(
    "gain of one more model: median half-width, pp", "advice", "new_model", 16, "rpt_advice.new_model_low", where="true"
)
NEW_MODEL_COVERED_BY_CI = covers(
    "gain of one more model covered by ci_low, ci_high", "advice", "ci", "new_model_pp", where="true", reach=Reach()
)
