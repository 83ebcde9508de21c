"""What of each mart is shown, under which headings, in which order: on the page, in LaTeX and in Markdown alike.

A mart that is not here is printed with all its columns (`EveryColumn`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from report import printed
from report.listings import Grid, Layout, Listing
from report.tables import ABSENT, Column, Missing, Row, as_printed, interval, languages, number, pair, text, worded

REGIMES = ("MT-CL", "CT-ML", "CT-CL", "MT-ML", "transfer")
"""In the order in which they stand; `transfer` pools the first three, and so depends on how many targets each has."""
REGIME_WORDS = {
    "MT-CL": "same task, other language",
    "CT-ML": "other task, same language",
    "CT-CL": "other task, other language",
    "MT-ML": "the trained cell itself",
    "transfer": "all transfer: the first three",
}
VERDICTS = ("gain", "none", "undecided", "harm")
RECOMMENDERS = {
    "advice": "advice",
    "same_language": "the target's language",
    "same_task": "the target's task",
    "english": "English",
    "random": "at random",
}
COMPONENTS = {
    "model": "model",
    "source": "source",
    "target": "target",
    "model_source": "model × source",
    "model_target": "model × target",
    "source_target": "source × target",
    "run": "luck of runs",
    "sampling": "sampling of items",
    "residual": "all three, and the rest",
}
SIGNIFICANT = 0.05
NO_ERRORS = "no errors"

GRID, NEW_MODEL = "95 % interval of this grid", "95 % interval of a model not yet tried"
"""The two kinds of interval, as headings."""


def _listed(names: Sequence[str]) -> str:
    return "[" + ", ".join(f"'{name}'" for name in names) + "]"


def _correlation(column: str, words: str, missing: str = ABSENT) -> Column:
    show = lambda row: None if row[column] is None else printed.signed(row[column], 2)  # noqa: E731
    return Column(words, (column,), show, missing=Missing(missing))


def _share(column: str, words: str, missing: str = ABSENT) -> Column:
    show = lambda row: None if row[column] is None else as_printed("_pct", 100 * row[column])  # noqa: E731
    return Column(words, (column,), show, missing=Missing(missing))


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


def _loss(value: str, side: str, words: str) -> Column:
    reads = (value, f"{side}_task", f"{side}_language", "source_task", "source_language")
    return Column(words, reads, lambda row: lost(row, value, side))


def _of_a_role(column: str, raw: str, words: str, missing: str) -> Column:
    """Return a value of a donor or recipient; `missing` says why one that has the raw mean has it not."""

    def show(row: Row) -> str | None:
        if row[column] is not None:
            return printed.signed(row[column])
        return None if row[raw] is None else missing

    return Column(f"{words} (pp)", (column, raw), show)


def dictionary_size(size: int) -> str:
    """Return a size of a training dictionary as a heading."""
    return "no dictionary" if size == 0 else printed.count(size)


METHOD = Column(
    "method, training pairs",
    ("method", "dictionary_size"),
    lambda row: f"{row['method']}, {dictionary_size(row['dictionary_size'])}",
    numeric=False,
)


def _bli_heading(column: str, value: Any) -> str:
    if column == "dictionary_size":
        return dictionary_size(value)
    return f"{value} pairs" if column == "scope" else str(value)


def _mean_map(row: Row) -> str | None:
    failures = f" ({printed.count(row['n_failures'])})" if row["n_failures"] else ""
    if row["mean_map"] is None and not failures:
        return None
    return (ABSENT if row["mean_map"] is None else printed.share(row["mean_map"])) + failures


def _most_pairs_then_best(rows: Sequence[Row]) -> tuple[int, float, str]:
    """Means over other pairs of languages are no comparison."""
    of_all = [row for row in rows if row["scope"] == "all"] or rows
    best = max(row["mean_map"] or 0.0 for row in of_all)
    return -max(row["n_pairs"] for row in of_all), -best, rows[0]["method"]


def _pairs(rows: Sequence[Row]) -> str:
    return printed.count(max(row["n_pairs"] for row in rows if row["scope"] == "all"))


def _difference(row: Row) -> str | None:
    star = "*" if row["p_value"] is not None and row["p_value"] <= SIGNIFICANT else ""
    return None if row["difference"] is None else printed.signed(row["difference"], 3) + star


_POOL = ("variant", "prompt")
_BY_POOL = "variant != 'default', variant, prompt"
_CELL = "source_task, source_language, target_task, target_language"
_METHOD = "variant != 'default', variant, vectors"

GRIDS: Mapping[str, Grid] = {
    "fct_transfer": Grid(
        "Change against the base model in percentage points, by what was tuned on (rows) and evaluated (columns)",
        apart=("variant", "control", "model"),
        rather_apart=("prompt",),
        down=("source",),
        across=("target_task", "target_language"),
        value=number("delta_pp"),
        order=f"variant != 'default', variant, control nulls first, model, prompt, {_CELL}, source",
        also=(
            "source_task",
            "source_language",
            "regime",
            "is_harm",
            "verdict",
            "ci_low",
            "ci_high",
            "error_of",
            "n_seeds",
            "n_items",
        ),
    ),
    "rpt_source_effects": Grid(
        "Mean change over models in percentage points, by what was tuned on (rows) and evaluated (columns)",
        apart=_POOL,
        down=("source_task", "source_language"),
        across=("target_task", "target_language"),
        value=number("mean_pp"),
        order=f"{_BY_POOL}, {_CELL}",
        also=("regime", "n_models", "ci_low", "ci_high", "verdict"),
    ),
    "rpt_variance": Grid(
        "Shares of the variance of changes",
        apart=_POOL,
        down=("component",),
        across=("regime",),
        value=number("share"),
        name=lambda _column, value: COMPONENTS.get(value, value),
        rank=lambda rows: list(COMPONENTS).index(rows[0]["component"]),
        order=f"{_BY_POOL}, regime != 'transfer', list_position({_listed(REGIMES)}, regime), "
        f"list_position({_listed(list(COMPONENTS))}, component)",
    ),
    "rpt_bli_methods": Grid(
        "Mean MAP of bilingual lexicon induction by size of the training dictionary, over all language pairs that a "
        "method mapped and over those on which every method succeeds; in parentheses, pairs on which it failed",
        apart=("variant", "vectors", "retrieval"),
        down=("method",),
        across=("scope", "dictionary_size"),
        value=Column("mean MAP", ("mean_map", "n_failures"), _mean_map),
        name=_bli_heading,
        rank=_most_pairs_then_best,
        beside=("pairs", _pairs),
        order=f"{_METHOD}, retrieval desc, scope, mean_map desc, method, dictionary_size",
        also=("n_pairs", "map_low", "map_high"),
    ),
    "rpt_bli_method_pairs": Grid(
        "Difference of mean MAP, row less column; *: p ≤ 0.05 after Bonferroni",
        apart=("variant", "vectors", "retrieval", "dictionary_size"),
        down=("method",),
        across=("other_method",),
        value=Column("difference", ("difference", "p_value"), _difference),
        order=f"{_METHOD}, retrieval desc, dictionary_size desc, method, other_method",
    ),
    "fct_bli": Grid(
        "MAP of bilingual lexicon induction by method and language pair",
        apart=("variant", "vectors", "retrieval", "clean", "dictionary_size"),
        rather_apart=("seed",),
        down=("method",),
        across=("source_language", "target_language"),
        value=number("map"),
    ),
    "fct_downstream": Grid(
        "Downstream score by mapping method and language pair",
        apart=("variant", "vectors", "task", "collection", "classifier", "metric"),
        down=("method", "dictionary_size"),
        across=("source_language", "target_language"),
        value=number("score"),
        name=_bli_heading,
        order=f"{_METHOD}, task, collection, classifier, metric, method, dictionary_size",
    ),
}

LISTINGS: Mapping[str, Listing] = {
    "rpt_regimes": Listing(
        "Change against the base model by regime",
        apart=(*_POOL, "scope"),
        columns=(
            Column("regime", ("regime",), regime, numeric=False),
            number("n_cells", "cells"),
            number("mean_pp", "mean"),
            interval("ci_low", "ci_high", GRID, "no items"),
            *(number(f"verdict_{verdict}_pct", verdict, NO_ERRORS) for verdict in VERDICTS),
            number("harm_pct", "at the harm threshold"),
            number("null_harm_pct", "so by noise alone", "no items"),
        ),
        more=(
            number("n_planned", "cells planned"),
            number("median_pp", "median"),
            number("positive_pct", "above 0"),
            number("median_se_pp", "median standard error", NO_ERRORS),
            number("seeds_for_none", "seeds that none would take", "not known"),
            number("items_for_none", "and items", "not known"),
        ),
        order=f"{_BY_POOL}, scope != 'all', scope, list_position({_listed(REGIMES)}, regime)",
    ),
    "rpt_roles": Listing(
        "Donors and recipients",
        apart=(*_POOL, "scope", "axis", "within"),
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
        order=f"{_BY_POOL}, scope != 'all', scope, list_position(['language', 'task', 'cell'], axis), "
        "within nulls first, donor_rank nulls last, recipient_rank nulls last, entity",
        also=("placebo_pp", "p_top"),
    ),
    "rpt_source_risks": Listing(
        "What each source gives on average, and what it costs",
        apart=_POOL,
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
        order=f"{_BY_POOL}, mean_pp desc, source_task, source_language",
    ),
    "rpt_advice": Listing(
        "Sources for each target",
        apart=_POOL,
        columns=(
            pair("target", "target"),
            pair("source", "tune on"),
            number("expected_gain_pp", "expected gain"),
            interval("ci_low", "ci_high", GRID, NO_ERRORS),
            interval("new_model_low", "new_model_high", NEW_MODEL, "one model"),
            _loss("worst_harm_pp", "worst_harm", "largest loss elsewhere (pp)"),
            _share("p_harm", "harms elsewhere (%)"),
            _share("p_null_harm", "so by noise alone (%)", "no items"),
            _share("p_shown_harm", "shown: verdict harm (%)", NO_ERRORS),
        ),
        order=f"{_BY_POOL}, target_task, target_language, rank, source_task, source_language",
        also=("n_models", "rank"),
    ),
    "rpt_advice_coverage": Listing(
        "Changes of models left out that lie in the intervals made without them",
        apart=_POOL,
        columns=(
            number("n_changes", "changes"),
            number("in_grid_pct", f"in the {GRID}", NO_ERRORS),
            number("in_new_model_pct", f"in the {NEW_MODEL}", "two models"),
        ),
        order=_BY_POOL,
    ),
    "rpt_advice_worth": Listing(
        "What picking sources in each way is worth",
        apart=(*_POOL, "held_out_kind"),
        columns=(
            worded("recommender", "sources picked by", RECOMMENDERS),
            number("k", "picks tried"),
            Column(
                "regret (pp)",
                ("regret",),
                lambda row: None if row["regret"] is None else printed.signed(row["regret"], 2),
                missing=Missing("no items"),
            ),
            number("ndcg", "NDCG", "nothing helps"),
            number("n_held_out", "left out in turn"),
        ),
        order=f"{_BY_POOL}, held_out_kind desc, k, list_position({_listed(list(RECOMMENDERS))}, recommender)",
    ),
    "rpt_asymmetry": Listing(
        "Gain on the task tuned on, and change of the others",
        apart=(*_POOL, "model"),
        columns=(
            pair("source", "tuned on"),
            number("on_task_pp", "own task"),
            number("off_task_pp", "other tasks"),
            text("is_pareto", "on the front"),
            number("n_cells", "cells"),
            number("n_planned", "planned"),
        ),
        order=f"{_BY_POOL}, model, source_task, source_language",
    ),
    "rpt_agreement": Listing(
        "Agreement of models on which targets gain",
        apart=_POOL,
        columns=(
            text("regime"),
            number("n_sources", "sources"),
            _correlation("mean_tau_b", "mean τ-b"),
            number("agreeing_pct", f"p ≤ {SIGNIFICANT:g}"),
            _correlation("mean_specific_tau_b", "τ-b beyond what all sources do", "one source"),
            number("specifically_agreeing_pct", f"its p ≤ {SIGNIFICANT:g}", "one source"),
        ),
        order=f"{_BY_POOL}, regime != 'transfer', list_position({_listed(REGIMES)}, regime)",
        also=("n_agreeing",),
    ),
    "rpt_consistency": Listing(
        "Agreement of models on which targets gain, by source",
        apart=_POOL,
        columns=(
            text("regime"),
            pair("source", "tuned on"),
            _correlation("kendall_tau_b", "mean Kendall τ-b"),
            number("p_value", "p"),
            _correlation("specific_tau_b", "beyond what all sources do"),
            number("specific_p_value", "p of that"),
            number("n_model_pairs", "pairs of models"),
            number("n_targets", "targets"),
        ),
        order=f"{_BY_POOL}, regime != 'transfer', list_position({_listed(REGIMES)}, regime), "
        "kendall_tau_b desc, source_task, source_language",
    ),
    "rpt_task_effects": Listing(
        "Change by target task, over its languages",
        apart=(*_POOL, "model"),
        columns=(
            text("source", "tuned on"),
            text("target_task", "task"),
            number("n_languages", "languages"),
            number("mean_pp", "mean"),
            *(number(f"verdict_{verdict}_pct", verdict, NO_ERRORS) for verdict in VERDICTS),
            number("harm_pct", "at the harm threshold"),
            number("null_harm_pct", "so by noise alone", "no items"),
        ),
        order=f"{_BY_POOL}, model, source_task, source_language, source, target_task",
        also=("source_task", "source_language"),
    ),
    "rpt_contrasts": Listing(
        "Contrasts of two arms on the same items",
        apart=("contrast",),
        columns=(
            Column("target", ("target_task", "target_language", "is_trained_cell"), _target, numeric=False),
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
            Column("target", ("target_task", "target_language", "is_trained_cell"), _target, numeric=False),
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
        order=f"{_BY_POOL}, source, scope != 'all', scope, is_trained_cell, target_task nulls first, target_language",
        also=("parts", "error_of"),
    ),
    "fct_curves": Listing(
        "Adapters on the way through their training",
        apart=("variant", "prompt", "model", "control"),
        columns=(
            text("source", "tuned on"),
            Column("part of the training", ("fraction",), lambda row: printed.percent(100 * row["fraction"])),
            number("gain_pp", "gain on the task"),
            interval("gain_low", "gain_high", GRID, NO_ERRORS),
            number("off_task_pp", "change off the task"),
            interval("off_task_low", "off_task_high", GRID, NO_ERRORS),
            number("n_harms", "targets off it at the harm threshold"),
            number("spared_pp", "spared"),
            interval("spared_low", "spared_high", GRID, NO_ERRORS),
        ),
        order=f"{_BY_POOL}, model, control nulls first, source, fraction",
        also=("error_of",),
    ),
    "rpt_stops": Listing(
        "Where to stop the training: 90 % of the gain kept, least harm off the task",
        apart=("variant", "prompt", "model"),
        columns=(
            text("source", "tuned on"),
            Column("stop at", ("stop_fraction",), lambda row: printed.percent(100 * row["stop_fraction"])),
            number("whole_gain_pp", "gain of the whole"),
            number("kept_pct", "kept"),
            number("whole_off_task_pp", "off the task, whole"),
            number("stop_off_task_pp", "at the stop"),
            number("spared_pp", "spared"),
            interval("spared_low", "spared_high", GRID, "trained to the end"),
            number("q_spared", "q", "trained to the end"),
        ),
        order=f"{_BY_POOL}, model, source",
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
        order=f"variant != 'default', variant, list_position({_listed(REGIMES)}, regime)",
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
    "rpt_bli_clean": Listing(
        "Mean MAP with and without flawed test rows",
        apart=("variant", "vectors", "retrieval"),
        columns=(METHOD, number("n_pairs", "pairs"), number("map", "all rows"), number("clean_map", "clean rows")),
        order=f"{_METHOD}, retrieval desc, method, dictionary_size",
    ),
    "rpt_bli_flaws": Listing(
        "Flaws of the test dictionaries",
        apart=("variant", "vectors"),
        columns=(
            languages(),
            Column("training pairs", ("dictionary_size",), lambda row: dictionary_size(row["dictionary_size"])),
            number("n_rows", "rows"),
            number("n_leaked", "trained on"),
            number("n_duplicate", "repeated"),
            number("n_identical", "identical words"),
            number("n_clean", "clean rows"),
        ),
        order=f"{_METHOD}, source_language, target_language, dictionary_size",
    ),
    "rpt_bli_downstream": Listing(
        "Correlation of downstream scores with MAP",
        apart=("variant",),
        columns=(
            text("task"),
            _correlation("spearman", "Spearman"),
            _correlation("pearson", "Pearson"),
            number("p_value", "p"),
            number("n", "points"),
        ),
        order="variant != 'default', variant, task",
    ),
    "rpt_language_pairs": Listing(
        "Word translation and transfer between two languages",
        apart=(*_POOL, "embedding_study", "embedding_variant", "vectors"),
        columns=(languages(), number("bli_map", "MAP"), number("transfer_pp", "transfer")),
        order=f"{_BY_POOL}, embedding_study, embedding_variant != 'default', embedding_variant, vectors, "
        "source_language, target_language",
    ),
    "rpt_pair_correlations": Listing(
        "Rank correlation of a pair's measures with transfer",
        apart=(*_POOL, "embedding_study", "embedding_variant", "vectors"),
        columns=(
            text("measure", "measure of a pair"),
            _correlation("spearman", "Spearman with transfer", "too few languages"),
            number("p_value", "Mantel p"),
            number("n_languages", "languages"),
        ),
        order=f"{_BY_POOL}, embedding_study, embedding_variant != 'default', embedding_variant, vectors, "
        "measure != 'bli_map', measure",
    ),
}

LAYOUTS: Mapping[str, Layout] = {**GRIDS, **LISTINGS}
