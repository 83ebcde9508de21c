"""The page's opening: what was found, in words and numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from report import charts, printed
from report.ask import Row
from report.embedding_sections import correlation_in_words
from report.parts import Answers, Study, short_names, slices
from report.record_sections import checks_in_words
from report.verdict_sections import advice_in_words, consistency_in_words


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
    return "no interval" if row[low] is None else f"95 % interval {printed.interval(row[low], row[high])}"


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
        f"{printed.plural(len(models), 'model')}, tuned on {printed.plural(len(sources), 'source')} "
        f"and evaluated on {printed.plural(len(targets), 'target')}: {printed.plural(len(cells), 'cell')}."
    )
    regimes, which = _first(answers["regimes"].rows, "variant", "prompt")
    means = {row["regime"]: row for row in regimes if row["scope"] == "all"}
    if "transfer" in means:
        row = means["transfer"]
        bounds = "" if row["ci_low"] is None else f" (95 % interval {printed.interval(row['ci_low'], row['ci_high'])})"
        tiles.append(
            Tile(f"{printed.signed(row['mean_pp'])} pp", f"mean transfer over {printed.plural(row['n_cells'], 'cell')}")
        )
        tiles.append(Tile(printed.percent(row["harm_pct"]), f"of them harmed ({study.harm})"))
        trained = (
            f", against {printed.signed(means['MT-ML']['mean_pp'])} pp on the trained cell itself"
            if "MT-ML" in means
            else ""
        )
        sentences.append(
            f"Tuning changes what was not trained by {printed.signed(row['mean_pp'])} pp on average{bounds}{trained}; "
            f"{printed.percent(row['positive_pct'])} of the cells gain, "
            f"{printed.percent(row['harm_pct'])} are harmed{which}."
        )
    roles, which = _first(answers["roles"].rows, "variant", "prompt")
    donor = next(
        (row for row in roles if row["axis"] == "cell" and row["within"] is None and row["donor_rank"] == 1),
        None,
    )
    if donor is not None:
        effect = printed.signed(donor["donor_effect_pp"])
        tiles.append(Tile(donor["entity"], f"best donor: {effect} pp on an average target"))
        opening = (
            "The best donor is" if donor["donor_effect_pp"] > 0 else "No source gives more than it costs; the best is"
        )
        told = [_bounds(donor, "donor_effect_low", "donor_effect_high")]
        told.append(
            "no placebo"
            if donor["gain_over_placebo_pp"] is None
            else f"{printed.signed(donor['gain_over_placebo_pp'])} pp beyond its placebo, "
            + _bounds(donor, "gain_over_placebo_low", "gain_over_placebo_high")
        )
        sentences.append(f"{opening} {donor['entity']}: {effect} pp on an average target ({'; '.join(told)}){which}.")
    judged, which = _first(answers["advice_eval"].rows, "variant", "prompt")
    if any(row["recommender"] == "advice" and row["regret"] is not None for row in judged):
        sentences.append(f"Advice: {_lower(advice_in_words(judged)).removesuffix('.')}{which}.")
    agreed, which = _first(answers["consistency"].rows, "variant", "prompt")
    if agreed:
        sentences.append(f"Agreement: {_lower(consistency_in_words(agreed)).removesuffix('.')}{which}.")
    harms = [row for row in cells if row["is_harm"] and row["regime"] != "MT-ML"]
    if harms:
        worst = min(harms, key=lambda row: row["delta_pp"])
        way = " → ".join(charts.name((worst[f"{end}_task"], worst[f"{end}_language"])) for end in ("source", "target"))
        model = short_names(models)[worst["model"]]
        tiles.append(Tile(f"{printed.signed(worst['delta_pp'])} pp", f"worst harm: {way}, {model}"))
        sentences.append(f"The worst harm: {way} in {model}, {printed.signed(worst['delta_pp'])} pp.")
    else:
        sentences.append(f"No transfer cell is harmed ({study.harm}).")


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
    tiles.append(Tile(printed.share(best["mean_map"]), f"best mean MAP: {how}"))
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
