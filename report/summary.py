"""The page's opening: what was found, in words and numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from report import printed
from report.embedding_sections import correlation_in_words
from report.parts import Answers, Study
from report.record_sections import checks_in_words
from report.tables import Row, slices
from report.terms import GRID, REGIME_WORDS, REGIMES, VERDICTS
from report.transfer_sections import bases_in_words, runs_in_words
from report.verdict_sections import advice_in_words, consistency_in_words

_ROUNDING_PP = 1e-9
"""Below four sources nothing is shrunk, and a value told twice would say so wrongly."""


@dataclass(frozen=True)
class Tile:
    """One number and what it is."""

    value: str
    label: str


@dataclass(frozen=True)
class Summary:
    """Tiles, and the sentences under them."""

    tiles: tuple[Tile, ...]
    sentences: tuple[str, ...]


def summarise(answers: Answers, study: Study) -> Summary:
    """The main numbers of the page: those of the study's own variant where there are several."""
    tiles: list[Tile] = []
    sentences: list[str] = []
    _transfer(answers, study, tiles, sentences)
    _embeddings(answers, study, tiles, sentences)
    if answers["checks"].rows:
        sentences.append(checks_in_words(answers["checks"].rows))
    if study.n_failed:
        sentences.append(
            f"{printed.plural(study.n_failed, 'job')} of {study.n_planned:,} failed; what they would fill is missing."
        )
    return Summary(tuple(tiles), tuple(sentences))


def _first(rows: Sequence[Row], *keys: str) -> tuple[list[Row], str]:
    """Rows of the first slice, and a word on the others if there are any."""
    found = slices(rows, *keys)
    if not found:
        return [], ""
    label, members = found[0]
    return members, f" ({label}; {len(found) - 1} more below)" if label else ""


def _bounds(row: Row, low: str, high: str) -> str:
    return "no interval" if row[low] is None else f"{GRID} {printed.interval(row[low], row[high])}"


def _lower(sentence: str) -> str:
    return sentence[0].lower() + sentence[1:]


def _transfer(answers: Answers, study: Study, tiles: list[Tile], sentences: list[str]) -> None:
    cells = [row for row in answers["cells"].rows if row["delta_pp"] is not None]
    if not cells:
        sentences.append(study.why_no_transfer())
        return
    models = {row["model"] for row in cells}
    sources = {(row["source_task"], row["source_language"]) for row in cells}
    targets = {(row["target_task"], row["target_language"]) for row in cells}
    sentences.append(
        f"{printed.plural(len(models), 'model')}, tuned on {printed.plural(len(sources), 'source')} and evaluated on "
        f"{printed.plural(len(targets), 'target')}: {printed.plural(len(cells), 'cell')}{_sizes(cells)}."
    )
    sentences += runs_in_words(cells)
    regimes, which = _first(answers["regimes"].rows, "variant", "prompt")
    means = {row["regime"]: row for row in regimes if row["scope"] == "all"}
    tiles += [
        Tile(f"{printed.signed(row['mean_pp'])} pp", f"{_name(row)}; {_verdicts(row)}")
        for row in (means[regime] for regime in REGIMES if regime in means and regime != "transfer")
    ]
    if "transfer" in means:
        sentences.append(harms_in_words(means["transfer"], study.harm, which))
    sentences += bases_in_words(answers["baselines"].rows)
    _best_and_worst(answers, sentences)
    judged, which = _first(answers["worth"].rows, "variant", "prompt")
    if any(row["recommender"] == "advice" and row["regret"] is not None for row in judged):
        sentences.append(f"Advice: {_lower(advice_in_words(judged)).removesuffix('.')}{which}.")
    agreed, which = _first(answers["agreement"].rows, "variant", "prompt")
    if agreed:
        sentences.append(f"Agreement: {_lower(consistency_in_words(agreed)).removesuffix('.')}{which}.")


def _sizes(cells: Sequence[Row]) -> str:
    """Items and seeds of the median cell, where they are known."""
    sizes = [[row[key] for row in cells if row[key] is not None] for key in ("n_items", "n_seeds")]
    if not all(sizes):
        return ""
    items, seeds = (round(median(known)) for known in sizes)
    return f", the median one of {printed.plural(items, 'item')} and {printed.plural(seeds, 'seed')}"


def _name(row: Row) -> str:
    """The regime, and the interval of its mean."""
    bounds = "" if row["ci_low"] is None else f" {printed.interval(row['ci_low'], row['ci_high'])}"
    return f"{row['regime']}{bounds}: {REGIME_WORDS[row['regime']]}"


def _verdicts(row: Row) -> str:
    """Shares of the four verdicts, those that there are."""
    shares = {verdict: row[f"verdict_{verdict}_pct"] for verdict in VERDICTS}
    if None in shares.values():
        return "no verdicts, for want of errors"
    return ", ".join(f"{printed.percent(share)} {verdict}" for verdict, share in shares.items() if share)


def harms_in_words(row: Row, harm: str, which: str = "") -> str:
    """Return how many transfer cells reach the threshold, would do so by noise alone, and are shown to be harmed."""
    cells = printed.plural(row["n_cells"], "transfer cell")
    told = [f"{printed.percent(row['harm_pct'])} of {cells} reach the threshold ({harm})"]
    if row["null_harm_pct"] is not None:
        told.append(f"noise alone would make it {printed.percent(row['null_harm_pct'])}")
    else:
        told.append("what noise alone would make is not known without items")
    if row["verdict_harm_pct"] is not None:
        told.append(f"harm is shown for {printed.percent(row['verdict_harm_pct'])}")
    return f"Harms: {'; '.join(told)}{which}."


def _best_and_worst(answers: Answers, sentences: list[str]) -> None:
    """The best donor and the largest loss: each with its interval, and less far out than it looks."""
    roles, which = _first(answers["roles"].rows, "variant", "prompt")
    donor = next((r for r in roles if r["axis"] == "cell" and r["within"] is None and r["donor_rank"] == 1), None)
    if donor is not None:
        opening = (
            "The best donor is" if donor["donor_effect_pp"] > 0 else "No source gives more than it costs; the best is"
        )
        told = [_bounds(donor, "donor_effect_low", "donor_effect_high")]
        if donor["donor_effect_shrunk_pp"] is not None:
            told.append(f"shrunk {printed.signed(donor['donor_effect_shrunk_pp'])}")
        told.append(
            "no placebo"
            if donor["gain_over_placebo_pp"] is None
            else f"{printed.signed(donor['gain_over_placebo_pp'])} pp beyond its placebo, "
            + _bounds(donor, "gain_over_placebo_low", "gain_over_placebo_high")
        )
        effect = printed.signed(donor["donor_effect_pp"])
        sentences.append(f"{opening} {donor['entity']}: {effect} pp on an average target ({'; '.join(told)}){which}.")
    over_models = ", mean over models" if len({row["model"] for row in answers["cells"].rows}) > 1 else ""
    risks, which = _first(answers["risks"].rows, "variant", "prompt")
    worst = min(risks, key=lambda row: row["worst_pp"], default=None)
    if worst is not None and worst["worst_pp"] < 0:
        told = [_bounds(worst, "worst_low", "worst_high")]
        if worst["worst_shrunk_pp"] is not None and abs(worst["worst_shrunk_pp"] - worst["worst_pp"]) > _ROUNDING_PP:
            told.append(f"shrunk {printed.signed(worst['worst_shrunk_pp'])}")
        if worst["worst_verdict"] is not None:
            told.append(f"verdict {worst['worst_verdict']}")
        sentences.append(
            f"The largest loss{over_models}: {worst['source_task']}/{worst['source_language']} → "
            f"{worst['worst_task']}/{worst['worst_language']}, {printed.signed(worst['worst_pp'])} pp "
            f"({'; '.join(told)}){which}."
        )
    elif worst is not None:
        sentences.append(f"No source loses anything on any target{over_models}.")


def _embeddings(answers: Answers, study: Study, tiles: list[Tile], sentences: list[str]) -> None:
    rows, which = _first(answers["bli_methods"].rows, "variant", "vectors")
    scored = [row for row in rows if row["scope"] == "all" and row["mean_map"] is not None]
    if not scored:
        sentences.append(study.why_no_embeddings())
        return
    # Means over other pairs of languages are no comparison.
    most = max(row["n_pairs"] for row in scored)
    compared = [row for row in scored if row["n_pairs"] == most]
    best = max(compared, key=lambda row: row["mean_map"])
    how = f"{best['method']}, {printed.plural(best['dictionary_size'], 'training pair')}, {best['retrieval']}"
    if best["map_low"] is not None:
        how += f"; 95 % interval over test words {printed.share(best['map_low'])} to {printed.share(best['map_high'])}"
    tiles.append(Tile(printed.share(best["mean_map"]), f"highest mean MAP: {how}"))
    others = sorted({row["method"] for row in scored} - {row["method"] for row in compared})
    sentences.append(
        f"Word translation: mean MAP {printed.share(best['mean_map'])} over {printed.plural(most, 'language pair')} "
        f"({how}), {printed.plural(best['n_failures'], 'failure')}{which}."
        + (f" On fewer pairs, and so not compared here: {', '.join(others)}." if others else "")
    )
    linked, which = _first(
        answers["pair_correlations"].rows, "variant", "prompt", "embedding_study", "embedding_variant", "vectors"
    )
    if linked:
        sentences.append(f"Embeddings and transfer: {correlation_in_words(linked).removesuffix('.')}{which}.")
