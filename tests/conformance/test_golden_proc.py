"""PROC against what independent implementations gave on the same vectors (../shared/golden/README.md)."""

from __future__ import annotations

import csv
from functools import lru_cache
from pathlib import Path

import pytest

from compute.embeddings.bli import RankRow, bli_rows
from compute.embeddings.dictionary import GoldPair, seed_rows
from compute.embeddings.mappings import load_method
from compute.embeddings.vectors import Vectors, read_word2vec_text

SHARED = Path(__file__).parents[2].parent / "shared"
GOLDEN = SHARED / "golden"
DICTIONARIES = SHARED / "data/codogogo/xling-eval/008a643439707ff64a95e282cc10613124dffce1/bli_datasets"
TOLERANCE = 1e-4

pytestmark = pytest.mark.skipif(
    not (GOLDEN.is_dir() and DICTIONARIES.is_dir()),
    reason=f"reference numbers, vectors and dictionaries are not at {SHARED}",
)


@lru_cache
def vectors(language: str) -> Vectors:
    return read_word2vec_text(GOLDEN / "vectors" / f"bible.{language}.100d.vec.gz")


def dictionary(pair: str, part: str) -> list[GoldPair]:
    """The rows of a published dictionary under the golden file's conventions: lower case, stripped, repeats
    kept."""
    lines = (DICTIONARIES / pair / f"yacle.{part}.{pair}.tsv").read_text(encoding="utf-8").splitlines()
    rows = [[word.lower().strip() for word in line.split("\t")] for line in lines]
    return [GoldPair(str(number), source, target) for number, (source, target) in enumerate(rows)]


@lru_cache
def proc_rows(pair: str, size: str) -> list[RankRow]:
    source, target = (vectors(language) for language in pair.split("-"))
    train = dictionary(pair, f"train.freq.{size}")
    mapping = load_method("proc")().fit(source, target, seed_rows(source, target, train))
    return bli_rows(*mapping.apply(source, target), train, dictionary(pair, "test.freq.2k"))


def ranks(pair: str, size: str, retrieval: str) -> list[float]:
    found = [row["rank"] for row in proc_rows(pair, size) if row["retrieval"] == retrieval]
    return [rank for rank in found if rank is not None]


def accuracy_per_source(pair: str, size: str, retrieval: str) -> float:
    """P@1 over unique covered source words, any gold accepted, as MUSE and VecMap count."""
    best: dict[str, float] = {}
    for row in proc_rows(pair, size):
        if row["retrieval"] == retrieval and row["rank"] is not None:
            best[row["query"]] = min(row["rank"], best.get(row["query"], row["rank"]))
    return sum(rank < 2 for rank in best.values()) / len(best)


def golden_rows() -> list[dict[str, str]]:
    if not GOLDEN.is_dir():
        return []
    with (GOLDEN / "golden_public.csv").open(encoding="utf-8", newline="") as file:
        return [row for row in csv.DictReader(file) if row["peer"] == "reference.py" and row["variant"] == "proc"]


@pytest.mark.parametrize(
    "golden",
    golden_rows(),
    ids=lambda row: "-".join(row[k] for k in ("pair", "train_size", "retrieval", "metric")),
)
def test_proc_gives_the_reference_number(golden: dict[str, str]) -> None:
    pair, size, retrieval, metric = (golden[k] for k in ("pair", "train_size", "retrieval", "metric"))
    found = ranks(pair, size, retrieval)
    if metric == "MAP":
        value = sum(1 / rank for rank in found) / len(found)
    elif metric.startswith("P@"):
        value = sum(rank <= int(metric[2:]) for rank in found) / len(found)
    elif metric == "acc_src":
        value = accuracy_per_source(pair, size, retrieval)
    else:  # acc_src_oov
        unique = {row["query"] for row in proc_rows(pair, size)}
        covered = {row["query"] for row in proc_rows(pair, size) if row["rank"] is not None}
        value = accuracy_per_source(pair, size, retrieval) * len(covered) / len(unique)
    assert value == pytest.approx(float(golden["value"]), abs=TOLERANCE)
    if metric == "MAP":
        assert len(found) == int(golden["n_pairs_evaluated"])


def all_pairs() -> list[dict[str, str]]:
    """PROC on the 28 pairs; the larger dictionary only, since a pair costs a second."""
    if not GOLDEN.is_dir():
        return []
    with (GOLDEN / "all28.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["method"] == "proc" and row["train_size"] == "5k"]
    return [row for row in rows if row["pair"] != "MEAN28"]


@pytest.mark.parametrize("golden", all_pairs(), ids=lambda row: f"{row['pair']}-{row['train_size']}")
def test_proc_on_every_pair(golden: dict[str, str]) -> None:
    for retrieval in ("cosine", "csls"):
        found = ranks(golden["pair"], golden["train_size"], retrieval)
        assert sum(1 / rank for rank in found) / len(found) == pytest.approx(
            float(golden[f"map_{retrieval}"]), abs=TOLERANCE
        )
        assert len(found) == int(golden["n_pairs_evaluated"])
