"""NTREX-128 (Federmann et al. 2022) as a search: which of 123 news texts is the sentence from?"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from compute.catalog import CatalogedFile, digest, fetch, find
from compute.embeddings.downstream.collections import Retrieval, Search
from compute.errors import UserError
from compute.tasks.reading import read_lines

FILES = {
    "de": "ref.deu", "en": "src.eng", "fi": "ref.fin", "fr": "ref.fra", "hr": "ref.hrv", "it": "ref.ita",
    "ru": "ref.rus", "tr": "ref.tur",
}  # fmt: skip

_REPOSITORY = "MicrosoftTranslator/NTREX"
_REVISION = "1"


class Ntrex(Retrieval):
    """1,997 sentences of the source language; the 123 documents of the target language; the one that the sentence's
    translation stands in is relevant. All but the English text are translations of it."""

    def covers(self, source: str, target: str) -> bool:
        return source in FILES and target in FILES

    def digest(self, source: str, target: str) -> str:
        return digest([_documents(), _file(source), _file(target)], _REVISION)

    def search(self, source: str, target: str) -> Search:
        boundaries, queries, lines = (_lines(fetch(file)) for file in (_documents(), _file(source), _file(target)))
        if not len(boundaries) == len(queries) == len(lines):
            raise UserError(f"{_REPOSITORY}: {len(boundaries)}, {len(queries)} and {len(lines)} lines are not aligned")
        place_of = {name: place for place, name in enumerate(dict.fromkeys(boundaries))}
        sentences: list[list[str]] = [[] for _ in place_of]
        for name, line in zip(boundaries, lines, strict=True):
            sentences[place_of[name]].append(line)
        return Search(
            query_ids=[str(number) for number in range(1, len(queries) + 1)],
            queries=list(queries),
            document_ids=list(place_of),
            documents=["\n".join(of_document) for of_document in sentences],
            relevant=[[place_of[name]] for name in boundaries],
        )


def _documents() -> CatalogedFile:
    return find(_REPOSITORY, "DOCUMENT_IDS.tsv")


def _file(language: str) -> CatalogedFile:
    return find(_REPOSITORY, f"NTREX-128/newstest2019-{FILES[language]}.txt")


@lru_cache(maxsize=16)
def _lines(path: Path) -> tuple[str, ...]:
    return tuple(line.strip() for _, line in read_lines(path))
