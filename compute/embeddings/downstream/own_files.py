"""Collections in the user's own JSONL, an object a line; languages are folders.

cldc   <folder>/<language>/train.jsonl, test.jsonl   {"item_id": "7", "text": "...", "label": "sports"}
clir   <folder>/<language>/queries.jsonl             {"item_id": "q1", "text": "...", "relevant": ["7"]}
       <folder>/<language>/documents.jsonl           {"item_id": "7", "text": "..."}
xnli   <folder>/<language>/train.jsonl, test.jsonl   {"item_id": "7", "premise": "...", "hypothesis": "...",
                                                      "label": "neutral"}
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from compute.embeddings.downstream.collections import (
    Classification,
    Collection,
    Inference,
    Labelled,
    Problem,
    Retrieval,
    Search,
    SentencePair,
)
from compute.errors import UserError
from compute.names import UnknownName
from compute.plugin import digest
from compute.store.digests import content_digest
from compute.tasks.reading import Place, Record, identifier, known_keys_only, read_json_lines, text, texts


class _TrainAndTest(Collection):
    """A file that is learnt from, and one that is asked."""

    reads_folder = True

    def covers(self, source: str, target: str) -> bool:
        return _train(self.root, source).is_file() and _test(self.root, target).is_file()

    def digest(self, source: str, target: str) -> str:
        return files_digest([_train(self.root, source), _test(self.root, target)])


class OwnDocuments(_TrainAndTest, Classification):
    """One problem; its classes are the labels of the training documents."""

    def problems(self, source: str, target: str) -> list[Problem]:
        return [Problem(_labelled(_train(self.root, source)), _labelled(_test(self.root, target)))]


class OwnSearch(Retrieval):
    """Queries name their relevant documents, whose ids are the same in all languages."""

    reads_folder = True

    def covers(self, source: str, target: str) -> bool:
        return self._queries(source).is_file() and self._documents(target).is_file()

    def digest(self, source: str, target: str) -> str:
        return files_digest([self._queries(source), self._documents(target)])

    def search(self, source: str, target: str) -> Search:
        documents = [
            (item_id, text(record, "text", place))
            for place, item_id, record in read_items(self._documents(target), ("item_id", "text"))
        ]
        place_of = {item_id: place for place, (item_id, _) in enumerate(documents)}
        queries = []
        for place, item_id, record in read_items(self._queries(source), ("item_id", "text", "relevant")):
            relevant = texts(record, "relevant", place)
            if not relevant:
                raise UserError(f"{place}: relevant: expected the id of a document or more, found none")
            for document in relevant:
                if document not in place_of:
                    raise UserError(f"{place}: relevant: {UnknownName('document', document, place_of)}")
            queries.append((item_id, text(record, "text", place), sorted({place_of[one] for one in relevant})))
        return Search(
            query_ids=[item_id for item_id, _, _ in queries],
            queries=[query for _, query, _ in queries],
            document_ids=[item_id for item_id, _ in documents],
            documents=[document for _, document in documents],
            relevant=[relevant for _, _, relevant in queries],
        )

    def _queries(self, language: str) -> Path:
        return self.root / language / "queries.jsonl"

    def _documents(self, language: str) -> Path:
        return self.root / language / "documents.jsonl"


class OwnPairs(_TrainAndTest, Inference):
    """Pairs of sentences; the relations are the labels of the training pairs."""

    def train(self, source: str) -> list[SentencePair]:
        return _pairs(_train(self.root, source))

    def test(self, target: str) -> list[SentencePair]:
        return _pairs(_test(self.root, target))


def files_digest(paths: Sequence[Path]) -> str:
    """SHA-256 of the content of files, in order. Raises UserError if one cannot be read."""
    try:
        return digest([content_digest(path) for path in paths])
    except OSError as error:
        raise UserError(f"{error.filename}: cannot be read: {error.strerror or error}") from error


def read_items(path: Path, keys: Sequence[str]) -> Iterator[tuple[Place, str, Record]]:
    """Yield the objects of a JSONL file with the place and the `item_id` of each.

    Raises:
        UserError: not JSONL, a key that is not one of `keys`, an id that stands twice, or nothing at all.
    """
    seen: dict[str, Place] = {}
    for place, record in read_json_lines(path):
        known_keys_only(record, keys, place)
        item_id = identifier(record, "item_id", place)
        if item_id in seen:
            raise UserError(f"{place}: item_id {item_id!r} stands in row {seen[item_id].row} already")
        seen[item_id] = place
        yield place, item_id, record
    if not seen:
        raise UserError(f"{path}: nothing in it; expected a JSON object a line with {', '.join(keys)}")


def _train(root: Path, language: str) -> Path:
    return root / language / "train.jsonl"


def _test(root: Path, language: str) -> Path:
    return root / language / "test.jsonl"


def _labelled(path: Path) -> list[Labelled]:
    return [
        Labelled(item_id, text(record, "text", place), text(record, "label", place))
        for place, item_id, record in read_items(path, ("item_id", "text", "label"))
    ]


def _pairs(path: Path) -> list[SentencePair]:
    return [
        SentencePair(item_id, *(text(record, key, place) for key in ("premise", "hypothesis", "label")))
        for place, item_id, record in read_items(path, ("item_id", "premise", "hypothesis", "label"))
    ]
