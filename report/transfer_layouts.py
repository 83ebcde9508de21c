"""What of the marts of scores and transfer is shown, under which headings, in which order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from report import printed
from report.listings import Grid, Listing
from report.tables import (
    ABSENT,
    Missing,
    PrintedColumn,
    Row,
    as_printed,
    correlation,
    interval,
    number,
    pair,
    percentage,
    text,
    worded,
)
from report.terms import (
    BY_POOL,
    COMPONENTS,
    GRID,
    NEW_MODEL,
    NO_ERRORS,
    POOL,
    RECOMMENDERS,
    REGIME_WORDS,
    REGIMES,
    SIGNIFICANT,
    VERDICTS,
)


def _listed(names: Sequence[str]) -> str:
    return "[" + ", ".join(f"'{name}'" for name in names) + "]"


def regime(row: Row) -> str:
    """Return the regime of a row, with what it means."""
    words = REGIME_WORDS[row["regime"]]
    return words if row["regime"] == "transfer" else f"{row['regime']}: {words}"


def lost(row: Row, value: str, side: str) -> str | None:
    """Return a loss with the target that has it, whose columns begin with `side`; of a gain that none lost."""
    task, language = row[f"{side}_task"], row[f"{side}_language"]
    if row[value] is None:
        return None
    if task is None or row[value] >= 0:
        return "none lost"
    own = " (own cell)" if (task, language) == (row["source_task"], row["source_language"]) else ""
    return f"{printed.signed(row[value])} on {task}/{language}{own}"


def _target(row: Row) -> str:
    if row["target_task"] is None:
        return "all targets"
    own = " (own cell)" if row["is_trained_cell"] else ""
    return f"{row['target_task']}/{row['target_language']}{own}"


def _loss(value: str, side: str, words: str) -> PrintedColumn:
    reads = (value, f"{side}_task", f"{side}_language", "source_task", "source_language")
    return PrintedColumn(words, reads, lambda row: lost(row, value, side))


def _of_a_role(column: str, raw: str, words: str, missing: str) -> PrintedColumn:
    """Return a value of a donor or recipient; `missing` says why one that has the raw mean has it not."""

    def show(row: Row) -> str | None:
        if row[column] is not None:
            return printed.signed(row[column])
        return None if row[raw] is None else missing

    return PrintedColumn(f"{words} (pp)", (column, raw), show)


def _part(column: str, words: str) -> PrintedColumn:
    """Return a part of a training in percent."""
    return PrintedColumn(words, (column,), lambda row: printed.percent(100 * row[column]))


_SEEDS_FOR_NONE = PrintedColumn(
    "seeds that none would take",
    ("seeds_for_none",),
    # Where runs differ no more than their items do, 0 would be read as a number of seeds to tune with.
    lambda row: "any: no luck seen" if row["seeds_for_none"] == 0 else as_printed("", row["seeds_for_none"]),
    missing=Missing("not known"),
)
_TARGET = PrintedColumn("target", ("target_task", "target_language", "is_trained_cell"), _target, numeric=False)
_VERDICTS_AND_HARMS = (
    *(number(f"verdict_{verdict}_pct", verdict, NO_ERRORS) for verdict in VERDICTS),
    number("harm_pct", "at the harm threshold"),
    number("null_harm_pct", "so by noise alone", "no items"),
)
_CELL = "source_task, source_language, target_task, target_language"
_OF_CELL = ("verdict", "ci_low", "ci_high", "error_of", "n_seeds", "n_items")
_BY_REGIME = f"list_position({_listed(REGIMES)}, regime)"

TRANSFER_GRIDS: Mapping[str, Grid] = {
    "fct_transfer": Grid(
        "Change against the base model in percentage points, by what was tuned on (rows) and evaluated (columns)",
        apart=("variant", "control", "model"),
        rather_apart=("prompt",),
        down=("source",),
        across=("target_task", "target_language"),
        value=number("delta_pp"),
        order=f"variant != 'default', variant, control nulls first, model, prompt, {_CELL}, source",
        also=("source_task", "source_language", "regime", "is_harm", *_OF_CELL),
    ),
    "rpt_source_effects": Grid(
        "Mean change over models in percentage points, by what was tuned on (rows) and evaluated (columns)",
        apart=POOL,
        down=("source_task", "source_language"),
        across=("target_task", "target_language"),
        value=number("mean_pp"),
        order=f"{BY_POOL}, {_CELL}",
        also=("regime", "n_models", "ci_low", "ci_high", "verdict"),
    ),
    "rpt_variance": Grid(
        "Shares of the variance of changes",
        apart=POOL,
        down=("component",),
        across=("regime",),
        value=number("share"),
        name=lambda _column, value: COMPONENTS.get(value, value),
        rank=lambda rows: list(COMPONENTS).index(rows[0]["component"]),
        order=f"{BY_POOL}, regime != 'transfer', {_BY_REGIME}, list_position({_listed(list(COMPONENTS))}, component)",
    ),
}

TRANSFER_LISTINGS: Mapping[str, Listing] = {
    "rpt_regimes": Listing(
        "Change against the base model by regime",
        apart=(*POOL, "scope"),
        columns=(
            PrintedColumn("regime", ("regime",), regime, numeric=False),
            number("n_cells", "cells"),
            number("mean_pp", "mean"),
            interval("ci_low", "ci_high", GRID, "no items"),
            *_VERDICTS_AND_HARMS,
        ),
        more=(
            number("n_planned", "cells planned"),
            number("median_pp", "median"),
            number("positive_pct", "above 0"),
            number("median_se_pp", "median standard error", NO_ERRORS),
            _SEEDS_FOR_NONE,
            number("items_for_none", "and items", "not known"),
        ),
        order=f"{BY_POOL}, scope != 'all', scope, {_BY_REGIME}",
    ),
    "rpt_roles": Listing(
        "Donors and recipients",
        apart=(*POOL, "scope", "axis", "within"),
        columns=(
            text("entity", ""),
            number("donor_rank", "donor rank"),
            _of_a_role("donor_effect_pp", "donor_pp", "gives", "not compared"),
            interval("donor_effect_low", "donor_effect_high"),
            number("donor_effect_shrunk_pp", "shrunk"),
            number("donor_pp", "raw mean"),
            _of_a_role("gain_over_placebo_pp", "donor_pp", "beyond its placebo", "no placebo"),
            interval("gain_over_placebo_low", "gain_over_placebo_high"),
            text("learned"),
            number("recipient_rank", "recipient rank"),
            _of_a_role("recipient_effect_pp", "recipient_pp", "receives", "not compared"),
            interval("recipient_effect_low", "recipient_effect_high"),
            number("recipient_pp", "raw mean"),
            text("is_hub", "hub donor", "not judged"),
            text("is_brittle", "brittle", "not judged"),
            number("n_cells", "cells"),
            number("n_planned", "planned"),
        ),
        order=f"{BY_POOL}, scope != 'all', scope, list_position(['language', 'task', 'cell'], axis), "
        "within nulls first, donor_rank nulls last, recipient_rank nulls last, entity",
        also=("placebo_pp", "p_top"),
    ),
    "rpt_source_risks": Listing(
        "What each source gives on average, and what it costs",
        apart=POOL,
        columns=(
            pair("source", "tuned on"),
            number("mean_pp", "mean change"),
            number("harm_pct", "at the harm threshold"),
            number("null_harm_pct", "so by noise alone", "no items"),
            number("verdict_harm_pct", "shown: verdict harm", NO_ERRORS),
            _loss("worst_pp", "worst", "largest loss (pp)"),
            interval("worst_low", "worst_high", GRID, NO_ERRORS),
            number("worst_shrunk_pp", "shrunk", "own cell"),
            text("worst_verdict", "verdict", NO_ERRORS),
            number("n_targets", "targets"),
        ),
        order=f"{BY_POOL}, mean_pp desc, source_task, source_language",
    ),
    "rpt_advice": Listing(
        "Sources for each target",
        apart=POOL,
        columns=(
            pair("target", "target"),
            pair("source", "tune on"),
            number("expected_gain_pp", "expected gain"),
            interval("ci_low", "ci_high", GRID, NO_ERRORS),
            interval("new_model_low", "new_model_high", NEW_MODEL, "one model"),
            _loss("worst_harm_pp", "worst_harm", "largest loss elsewhere (pp)"),
            percentage("p_harm", "harms elsewhere (%)"),
            percentage("p_null_harm", "so by noise alone (%)", "no items"),
            percentage("p_shown_harm", "shown: verdict harm (%)", NO_ERRORS),
        ),
        order=f"{BY_POOL}, target_task, target_language, rank, source_task, source_language",
        also=("n_models", "rank"),
    ),
    "rpt_advice_coverage": Listing(
        "Changes of models left out that lie in the intervals made without them",
        apart=POOL,
        columns=(
            number("n_changes", "changes"),
            number("in_grid_pct", f"in the {GRID}", NO_ERRORS),
            number("in_new_model_pct", f"in the {NEW_MODEL}", "two models"),
        ),
        order=BY_POOL,
    ),
    "rpt_advice_worth": Listing(
        "What picking sources in each way is worth",
        apart=(*POOL, "held_out_kind"),
        columns=(
            worded("recommender", "sources picked by", RECOMMENDERS),
            number("k", "picks tried"),
            PrintedColumn(
                "regret (pp)",
                ("regret",),
                lambda row: None if row["regret"] is None else printed.signed(row["regret"], 2),
                missing=Missing("no items"),
            ),
            number("ndcg", "NDCG", "nothing helps"),
            number("n_held_out", "left out in turn"),
        ),
        order=f"{BY_POOL}, held_out_kind desc, k, list_position({_listed(list(RECOMMENDERS))}, recommender)",
    ),
    "rpt_asymmetry": Listing(
        "Gain on the task tuned on, and change of the others",
        apart=(*POOL, "model"),
        columns=(
            pair("source", "tuned on"),
            number("on_task_pp", "own task"),
            number("off_task_pp", "other tasks"),
            text("is_pareto", "on the front"),
            number("n_cells", "cells"),
            number("n_planned", "planned"),
        ),
        order=f"{BY_POOL}, model, source_task, source_language",
    ),
    "rpt_agreement": Listing(
        "Agreement of models on which targets gain",
        apart=POOL,
        columns=(
            text("regime"),
            number("n_sources", "sources"),
            correlation("mean_tau_b", "mean τ-b"),
            number("agreeing_pct", f"p ≤ {SIGNIFICANT:g}"),
            correlation("mean_specific_tau_b", "τ-b beyond what all sources do", "one source"),
            number("specifically_agreeing_pct", f"its p ≤ {SIGNIFICANT:g}", "one source"),
        ),
        order=f"{BY_POOL}, regime != 'transfer', {_BY_REGIME}",
        also=("n_agreeing",),
    ),
    "rpt_consistency": Listing(
        "Agreement of models on which targets gain, by source",
        apart=POOL,
        columns=(
            text("regime"),
            pair("source", "tuned on"),
            correlation("kendall_tau_b", "mean Kendall τ-b"),
            number("p_value", "p"),
            correlation("specific_tau_b", "beyond what all sources do"),
            number("specific_p_value", "p of that"),
            number("n_model_pairs", "pairs of models"),
            number("n_targets", "targets"),
        ),
        order=f"{BY_POOL}, regime != 'transfer', {_BY_REGIME}, kendall_tau_b desc, source_task, source_language",
    ),
    "rpt_task_effects": Listing(
        "Change by target task, over its languages",
        apart=(*POOL, "model"),
        columns=(
            text("source", "tuned on"),
            text("target_task", "task"),
            number("n_languages", "languages"),
            number("mean_pp", "mean"),
            *_VERDICTS_AND_HARMS,
        ),
        order=f"{BY_POOL}, model, source_task, source_language, source, target_task",
        also=("source_task", "source_language"),
    ),
    "rpt_contrasts": Listing(
        "Contrasts of two arms on the same items",
        apart=("contrast",),
        columns=(
            _TARGET,
            text("variant"),
            text("prompt"),
            number("n_pairs", "pairs of cells"),
            number("a_delta_pp", "first arm"),
            number("b_delta_pp", "second arm"),
            number("difference_pp", "difference"),
            interval("ci_low", "ci_high", GRID, NO_ERRORS),
            number("q_value", "q"),
            text("verdict", "verdict", NO_ERRORS),
        ),
        order="contrast, variant != 'default', variant, prompt, is_trained_cell, target_task nulls first, "
        "target_language",
        also=("arm_a", "arm_b", "error_of"),
    ),
    "rpt_mixtures": Listing(
        "Mixtures of sources beside their parts alone",
        apart=("variant", "prompt", "source", "scope"),
        columns=(
            _TARGET,
            number("delta_pp", "mixture"),
            text("best_part", "best part"),
            number("best_part_pp", "alone"),
            number("over_best_pp", "over the best part"),
            interval("over_best_low", "over_best_high", GRID, NO_ERRORS),
            number("q_over_best", "q"),
            number("added_pp", "parts added up"),
            number("over_added_pp", "over the sum"),
            interval("over_added_low", "over_added_high", GRID, NO_ERRORS),
            number("q_over_added", "q of the sum"),
        ),
        order=f"{BY_POOL}, source, scope != 'all', scope, is_trained_cell, target_task nulls first, target_language",
        also=("parts", "error_of"),
    ),
    "fct_curves": Listing(
        "Adapters on the way through their training",
        apart=("variant", "prompt", "model", "control"),
        columns=(
            text("source", "tuned on"),
            _part("fraction", "part of the training"),
            number("gain_pp", "gain on the task"),
            interval("gain_low", "gain_high", GRID, NO_ERRORS),
            number("off_task_pp", "change off the task"),
            interval("off_task_low", "off_task_high", GRID, NO_ERRORS),
            number("n_harms", "targets off it at the harm threshold"),
            number("spared_pp", "spared"),
            interval("spared_low", "spared_high", GRID, NO_ERRORS),
        ),
        order=f"{BY_POOL}, model, control nulls first, source, fraction",
        also=("error_of",),
    ),
    "rpt_stops": Listing(
        "Where to stop the training: 90 % of the gain kept, least harm off the task",
        apart=("variant", "prompt", "model"),
        columns=(
            text("source", "tuned on"),
            _part("stop_fraction", "stop at"),
            number("whole_gain_pp", "gain of the whole"),
            number("kept_pct", "kept"),
            number("whole_off_task_pp", "off the task, whole"),
            number("stop_off_task_pp", "at the stop"),
            number("spared_pp", "spared"),
            interval("spared_low", "spared_high", GRID, "trained to the end"),
            number("q_spared", "q", "trained to the end"),
        ),
        order=f"{BY_POOL}, model, source",
        also=("is_sparing", "is_gain_shown", "error_of"),
    ),
    "rpt_probability": Listing(
        "Cells that stand out by accuracy and by the right choice's probability",
        apart=("variant",),
        columns=(
            text("regime"),
            number("n_cells", "cells"),
            number("n_by_accuracy", "stand out by accuracy"),
            number("n_by_probability", "by probability"),
            number("n_gain_less_probable", "gain accuracy, lose probability"),
            number("n_loss_more_probable", "lose accuracy, gain probability"),
        ),
        order=f"variant != 'default', variant, {_BY_REGIME}",
    ),
    "fct_transfer_probability": Listing(
        "Change of the right choice's probability (exploratory)",
        apart=("variant", "control"),
        columns=(
            text("model"),
            text("source", "tuned on"),
            pair("target", "target"),
            number("accuracy_delta_pp", "accuracy"),
            number("delta_pp", "probability"),
            interval("ci_low", "ci_high", GRID, NO_ERRORS),
            number("q_value", "q"),
        ),
        order=f"variant != 'default', variant, control nulls first, model, {_CELL}, source, prompt",
    ),
    "rpt_baselines": Listing(
        "Where base models stand before tuning",
        apart=("variant",),
        columns=(
            pair("target", "target"),
            text("model"),
            text("prompt"),
            number("score", "score of the base model"),
            number("chance_score", "chance"),
            number("n_items", "items"),
            worded("stands_at", "stands at", {None: ABSENT}),
            number("n_constant", "tuned scorings with one answer"),
            number("n_tuned", "of"),
        ),
        order="variant != 'default', variant, target_task, target_language, model, prompt",
    ),
}
