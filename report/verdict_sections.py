"""What follows for somebody who will tune: risks, advice and what it is worth, and how far models agree."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from report import charts, printed
from report.ask import Row
from report.parts import Answers, Block, Panel, Section, Study, grouped, slices, titled
from report.tables import Column, Table, interval, matrix, number, table, text
from report.verdict_charts import risk_map, variance_shares

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


def source_name(row: Row) -> str:
    """task/language of the source."""
    return charts.name((row["source_task"], row["source_language"]))


def _target_name(row: Row) -> str:
    return charts.name((row["target_task"], row["target_language"]))


def _harm_share(row: Row) -> str | None:
    return None if row["p_harm"] is None else printed.percent(100 * row["p_harm"])


def _largest_loss(row: Row, value: str, task: str, language: str) -> str | None:
    """The loss with its target; a gain is none."""
    if row[value] is None:
        return None
    if row[task] is None or row[value] >= 0:
        return "none lost"
    target = (row[task], row[language])
    own = " (own cell)" if target == (row["source_task"], row["source_language"]) else ""
    return f"{printed.signed(row[value])} on {charts.name(target)}{own}"


def risk(answers: Answers, study: Study) -> Section:
    """What each source gives on average, and how often it harms."""
    answer = answers["risk"]
    title = "Gains and risks of each source"
    if not answer.rows:
        return Section("risk", title, (study.why_no_transfer(),))
    columns = (
        Column("tuned on", source_name, numeric=False),
        number("mean_gain_pp", "mean change, pp", printed.signed),
        number("harm_share", "harmed", lambda value: printed.percent(100 * value)),
        Column("largest loss, pp", lambda row: _largest_loss(row, "worst_pp", "worst_task", "worst_language")),
        number("n_targets", "targets", printed.count),
    )
    tasks = sorted({row["source_task"] for row in answer.rows})
    blocks = []
    for label, rows in slices(answer.rows, "variant", "prompt"):
        drawn = [row for row in rows if row["harm_share"] is not None]
        panels = (Panel("", risk_map(drawn, tasks, "Sources by mean change and share of harms")),) if drawn else ()
        blocks.append(
            Block(
                titled("Risk map", label),
                "Right: more gain on average over transfer cells. Low: fewer harms, the own cell too. Models pooled. "
                "Labels: language tuned on.",
                panels=panels,
                folded_tables=(table("Sources", columns, rows),),
                sql=answer.sql,
            )
        )
    lead = (f"Harm is {study.harm}. The largest loss is of the mean over models, the own cell (trained on) too.",)
    return Section("risk", title, lead, tuple(blocks))


def advice(answers: Answers, study: Study) -> Section:
    """Which source for which target, and what the recommendation is worth."""
    answer, judged = answers["advice"], answers["advice_eval"]
    title = "Which source for which target"
    if not answer.rows:
        return Section("advice", title, (study.why_no_transfer(),))
    columns = (
        Column("target", _target_name, numeric=False),
        Column("tune on", source_name, numeric=False),
        number("expected_gain_pp", "expected gain, pp", printed.signed),
        interval("ci_low", "ci_high", "95 %, these models", missing="no errors"),
        interval("new_model_low", "new_model_high", "95 %, a new model", missing="one model"),
        Column(
            "largest loss elsewhere, pp",
            lambda row: _largest_loss(row, "worst_harm_pp", "worst_harm_task", "worst_harm_language"),
        ),
        Column("harm elsewhere", _harm_share),
        number("rank", "rank", printed.count),
    )
    blocks = []
    for label, rows in slices(answer.rows, "variant", "prompt"):
        blocks.append(
            Block(
                titled("The best source for each target", label),
                "Gain: mean over models, drawn towards the mean of the target's sources as far as chance parts them. "
                "Two intervals: for these models, were other items drawn and other runs made; "
                "and of what one more model would gain.",
                tables=(table("Best sources", columns, [row for row in rows if row["rank"] == 1]),),
                folded_tables=(table("The three best", columns, rows),),
                sql=answer.sql,
            )
        )
    for label, rows in slices(judged.rows, "variant", "prompt"):
        blocks.append(
            Block(
                titled("What the advice is worth", label),
                advice_in_words(rows),
                tables=tuple(_judged_table(kind, members) for kind, members in grouped(rows, "held_out_kind").items()),
                sql=judged.sql,
            )
        )
    if not judged.rows:
        blocks.append(Block("What the advice is worth", "Not judged: that takes two models, one to advise the other."))
    return Section("advice", title, ("`transfer advise` answers for a set of targets.",), tuple(blocks))


def _judged_table(kind: str, rows: Sequence[Row]) -> Table:
    judged = [
        {"recommender": recommender}
        | {f"{measure}@{row['k']}": row[measure] for row in members for measure in ("regret", "ndcg")}
        for recommender, members in grouped(rows, "recommender").items()
    ]
    tried = sorted({row["k"] for row in rows})
    columns = (
        Column("sources picked by", lambda row: RECOMMENDERS[row["recommender"]], numeric=False),
        *(number(f"regret@{k}", f"regret@{k}, pp", lambda value: printed.signed(value, 2), "no items") for k in tried),
        *(number(f"ndcg@{k}", f"NDCG@{k}", printed.share, "nothing helps") for k in tried),
    )
    held_out = printed.plural(max(row["n_held_out"] for row in rows), kind).replace("familys", "families")
    return table(f"Each {kind} left out in turn ({held_out})", columns, judged)


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
    agreed, shares = answers["consistency"], answers["variance"]
    title = "Do models agree?"
    blocks = []
    for label, rows in slices(agreed.rows, "variant", "prompt"):
        columns = (
            text("regime", "regime"),
            Column("tuned on", source_name, numeric=False),
            number("kendall_tau_b", "mean Kendall τ-b", lambda value: printed.signed(value, 2)),
            number("p_value", "p", printed.share),
            number("specific_tau_b", "beyond what all sources do", lambda value: printed.signed(value, 2)),
            number("specific_p_value", "p of that", printed.share),
            number("n_model_pairs", "pairs of models", printed.count),
            number("n_targets", "targets", printed.count),
        )
        blocks.append(
            Block(
                titled("Consistency of target rankings", label),
                consistency_in_words(rows),
                tables=(_consistency_table(rows),),
                folded_tables=(table("Each source", columns, rows),),
                sql=agreed.sql,
            )
        )
    known = [row for row in shares.rows if row["share"] is not None]
    for label, rows in slices(known, "variant", "prompt"):
        blocks.append(
            Block(
                titled("What makes cells differ", label),
                "Shares of the variance of changes, by regime.",
                panels=(Panel("", variance_shares(rows, COMPONENTS, "Shares of the variance of changes")),),
                folded_tables=(
                    matrix(
                        "Shares of variance, %",
                        "component",
                        list(COMPONENTS.values()),
                        list(grouped(rows, "regime")),
                        {(COMPONENTS[row["component"]], row["regime"]): row["share"] for row in rows},
                        lambda value: printed.percent(100 * value),
                    ),
                ),
                sql=shares.sql,
            )
        )
    if not blocks:
        return Section("agreement", title, (_why_no_agreement(answers, study),))
    return Section("agreement", title, (), tuple(blocks))


def _consistency_table(rows: Sequence[Row]) -> Table:
    summaries = [
        {
            "regime": regime,
            "n_sources": len(members),
            "mean_tau": sum(row["kendall_tau_b"] for row in members) / len(members),
            "specific": _mean(row["specific_tau_b"] for row in members),
            "specifically": _agreeing(members, "specific_p_value"),
            "agreeing": _agreeing(members, "p_value"),
        }
        for regime, members in grouped(rows, "regime").items()
    ]
    columns = (
        text("regime", "regime"),
        number("n_sources", "sources", printed.count),
        number("mean_tau", "mean τ-b", lambda value: printed.signed(value, 2)),
        number("agreeing", f"p ≤ {SIGNIFICANT:g}", printed.percent),
        number("specific", "τ-b beyond what all sources do", lambda value: printed.signed(value, 2), "one source"),
        number("specifically", f"its p ≤ {SIGNIFICANT:g}", printed.percent, "one source"),
    )
    return table("Sources by regime", columns, summaries)


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _agreeing(rows: Sequence[Row], key: str) -> float | None:
    """Percentage of the rows with a p that have one of at most `SIGNIFICANT`."""
    known = [row[key] for row in rows if row[key] is not None]
    return 100 * sum(p <= SIGNIFICANT for p in known) / len(known) if known else None


def consistency_in_words(rows: Sequence[Row]) -> str:
    """On how many sources models agree."""
    transfer = [row for row in rows if row["regime"] == "transfer"] or list(rows)
    agreeing = sum((row["p_value"] or 1) <= SIGNIFICANT for row in transfer)
    return (
        f"Models rank the targets of {agreeing} of {printed.plural(len(transfer), 'source')} more alike than chance "
        f"(one-sided p ≤ {SIGNIFICANT:g}, targets permuted within models)."
    )


def _why_no_agreement(answers: Answers, study: Study) -> str:
    if not answers["cells"].rows:
        return study.why_no_transfer()
    return "Not told: agreement takes two models and four targets, shares of variance three models."
