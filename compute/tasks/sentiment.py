"""Task `sentiment`: the sentiment of a tweet, three ways (UMSAB; Barbieri et al., XLM-T, LREC 2022).

Each language has its own tweets, as many of each class, in the source's splits. Hindi is largely written in Latin
letters and mixed with English. Two French test tweets stand in train too and one in dev; the splits are as published.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from compute.catalog import CatalogedFile, find
from compute.errors import UserError
from compute.tasks.cataloged import CatalogedTask
from compute.tasks.checks import Located
from compute.tasks.reading import read_lines
from compute.tasks.task import SPLITS, Prompt, Question, Split

REPOSITORY = "cardiffnlp/xlm-t"
SENTIMENTS = ("negative", "neutral", "positive")
FOLDERS = {
    "ar": "arabic", "de": "german", "en": "english", "es": "spanish", "fr": "french", "hi": "hindi", "it": "italian",
    "pt": "portuguese",
}  # fmt: skip
_FILES: dict[Split, str] = {"train": "train", "dev": "val", "test": "test"}


@dataclass(frozen=True, kw_only=True)
class Sentiment(CatalogedTask):
    """A tweet and three sentiments. Nothing is parallel; an item is its line in the source's file."""

    def sources(self, language: str) -> tuple[CatalogedFile, ...]:
        return tuple(
            find(REPOSITORY, f"data/sentiment/{FOLDERS[language]}/{_FILES[split]}_{part}.txt")
            for split in SPLITS
            for part in ("text", "labels")
        )

    def read(self, language: str, paths: Sequence[Path]) -> Mapping[Split, list[Located]]:
        return {
            split: _read(split, paths[2 * position], paths[2 * position + 1]) for position, split in enumerate(SPLITS)
        }


def _read(split: Split, tweets: Path, labels: Path) -> list[Located]:
    located = []
    for tweet, label in zip_longest(read_lines(tweets), read_lines(labels)):
        if tweet is None or label is None:
            place, missing = (label[0], tweets) if tweet is None else (tweet[0], labels)
            raise UserError(f"{place}: {missing} has no such row")
        place, text = tweet
        if label[1] not in ("0", "1", "2"):
            raise UserError(f"{label[0]}: expected 0, 1 or 2, found {label[1]!r}")
        question = Question(f"{split}-{place.row}", None, {"text": text.strip()}, SENTIMENTS, int(label[1]))
        located.append((question, place))
    return located


SENTIMENT = Sentiment(
    name="sentiment",
    prompts=(
        Prompt("cloze", "Tweet: {text}\nSentiment:"),
        Prompt("lettered", "Tweet: {text}\nWhat is the sentiment of the tweet?\n{options}\nAnswer:", style="lettered"),
    ),
    chance=1 / len(SENTIMENTS),
    languages=tuple(FOLDERS),
    licence="Apache-2.0 AND LicenseRef-Twitter-terms",
    source_url=f"https://github.com/{REPOSITORY}",
)
