"""The embedding half: mapping methods, language pairs, and their link to transfer."""

from __future__ import annotations

from collections.abc import Sequence

from report import charts, printed
from report.layouts import LISTINGS
from report.parts import Answers, Block, Panel, Section, Study
from report.tables import Row, languages, number, slices, table, titled

ENDS = 5
"""So many of the best and of the worst pairs are printed."""
MINIMUM_LANGUAGES = 5
"""A correlation over fewer languages is not given (DESIGN, definitions)."""
_SIDE = ("variant", "prompt", "embedding_study", "embedding_variant", "vectors")
"""What must not be pooled when transfer stands beside embeddings."""


def bli(answers: Answers, study: Study) -> Section:
    """Between which languages translations are found."""
    title = "Word translation between languages"
    pairs = answers["bli_pairs"]
    if not answers["bli_methods"].rows and not pairs.rows:
        return Section("bli", title, (study.why_no_embeddings(),))
    blocks = []
    pair_columns = (languages(), number("bli_map", "MAP"))
    for label, rows in slices(pairs.rows, "embedding_variant", "vectors"):
        ends = (
            (
                table(f"Best {ENDS}", pair_columns, rows[:ENDS]),
                table(f"Worst {ENDS}", pair_columns, rows[: -ENDS - 1 : -1]),
            )
            if len(rows) >= 2 * ENDS
            else ()
        )
        panels: tuple[Panel, ...] = ()
        if len({row["target_language"] for row in rows}) <= charts.MOST_PAIRED:
            drawing = charts.pair_matrix(rows, "MAP by source and target language")
            panels = (Panel(titled("word translation by pair", label), "", drawing, keeps_size=True),)
        blocks.append(
            Block(
                titled(f"Pairs of languages: MAP of {study.bli_map}", label),
                panels=panels,
                tables=ends,
                folded_tables=(table("All pairs", pair_columns, rows),),
                sql=pairs.sql,
            )
        )
    if not pairs.rows:
        blocks.append(Block("Pairs of languages", f"Not shown: no pair was mapped by {study.bli_map}."))
    return Section("bli", title, (), tuple(blocks))


def link(answers: Answers, study: Study) -> Section:
    """Does the geometry of embeddings go with transfer?"""
    title = "Do embeddings that align go with transfer?"
    links, correlations = answers["pair_links"], answers["pair_correlations"]
    if not links.rows and not correlations.rows:
        return Section("link", title, (_why_no_link(answers, study),))
    blocks = []
    for label, rows in slices(links.rows, *_SIDE):
        of_slice = [row for row in correlations.rows if all(row[key] == rows[0][key] for key in _SIDE)]
        blocks.append(
            Block(
                titled("MAP and transfer of each ordered pair", label),
                sentence(correlation_in_words(of_slice)),
                panels=(
                    Panel(
                        titled("word translation and transfer", label),
                        "",
                        charts.bli_transfer(rows, "MAP and transfer of language pairs"),
                    ),
                ),
                folded_tables=(LISTINGS["rpt_language_pairs"].table("Pairs with both", rows),),
                sql=links.sql,
            )
        )
    blocks += [
        Block(
            titled("All measures of a pair", label),
            "Rank correlations over unordered pairs, each the mean of its two directions.",
            tables=(LISTINGS["rpt_pair_correlations"].table("Correlations with transfer", rows),),
            sql=correlations.sql,
        )
        for label, rows in slices(correlations.rows, *_SIDE)
    ]
    lead = (
        (f"The embeddings are those of the study {study.embedding_study}.",)
        if study.embedding_study != study.name
        else ()
    )
    return Section("link", title, lead, tuple(blocks))


def sentence(words: str) -> str:
    """The words with a capital."""
    return words[:1].upper() + words[1:]


def correlation_in_words(correlations: Sequence[Row]) -> str:
    """Spearman's correlation of MAP with transfer and over what, or why there is none."""
    row = next((row for row in correlations if row["measure"] == "bli_map"), None)
    if row is None:
        return "no correlation: no pair of languages has both directions of both."
    languages = printed.plural(row["n_languages"], "language")
    if row["spearman"] is None and row["n_languages"] < MINIMUM_LANGUAGES:
        return f"no correlation is given: {languages} are too few, it takes {MINIMUM_LANGUAGES}."
    if row["spearman"] is None:
        return f"No correlation is given: over {languages} one of the two does not vary."
    p_value = "without p" if row["p_value"] is None else f"Mantel p = {printed.share(row['p_value'])}"
    rho = printed.signed(row["spearman"], 2)
    return f"Spearman ρ = {rho} over {languages} (mean of both directions of a pair; {p_value})."


def _why_no_link(answers: Answers, study: Study) -> str:
    if not answers["cells"].rows:
        return study.why_no_transfer()
    if not answers["bli_methods"].rows and study.embedding_study == study.name:
        return study.why_no_embeddings()
    return f"No ordered pair of languages has both a mapping ({study.bli_map}) and transfer within one task."
