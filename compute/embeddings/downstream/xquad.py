"""XQuAD (Artetxe et al. 2020) as a search: which of 240 paragraphs answers the question?"""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from compute.catalog import CatalogedFile, digest, fetch, find
from compute.embeddings.downstream.collections import Retrieval, Search
from compute.errors import UserError

LANGUAGES = ("ar", "de", "en", "es", "hi", "ru", "tr")

_REVISION = "1"


class Xquad(Retrieval):
    """1,190 questions of the source language; the 240 paragraphs of the target language; one is relevant. The
    translations are parallel, so a question's paragraph is the one at its place."""

    def covers(self, source: str, target: str) -> bool:
        return source in LANGUAGES and target in LANGUAGES

    def digest(self, source: str, target: str) -> str:
        return digest([_file(source), _file(target)], _REVISION)

    def search(self, source: str, target: str) -> Search:
        asked, searched = (_paragraphs(fetch(_file(language))) for language in (source, target))
        ids = [[question_id for question_id, _ in questions] for _, questions in asked]
        if ids != [[question_id for question_id, _ in questions] for _, questions in searched]:
            raise UserError(f"{_file(source).path} and {_file(target).path}: their questions are not parallel")
        questions = [
            (question_id, question, place)
            for place, (_, of_paragraph) in enumerate(asked)
            for question_id, question in of_paragraph
        ]
        return Search(
            query_ids=[question_id for question_id, _, _ in questions],
            queries=[question for _, question, _ in questions],
            document_ids=[str(place) for place in range(len(searched))],
            documents=[paragraph for paragraph, _ in searched],
            relevant=[[place] for _, _, place in questions],
        )


def _file(language: str) -> CatalogedFile:
    return find("google-deepmind/xquad", f"xquad.{language}.json")


Paragraphs = list[tuple[str, list[tuple[str, str]]]]
"""Each with its questions: id and text."""


@lru_cache(maxsize=8)
def _paragraphs(path: Path) -> Paragraphs:
    try:
        articles: Any = json.loads(path.read_text(encoding="utf-8"))["data"]
        return [
            (str(paragraph["context"]), [(str(one["id"]), str(one["question"])) for one in paragraph["qas"]])
            for article in articles
            for paragraph in article["paragraphs"]
        ]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(f"{path}: not in the format of SQuAD: {type(error).__name__} {error}") from None
