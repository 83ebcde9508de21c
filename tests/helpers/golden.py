"""Reads `../shared/golden`: fixed vectors, dictionaries and what reference implementations gave on them.

Conventions are those of the README there: lower case, repeated rows kept, every covered row a query.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

from compute.embeddings.bli import RankRow, bli_rows
from compute.embeddings.dictionary import GoldPair, seed_rows
from compute.embeddings.mappings import Mapping, MappingMethod, Seeds, load_method
from compute.embeddings.reading import read_vectors
from compute.embeddings.settings import Preprocessing
from compute.embeddings.vectors import Vectors, preprocess

SHARED = Path(__file__).parents[2].parent / "shared"
GOLDEN = SHARED / "golden"
DICTIONARIES = SHARED / "data/codogogo/xling-eval/008a643439707ff64a95e282cc10613124dffce1/bli_datasets"

needs_golden = pytest.mark.skipif(
    not (GOLDEN.is_dir() and DICTIONARIES.is_dir()),
    reason=f"reference numbers, vectors and dictionaries are not at {SHARED}",
)
"""Marks a module: `pytestmark = needs_golden`."""

Row = dict[str, str]


Steps = tuple[Preprocessing, ...]
"""What is done to vectors, in this order."""


@lru_cache
def vectors(language: str, steps: Steps = ()) -> Vectors:
    """The golden vectors of a language."""
    if not steps:
        return read_vectors(GOLDEN / "vectors" / f"bible.{language}.100d.vec.gz")[0]
    return preprocess(vectors(language, steps[:-1]), steps[-1])


def both(pair: str, steps: Steps = ()) -> tuple[Vectors, Vectors]:
    """Source and target vectors of a `pair` such as "en-de"."""
    source, target = pair.split("-")
    return vectors(source, steps), vectors(target, steps)


@lru_cache
def dictionary(pair: str, part: str) -> list[GoldPair]:
    """The rows of a published dictionary: `part` is "train.freq.5k", "train.freq.1k" or "test.freq.2k"."""
    lines = (DICTIONARIES / pair / f"yacle.{part}.{pair}.tsv").read_text(encoding="utf-8").splitlines()
    rows = [[word.lower().strip() for word in line.split("\t")] for line in lines]
    return [GoldPair(str(number), source, target) for number, (source, target) in enumerate(rows)]


def seeds(pair: str, size: str) -> Seeds:
    """Rows [m, 2] of the covered training pairs; `size` is "1k" or "5k"."""
    return seed_rows(*both(pair), dictionary(pair, f"train.freq.{size}"))


def ranked(pair: str, mapping: Mapping, steps: Steps = (), size: str = "5k") -> list[RankRow]:
    """Rows of the 2k test dictionary under both retrievals, for a mapping learnt from vectors preprocessed
    so; leaks are told by the training dictionary of `size`."""
    mapped = mapping.apply(*both(pair, steps))
    return bli_rows(*mapped, dictionary(pair, f"train.freq.{size}"), dictionary(pair, "test.freq.2k"))


@lru_cache
def fitted_rows(method: str, pair: str, size: str, steps: Steps = (), **settings: Any) -> list[RankRow]:
    """`ranked` of the supervised method called so in `METHODS`, with these settings, once a session."""
    learner: MappingMethod = load_method(method)(**settings)
    return ranked(pair, learner.fit(*both(pair, steps), seeds(pair, size)), steps, size)


def covered_ranks(rows: Sequence[RankRow], retrieval: str) -> list[float]:
    """The ranks of the covered rows under a retrieval, "cosine" or "csls"."""
    return [row["rank"] for row in rows if row["retrieval"] == retrieval and row["rank"] is not None]


def measure(rows: Sequence[RankRow], retrieval: str, metric: str) -> float:
    """A metric of the golden file: "MAP" and "P@k" over covered rows; "acc_src", P@1 over unique covered
    source words, any gold accepted; "acc_src_oov", the same hits over all unique source words."""
    found = covered_ranks(rows, retrieval)
    if metric == "MAP":
        return sum(1 / rank for rank in found) / len(found)
    if metric.startswith("P@"):
        return sum(rank <= int(metric[2:]) for rank in found) / len(found)
    best: dict[str, float] = {}
    for row in rows:
        if row["retrieval"] == retrieval and row["rank"] is not None:
            best[row["query"]] = min(row["rank"], best.get(row["query"], row["rank"]))
    hits = sum(rank < 2 for rank in best.values())
    if metric == "acc_src":
        return hits / len(best)
    if metric == "acc_src_oov":
        return hits / len({row["query"] for row in rows})
    raise KeyError(metric)


def golden_rows(peer: str, variant: str, metrics: Sequence[str] | None = None) -> list[Row]:
    """The rows of `golden_public.csv` of a peer and variant (and metrics); none where there is no such
    file."""
    if not GOLDEN.is_dir():
        return []
    with (GOLDEN / "golden_public.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["peer"] == peer and row["variant"] == variant]
    return [row for row in rows if metrics is None or row["metric"] in metrics]


def all_pairs_rows(method: str, size: str) -> list[Row]:
    """The rows of `all28.csv` ("proc", "procb") at a training size, without the means."""
    if not GOLDEN.is_dir():
        return []
    with (GOLDEN / "all28.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["method"] == method and row["train_size"] == size]
    return [row for row in rows if row["pair"] != "MEAN28"]


def label(row: Row) -> str:
    """A test's id."""
    return "-".join(row[key] for key in ("variant", "pair", "train_size", "retrieval", "metric") if key in row)
