"""XNLI (Conneau et al. 2018): pairs of sentences in 15 languages, translated by people; what is learnt from is the
training set of MultiNLI (Williams et al. 2018), which is English.

Both are data sets of the Hugging Face hub, at fixed commits. Learning from 393 thousand pairs is a GPU's work.
"""

from __future__ import annotations

from pathlib import Path

from compute.catalog import HubFile, digest, fetch
from compute.embeddings.downstream.collections import Inference, SentencePair
from compute.errors import UserError
from compute.tasks.reading import Place, text

LABELS = ("entailment", "neutral", "contradiction")
"""In the order of their numbers in the files."""

LANGUAGES = ("ar", "bg", "de", "el", "en", "es", "fr", "hi", "ru", "sw", "th", "tr", "ur", "vi", "zh")
TRAINING_LANGUAGE = "en"

_TRAINING = HubFile(
    "nyu-mll/multi_nli",
    "da70db2af9d09693783c3320c4249840212ee221",
    "data/train-00000-of-00001.parquet",
    "OANC, CC-BY-3.0, CC-BY-SA-3.0 and MIT, by genre",
)
_REVISION = "1"


class Xnli(Inference):
    """392,702 training pairs in English; 5,010 test pairs in each language. Pairs without a majority's label (-1) are
    left out."""

    def covers(self, source: str, target: str) -> bool:
        return source == TRAINING_LANGUAGE and target in LANGUAGES

    def digest(self, source: str, target: str) -> str:
        return digest([_TRAINING, _test(target)], _REVISION)

    def train(self, source: str) -> list[SentencePair]:
        return _pairs(fetch(_TRAINING))

    def test(self, target: str) -> list[SentencePair]:
        return _pairs(fetch(_test(target)))


def _test(language: str) -> HubFile:
    return HubFile(
        "facebook/xnli",
        "b8dd5d7af51114dbda02c0e3f6133f332186418e",
        f"{language}/test-00000-of-00001.parquet",
        "CC-BY-NC-4.0",
    )


def _pairs(path: Path) -> list[SentencePair]:
    """Return the pairs of a file; an `item_id` is the row's number, from 0, which is the same in all languages."""
    import polars as pl

    try:
        rows = pl.read_parquet(path, columns=["premise", "hypothesis", "label"])
    except (OSError, pl.exceptions.PolarsError) as error:
        raise UserError(f"{path}: not a Parquet file of sentence pairs: {str(error).splitlines()[0]}") from None
    found = []
    for number, row in enumerate(rows.iter_rows(named=True)):
        place, label = Place(path, number + 1), row["label"]
        if label == -1:
            continue
        if label not in range(len(LABELS)):
            raise UserError(f"{place}: label: expected 0, 1, 2 or -1, found {label!r}")
        sentences = text(row, "premise", place), text(row, "hypothesis", place)
        found.append(SentencePair(str(number), *sentences, LABELS[label]))
    return found
