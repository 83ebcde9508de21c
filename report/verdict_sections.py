"""What follows for somebody who will tune: risks, advice and what it is worth, and how far models agree."""

from __future__ import annotations

from collections.abc import Sequence

from report import printed
from report.layouts import GRIDS, LISTINGS
from report.parts import Answers, Block, Panel, Section, Study, grouped
from report.tables import Row, slices, titled
from report.terms import COMPONENTS, RECOMMENDERS, SIGNIFICANT
from report.verdict_charts import risk_map, variance_shares


def risk(answers: Answers, study: Study) -> Section:
    """What each source gives on average, and how often it harms."""
    answer = answers["risks"]
    title = "Gains and risks of each source"
    if not answer.rows:
        return Section("risk", title, (study.why_no_transfer(),))
    tasks = sorted({row["source_task"] for row in answer.rows})
    blocks = []
    for label, rows in slices(answer.rows, "variant", "prompt"):
        blocks.append(
            Block(
                titled("Risk map", label),
                "Points: mean change over transfer targets, and share of all cells at the harm threshold, the own cell "
                "too, models pooled. Ticks: that share by noise alone. Lines end at the share that is shown (verdict "
                "harm). Labels: language tuned on.",
                panels=(
                    Panel(
                        titled("risk map", label),
                        "",
                        risk_map(rows, tasks, "Sources by mean change and share of harms"),
                    ),
                ),
                folded_tables=(LISTINGS["rpt_source_risks"].table("Sources", rows),),
                sql=answer.sql,
            )
        )
    lead = (
        f"Harm is {study.harm}. The largest loss is of the mean over models, the own cell (trained on) too. It is the "
        "lowest of many, and so lower than it would come out again: beside it stands the same change shrunk, which is "
        "drawn towards the target's other sources.",
    )
    return Section("risk", title, lead, tuple(blocks))


def advice(answers: Answers, study: Study) -> Section:
    """Which source for which target, and what the recommendation is worth."""
    answer, judged = answers["advice"], answers["worth"]
    title = "Which source for which target"
    if not answer.rows:
        return Section("advice", title, (study.why_no_transfer(),))
    layout = LISTINGS["rpt_advice"]
    blocks = []
    for label, rows in slices(answer.rows, "variant", "prompt"):
        blocks.append(
            Block(
                titled("The best source for each target", label),
                f"Expected gain: mean over models, shrunk over the target's sources. {best_in_words(rows)}",
                tables=(layout.table("Best sources", [row for row in rows if row["rank"] == 1]),),
                folded_tables=(layout.table("The three best", rows),),
                sql=answer.sql,
            )
        )
    blocks += [
        Block(
            titled("What the two intervals are worth", label),
            "Each model left out in turn: how many of its changes lie in the intervals that the other models give. "
            "That of this grid does not speak of a model left out, and covers fewer.",
            tables=(LISTINGS["rpt_advice_coverage"].table("Changes of models left out", rows),),
            sql=answers["coverage"].sql,
        )
        for label, rows in slices(answers["coverage"].rows, "variant", "prompt")
    ]
    worth = LISTINGS["rpt_advice_worth"]
    for label, rows in slices(judged.rows, "variant", "prompt"):
        blocks.append(
            Block(
                titled("What the advice is worth", label),
                advice_in_words(rows),
                tables=tuple(
                    worth.table(f"Each {kind} left out in turn", members)
                    for kind, members in grouped(rows, "held_out_kind").items()
                ),
                sql=judged.sql,
            )
        )
    if not judged.rows:
        blocks.append(Block("What the advice is worth", "Not judged: that takes two models, one to advise the other."))
    lead = (
        "`transfer advise` answers for a set of targets, and `--max-harm` leaves out sources that are expected to cost "
        "some target more. That no harm is shown there does not show that there is none: it says on how many targets "
        "a larger loss is ruled out.",
    )
    return Section("advice", title, lead, tuple(blocks))


def best_in_words(advice: Sequence[Row]) -> str:
    """On how many targets the best source gains, as far as that is known."""
    best = {(row["target_task"], row["target_language"]): row for row in reversed(advice) if row["rank"] == 1}
    surely = sum(row["ci_low"] is not None and row["ci_low"] > 0 for row in best.values())
    losing = sum(row["expected_gain_pp"] <= 0 for row in best.values())
    told = f"Of {printed.plural(len(best), 'target')}, {surely:,} have a best source whose interval is above 0"
    if not losing:
        return f"{told}."
    return f"{told}, and for {losing:,} no source is expected to gain anything: the best is the one that costs least."


def advice_in_words(rows: Sequence[Row]) -> str:
    """Regret of the first pick, against the best of the simple rules, on models left out."""
    first = {
        row["recommender"]: row["regret"]
        for row in rows
        if row["held_out_kind"] == "model" and row["k"] == 1 and row["regret"] is not None
    }
    rules = {name: regret for name, regret in first.items() if name != "advice"}
    if "advice" not in first or not rules:
        return "Regret: what the best pick falls short of the best source, both scored on items that chose neither."
    best = min(rules, key=lambda name: rules[name])
    return (
        f"On models that took no part, what the first pick falls short of the best source (regret) is "
        f"{printed.signed(first['advice'], 2)} pp; picked by {RECOMMENDERS[best]}, the best of the simple rules, "
        f"{printed.signed(rules[best], 2)} pp."
    )


def agreement(answers: Answers, study: Study) -> Section:
    """Do models agree, and what makes cells differ?"""
    summed, agreed, shares = answers["agreement"], answers["consistency"], answers["variance"]
    title = "Do models agree?"
    blocks = []
    by_source = dict(slices(agreed.rows, "variant", "prompt"))
    for label, rows in slices(summed.rows, "variant", "prompt"):
        blocks.append(
            Block(
                titled("Consistency of target rankings", label),
                consistency_in_words(rows),
                tables=(LISTINGS["rpt_agreement"].table("Sources by regime", rows),),
                folded_tables=(LISTINGS["rpt_consistency"].table("Each source", by_source[label]),),
                sql=summed.sql,
            )
        )
    for label, rows in slices(shares.rows, "variant", "prompt"):
        blocks.append(
            Block(
                titled("What makes cells differ", label),
                "Shares of the variance of changes, by regime.",
                panels=(
                    Panel(
                        titled("variance shares", label),
                        "",
                        variance_shares(rows, COMPONENTS, "Shares of the variance of changes"),
                    ),
                ),
                folded_tables=(GRIDS["rpt_variance"].table("Shares of variance", rows),),
                sql=shares.sql,
            )
        )
    if not blocks:
        return Section("agreement", title, (_why_no_agreement(answers, study),))
    return Section("agreement", title, (), tuple(blocks))


def consistency_in_words(rows: Sequence[Row]) -> str:
    """On how many sources models agree."""
    row = next((row for row in rows if row["regime"] == "transfer"), rows[0])
    return (
        f"Models rank the targets of {row['n_agreeing']} of {printed.plural(row['n_sources'], 'source')} more alike "
        f"than chance (one-sided p ≤ {SIGNIFICANT:g}, targets permuted within models)."
    )


def _why_no_agreement(answers: Answers, study: Study) -> str:
    if not answers["cells"].rows:
        return study.why_no_transfer()
    return "Not told: agreement takes two models and four targets, shares of variance three models."
