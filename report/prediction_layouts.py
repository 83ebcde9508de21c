"""What of the marts of predictions and predictors is shown, under which headings, in which order."""

from __future__ import annotations

from collections.abc import Mapping

from report import printed
from report.listings import Listing
from report.tables import PrintedColumn, Row, interval, number, pair, percentage, text, worded
from report.terms import BY_POOL, MEASURES, POOL, PREDICTORS

_ONE_SEEN = "only one was measured"
"""Why a prediction has no interval: nothing tells how what is new of it varies."""


def _of_measure(column: str, low: str, high: str, words: str) -> tuple[PrintedColumn, PrintedColumn]:
    """Return a value in the unit of its row's measure, and its 95 % interval: percentage points have two decimals, NDCG
    and correlations three, and all but NDCG itself a sign."""

    def shown(row: Row, *columns: str) -> list[str] | None:
        digits = 2 if row["measure"] == "regret_1" else 3
        if any(row[one] is None for one in columns):
            return None
        bare = row["measure"] == "ndcg_3" and column == "value"
        return [f"{row[one]:.{digits}f}" if bare else printed.signed(row[one], digits) for one in columns]

    def value(row: Row) -> str | None:
        return next(iter(shown(row, column) or ()), None)

    def bounds(row: Row) -> str | None:
        ends = shown(row, low, high)
        return None if ends is None else f"[{', '.join(ends)}]"

    return (
        PrintedColumn(words, ("measure", column), value),
        PrintedColumn(f"95 % interval of {words}", ("measure", low, high), bounds),
    )


PREDICTION_LISTINGS: Mapping[str, Listing] = {
    "rpt_predictions": Listing(
        "Cells that were not computed, as predicted from those that were",
        apart=(*POOL, "model"),
        columns=(
            pair("target", "target"),
            pair("source", "tuned on"),
            text("regime"),
            number("expected_pp", "expected"),
            interval("low_50", "high_50", "50 % interval", _ONE_SEEN),
            interval("low_95", "high_95", "95 % interval", _ONE_SEEN),
        ),
        more=(number("measured_pp", "measured since"), text("is_within_95", "within the 95 % interval")),
        order=f"{BY_POOL}, model, target_task, target_language, expected_pp desc, source_task, source_language",
    ),
    "rpt_prediction_fits": Listing(
        "What the predictions are worth: each source left out whole and predicted from the others",
        apart=POOL,
        columns=(
            worded("is_trained_cell", "cells", {False: "transfer", True: "trained, each source on itself"}),
            number("n_measured", "measured"),
            number("n_predicted", "predicted"),
            number("n_validated", "left out and predicted", "one source"),
            number("r2", "R²", "one source"),
            percentage("coverage_50", "of those in their 50 % interval (%)", "one source"),
            percentage("coverage_95", "in their 95 % interval (%)", "one source"),
            number("n_measured_since", "predicted, measured since"),
            percentage("coverage_95_since", "of those in their 95 % interval (%)"),
        ),
        order=f"{BY_POOL}, is_trained_cell",
        also=("is_stale",),
    ),
    "rpt_predictors": Listing(
        "How well predictors that need no tuning rank the sources of a target",
        apart=(*POOL, "measure"),
        columns=(
            worded("predictor", "sources ranked by", PREDICTORS),
            *_of_measure("value", "ci_low", "ci_high", "mean"),
            *_of_measure("beyond_random", "beyond_random_low", "beyond_random_high", "mean beyond random"),
            number("n_units", "models × targets"),
            number("n_models", "models"),
            number("n_languages", "languages"),
        ),
        order=f"{BY_POOL}, list_position([{', '.join(repr(one) for one in MEASURES)}], measure), "
        "case when measure = 'regret_1' then value else -value end, predictor",
    ),
}
