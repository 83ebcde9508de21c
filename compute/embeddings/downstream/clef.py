"""CLEF's ad hoc test collections (Peters 2001-2003), which are licensed, read from a folder of the user's:

    <folder>/documents/<language>/...   newspapers in SGML as distributed, in any sub-folders, also .gz
    <folder>/topics/<language>*         topics (`<top>` with `<num>`, `<..title>`, `<..desc>`), one file or several
    <folder>/qrels/<language>*          judgements of that language's documents: `topic 0 document 0|1` a line

As in Glavaš et al. (2019) a query is a topic's title and description. Topics without a relevant document are left out,
as trec_eval leaves them out. Files are UTF-8, else Latin-1, as the older ones are.
"""

from __future__ import annotations

import gzip
import html
import re
import zlib
from collections.abc import Iterator
from pathlib import Path

from compute.embeddings.downstream.collections import Retrieval, Search
from compute.embeddings.downstream.own_files import files_digest
from compute.errors import UserError

TEXT_ELEMENTS = ("title", "headline", "head", "lead", "text", "ti", "ld", "tx", "st")
"""Elements of a document that hold what is searched; the newspapers' formats differ. The others are metadata."""

_DOCUMENT = re.compile(r"<doc>(.*?)</doc>", re.IGNORECASE | re.DOTALL)
_NUMBER = re.compile(r"<docno>\s*(\S+?)\s*</docno>", re.IGNORECASE)
_TEXT = re.compile(rf"<({'|'.join(TEXT_ELEMENTS)})(?:\s[^>]*)?>(.*?)</\1>", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"<[^>]*>")
_TOPIC = re.compile(r"<top>(.*?)</top>", re.IGNORECASE | re.DOTALL)
_TOPIC_NUMBER = re.compile(r"<num>\s*C?0*(\d+)\s*</num>", re.IGNORECASE)
_TOPIC_TEXT = re.compile(r"<((?:[a-z]{2}-)?(?:title|desc))(?:\s[^>]*)?>(.*?)</\1>", re.IGNORECASE | re.DOTALL)


class Clef(Retrieval):
    """The topics of the source language, the documents of the target language."""

    reads_folder = True

    def covers(self, source: str, target: str) -> bool:
        return all((_of(self.root / "topics", source), *self._searched(target)))

    def digest(self, source: str, target: str) -> str:
        documents, judgements = self._searched(target)
        return files_digest([*_of(self.root / "topics", source), *documents, *judgements])

    def search(self, source: str, target: str) -> Search:
        documents, judgements = self._searched(target)
        found = dict(document for path in documents for document in _documents(path))
        if not found:
            raise UserError(f"{self.root / 'documents' / target}: no <DOC> with a <DOCNO> in it")
        place_of = {name: place for place, name in enumerate(found)}
        relevant: dict[str, list[int]] = {}
        for path in judgements:
            for topic, document in _relevant(path):
                if document in place_of:
                    relevant.setdefault(topic, []).append(place_of[document])
        topics = dict(topic for path in _of(self.root / "topics", source) for topic in _topics(path))
        asked = [topic for topic in topics if topic in relevant]
        if not asked:
            raise UserError(
                f"{self.root}: none of {len(topics)} topics in {source} has a relevant document among {len(found)} "
                f"in {target}"
            )
        return Search(
            query_ids=asked,
            queries=[topics[topic] for topic in asked],
            document_ids=list(found),
            documents=list(found.values()),
            relevant=[sorted(set(relevant[topic])) for topic in asked],
        )

    def _searched(self, target: str) -> tuple[list[Path], list[Path]]:
        """Return files of the documents and of their judgements."""
        documents = (self.root / "documents" / target).rglob("*")
        return sorted(path for path in documents if path.is_file()), _of(self.root / "qrels", target)


def _of(folder: Path, language: str) -> list[Path]:
    """Return the files of a folder that are called after a language: its code alone, or with more after it."""
    return sorted(path for path in folder.glob(f"{language}*") if re.match(rf"{language}(?![a-zA-Z])", path.name))


def _documents(path: Path) -> Iterator[tuple[str, str]]:
    return _numbered(path, _DOCUMENT, _NUMBER, _TEXT, "a <DOC> without a <DOCNO>")


def _topics(path: Path) -> Iterator[tuple[str, str]]:
    return _numbered(path, _TOPIC, _TOPIC_NUMBER, _TOPIC_TEXT, "a topic without a <num>")


def _numbered(
    path: Path, element: re.Pattern[str], its_number: re.Pattern[str], text: re.Pattern[str], lacking: str
) -> Iterator[tuple[str, str]]:
    """Yield number and text of each element of a file; UserError, which calls it `lacking`, for one without number."""
    for found in element.finditer(_read(path)):
        number = its_number.search(found[1])
        if number is None:
            raise UserError(f"{path}: {lacking}: {found[0][:60]!r}")
        yield number[1], _plain(" ".join(part[2] for part in text.finditer(found[1])))


def _relevant(path: Path) -> Iterator[tuple[str, str]]:
    for row, line in enumerate(_read(path).splitlines(), start=1):
        fields = line.split()
        if not fields:
            continue
        if len(fields) != 4 or not fields[3].lstrip("-").isdecimal():
            raise UserError(f"{path}, row {row}: expected `topic 0 document 0|1`, found {line[:60]!r}")
        if int(fields[3]) > 0:
            yield fields[0].lstrip("Cc").lstrip("0"), fields[2]


def _plain(text: str) -> str:
    return html.unescape(_TAG.sub(" ", text)).strip()


def _read(path: Path) -> str:
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path}: cannot be read: {error}") from error
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")
