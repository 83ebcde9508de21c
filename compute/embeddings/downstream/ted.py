"""The TED corpus for document classification of Hermann & Blunsom (2014), read from the unpacked archive:

    <folder>/<language>-<other>/train/<topic>/positive/*    <folder>/<language>-<other>/test/<topic>/negative/*

`de-en` holds the German talks of the pair, `en-de` the English ones; a file is a talk. For each of 15 topics there is
a problem of its own: learnt from `de-en/train/<topic>`, asked of `en-de/test/<topic>`. For two languages of which
neither is English, as Glavaš et al. (2019) have them, each side's talks are those of its pair with English.

Words carry their language (`haus_de`), which is taken off; `UNK` stands for words that were rare, and is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from compute.embeddings.downstream.collections import Classification, Labelled, Problem
from compute.embeddings.downstream.own_files import files_digest
from compute.errors import UserError, reading
from compute.plugin import digest

SIDES = ("positive", "negative")
PIVOT = "en"

_LANGUAGE = re.compile(r"_[a-z]{2}(-[a-z]{2})?$")
_UNKNOWN = "UNK"


class Ted(Classification):
    """A problem a topic. A talk is of the topic or of none, so gold and prediction are the topic or None; that way
    micro F1 pools the topics' right and wrong decisions, and macro F1 is the mean of the topics' F1."""

    reads_folder = True

    def covers(self, source: str, target: str) -> bool:
        return _folder(self.root, source, target) is not None and _folder(self.root, target, source) is not None

    def digest(self, source: str, target: str) -> str:
        paths = [path for _, _, path in (*self._files(source, target, "train"), *self._files(target, source, "test"))]
        return digest([files_digest(paths), [str(path.relative_to(self.root)) for path in paths]])

    def problems(self, source: str, target: str) -> list[Problem]:
        train, test = self._by_topic(source, target, "train"), self._by_topic(target, source, "test")
        if train.keys() != test.keys():
            (topic, *_) = sorted(train.keys() ^ test.keys())
            raise UserError(f"{self.root}: topic {topic!r} is not in both {source}/train and {target}/test")
        for topic, talks in train.items():
            if len({talk.label for talk in talks}) < 2:
                raise UserError(f"{self.root}: {source}/train/{topic}: positive and negative talks are expected")
        return [Problem(train[topic], test[topic]) for topic in train]

    def _by_topic(self, language: str, other: str, part: str) -> dict[str, list[Labelled]]:
        found: dict[str, list[Labelled]] = {}
        for topic, side, path in self._files(language, other, part):
            talk = Labelled(f"{topic}/{path.name}", _talk(path), topic if side == "positive" else None)
            found.setdefault(topic, []).append(talk)
        return found

    def _files(self, language: str, other: str, part: str) -> Iterator[tuple[str, str, Path]]:
        """Topic, side and path of each talk, in order."""
        folder = _folder(self.root, language, other)
        if folder is None:
            raise UserError(f"{self.root}: no folder {language}-{other} in it")
        topics = sorted(path for path in (folder / part).glob("*") if path.is_dir())
        if not topics:
            raise UserError(f"{folder / part}: no folders of topics in it")
        for topic in topics:
            for side in SIDES:
                if not (topic / side).is_dir():
                    raise UserError(f"{topic / side}: no such folder; a topic has {' and '.join(SIDES)}")
                for path in sorted((topic / side).iterdir()):
                    yield topic.name, side, path


def _folder(root: Path, language: str, other: str) -> Path | None:
    """Return where the talks of `language` are for a pair with `other`."""
    for name in (f"{language}-{other}", f"{language}-{PIVOT}"):
        if (root / name).is_dir():
            return root / name
    return None


def _talk(path: Path) -> str:
    with reading(path):
        words = path.read_text(encoding="utf-8").split()
    bare = (_LANGUAGE.sub("", word) for word in words)
    return " ".join(word for word in bare if word.strip("_") != _UNKNOWN)
