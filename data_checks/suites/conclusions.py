"""Can what is concluded be so: intervals, probabilities, verdicts and shares of the marts?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from data_checks.check import Check

_POOL = ("variant", "prompt_pool")
_PAIR = (*_POOL, "source_task", "source_language", "target_task", "target_language")

_KEYS = {
    "fct_transfer_probability": (
        "model", "source_task", "source_language", "control", "target_task", "target_language", "prompt",
    ),
    "rpt_contrasts": ("contrast", "variant", "prompt", "target_task", "target_language"),
    "rpt_items": (*_POOL, "target_task", "parallel_id", "target_language", "item_id"),
    "rpt_advice": _PAIR,
    "rpt_advice_coverage": ("variant", "prompt"),
    "rpt_advice_eval": (*_POOL, "recommender", "held_out_kind", "held_out", "k"),
    "rpt_advice_worth": ("variant", "prompt", "held_out_kind", "recommender", "k"),
    "rpt_bli_methods": ("variant", "vectors", "method", "dictionary_size", "retrieval", "scope"),
    "rpt_bli_method_pairs": ("variant", "vectors", "method", "other_method", "dictionary_size", "retrieval"),
    "rpt_consistency": (*_POOL, "regime", "source_task", "source_language"),
    "rpt_probability": ("variant", "regime"),
    "rpt_regimes": (*_POOL, "scope", "regime"),
    "rpt_roles": (*_POOL, "scope", "axis", "within", "entity"),
    "rpt_source_effects": _PAIR,
}  # fmt: skip
"""By mart, what names a row."""

_PROBABILITIES = {
    "fct_transfer_probability": ("p_value", "q_value"),
    "rpt_contrasts": ("p_value", "q_value", "p_harm", "q_harm"),
    "rpt_items": ("p_lost", "q_lost", "p_gained", "q_gained"),
    "rpt_advice": ("p_harm", "p_null_harm", "p_shown_harm"),
    "rpt_source_effects": ("q_value", "q_harm"),
    "rpt_roles": ("p_top",),
    "rpt_consistency": ("p_value", "specific_p_value"),
    "rpt_bli_method_pairs": ("p_value",),
    "rpt_advice_eval": ("ndcg",),
    "rpt_advice_worth": ("ndcg",),
}
"""By mart, the columns that lie between 0 and 1."""

_ADJUSTED = {
    "fct_transfer_probability": (("p_value", "q_value"),),
    "rpt_contrasts": (("p_value", "q_value"), ("p_harm", "q_harm")),
    "rpt_items": (("p_lost", "q_lost"), ("p_gained", "q_gained")),
}
"""By mart, p with its q."""

_INTERVALS = {
    "fct_transfer_probability": (("ci_low", "delta_pp", "ci_high"),),
    "rpt_contrasts": (("ci_low", "difference_pp", "ci_high"),),
    "rpt_advice": (("ci_low", "expected_gain_pp", "ci_high"), ("new_model_low", "expected_gain_pp", "new_model_high")),
    "rpt_source_effects": (("ci_low", "mean_pp", "ci_high"),),
    "rpt_regimes": (("ci_low", "mean_pp", "ci_high"),),
    "rpt_roles": (
        ("donor_ci_low", "donor_pp", "donor_ci_high"),
        ("donor_effect_low", "donor_effect_pp", "donor_effect_high"),
        ("recipient_ci_low", "recipient_pp", "recipient_ci_high"),
        ("recipient_effect_low", "recipient_effect_pp", "recipient_effect_high"),
        ("gain_over_placebo_low", "gain_over_placebo_pp", "gain_over_placebo_high"),
    ),
    "rpt_bli_method_pairs": (("ci_low", "difference", "ci_high"),),
    "rpt_bli_methods": (("map_low", "mean_map", "map_high"),),
}
"""By mart, the columns lower bound, estimate, upper bound."""

_WITH_VERDICTS = ("rpt_contrasts", "rpt_source_effects")

_PARTS = {
    "rpt_items": (
        ("n_losing", "n_could_lose"), ("n_gaining", "n_could_gain"), ("n_could_lose", "n_adapters"),
        ("n_could_gain", "n_adapters"),
    ),
    "rpt_probability": (
        ("n_by_accuracy", "n_cells"), ("n_by_probability", "n_cells"),
        ("n_gain_less_probable + n_loss_more_probable", "n_cells"),
    ),
    "rpt_advice_coverage": (("in_grid_pct", "100"), ("in_new_model_pct", "100")),
}  # fmt: skip
"""By mart, what is a part with what it is a part of."""


def _offenders(broken: Iterator[tuple[str, str, Sequence[str]]]) -> str:
    """SQL of the rows of several marts: (mart, the condition that is broken, columns to show)."""
    return "\nunion all\n".join(
        f"select '{mart}' as mart, row({', '.join(_KEYS[mart])})::varchar as which,"
        f" row({', '.join(shown)})::varchar as found from {mart} where {condition}"
        for mart, condition, shown in broken
    )


CHECKS = (
    Check(
        name="probabilities_are_possible",
        severity="error",
        description="Probabilities (p, q, NDCG and p_top too) lie between 0 and 1.",
        sql=_offenders(
            (mart, f"{column} not between 0 and 1", (column,))
            for mart, columns in _PROBABILITIES.items()
            for column in columns
        ),
    ),
    Check(
        name="adjusted_rates_are_no_smaller",
        severity="error",
        description="q is at least p, and known where p is.",
        sql=_offenders(
            (mart, f"{q} < {p} - 1e-12 or ({p} is null) != ({q} is null)", (p, q))
            for mart, pairs in _ADJUSTED.items()
            for p, q in pairs
        ),
    ),
    Check(
        name="intervals_hold_their_estimate",
        severity="error",
        description="An estimate lies in its interval, whose two bounds are finite and known together.",
        sql=_offenders(
            (
                mart,
                f"{estimate} not between {low} - 1e-9 and {high} + 1e-9 or ({low} is null) != ({high} is null)"
                f" or not isfinite({low}) or not isfinite({high})",
                (low, estimate, high),
            )
            for mart, intervals in _INTERVALS.items()
            for low, estimate, high in intervals
        ),
    ),
    Check(
        name="verdicts_follow_from_intervals",
        severity="error",
        description="A verdict is 'gain' (interval above 0, q at most .05), 'harm' (below 0, q_harm at most .05), "
        "'none' or 'undecided'; there is one where there is an interval.",
        sql=_offenders(
            (
                mart,
                """(verdict is null) != (ci_low is null) or not case verdict
                    when 'gain' then ci_low > 0 and q_value <= 0.05
                    when 'harm' then ci_high < 0 and q_harm <= 0.05
                    when 'none' then true
                    else verdict = 'undecided'
                end""",
                ("verdict", "ci_low", "ci_high", "q_value", "q_harm"),
            )
            for mart in _WITH_VERDICTS
        ),
    ),
    Check(
        name="shares_add_up",
        severity="error",
        description="Shares of variance lie between 0 and 1 and add up to 1; those of the four verdicts to 100 %.",
        sql="""
            select 'rpt_variance' as mart, row(variant, prompt_pool, regime)::varchar as which, sum(share) as total
            from rpt_variance
            group by variant, prompt_pool, regime
            having abs(sum(share) - 1) > 1e-9 or min(share) < 0
            union all
            select
                'rpt_regimes', row(variant, prompt_pool, scope, regime)::varchar,
                verdict_gain_pct + verdict_harm_pct + verdict_none_pct + verdict_undecided_pct
            from rpt_regimes
            where
                abs(verdict_gain_pct + verdict_harm_pct + verdict_none_pct + verdict_undecided_pct - 100) > 1e-9
                or least(verdict_gain_pct, verdict_harm_pct, verdict_none_pct, verdict_undecided_pct) < 0
        """,
    ),
    Check(
        name="parts_are_no_larger",
        severity="error",
        description="A part is no larger than what it is a part of, and not below 0: items lost and gained, cells that "
        "stand out, changes that advice foresaw.",
        sql=_offenders(
            (mart, f"{part} > {whole} + 1e-9 or {part} < 0", (part, whole))
            for mart, pairs in _PARTS.items()
            for part, whole in pairs
        ),
    ),
    Check(
        name="regrets_are_possible",
        severity="error",
        description="What is lost by following advice is finite and within 200 percentage points.",
        sql="""
            select held_out_kind, recommender, k, regret, ndcg, n_held_out
            from rpt_advice_worth
            where not isfinite(regret) or abs(regret) > 200 or n_held_out < 1
        """,
    ),
)
