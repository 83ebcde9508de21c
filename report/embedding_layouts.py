"""What of the marts of embeddings, alone and beside transfer, is shown, under which headings, in which order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from report import printed
from report.listings import Grid, Listing
from report.tables import ABSENT, PrintedColumn, Row, correlation, languages, number, text
from report.terms import BY_POOL, POOL, SIGNIFICANT


def dictionary_size(size: int) -> str:
    """Return a size of a training dictionary as a heading."""
    return "no dictionary" if size == 0 else printed.count(size)


METHOD = PrintedColumn(
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


_METHOD = "variant != 'default', variant, vectors"

EMBEDDING_GRIDS: Mapping[str, Grid] = {
    "rpt_bli_methods": Grid(
        "Mean MAP of bilingual lexicon induction by size of the training dictionary, over all language pairs that a "
        "method mapped and over those on which every method succeeds; in parentheses, pairs on which it failed",
        apart=("variant", "vectors", "retrieval"),
        down=("method",),
        across=("scope", "dictionary_size"),
        value=PrintedColumn("mean MAP", ("mean_map", "n_failures"), _mean_map),
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
        value=PrintedColumn("difference", ("difference", "p_value"), _difference),
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

EMBEDDING_LISTINGS: Mapping[str, Listing] = {
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
            PrintedColumn("training pairs", ("dictionary_size",), lambda row: dictionary_size(row["dictionary_size"])),
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
            correlation("spearman", "Spearman"),
            correlation("pearson", "Pearson"),
            number("p_value", "p"),
            number("n", "points"),
        ),
        order="variant != 'default', variant, task",
    ),
    "rpt_language_pairs": Listing(
        "Word translation and transfer between two languages",
        apart=(*POOL, "embedding_study", "embedding_variant", "vectors"),
        columns=(languages(), number("bli_map", "MAP"), number("transfer_pp", "transfer")),
        order=f"{BY_POOL}, embedding_study, embedding_variant != 'default', embedding_variant, vectors, "
        "source_language, target_language",
    ),
    "rpt_pair_correlations": Listing(
        "Rank correlation of a pair's measures with transfer",
        apart=(*POOL, "embedding_study", "embedding_variant", "vectors"),
        columns=(
            text("measure", "measure of a pair"),
            correlation("spearman", "Spearman with transfer", "too few languages"),
            number("p_value", "Mantel p"),
            number("n_languages", "languages"),
        ),
        order=f"{BY_POOL}, embedding_study, embedding_variant != 'default', embedding_variant, vectors, "
        "measure != 'bli_map', measure",
    ),
}
