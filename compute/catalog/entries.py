"""What the catalog knows of a file, and looking a file up."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import quote

from compute.names import UnknownName

GITHUB = "https://raw.githubusercontent.com"
HUB = "https://huggingface.co/datasets"

_TABLE = Path(__file__).with_name("files.tsv")


@dataclass(frozen=True)
class CatalogedFile:
    """A file of a GitHub repository at a commit.

    Attributes:
        repository: `<owner>/<repo>`.
        commit: 40 hexadecimal digits.
        path: within the repository; may have spaces.
        bytes: its size.
        sha256: hexadecimal.
        licence: of the data, as the source states it.
    """

    repository: str
    commit: str
    path: str
    bytes: int
    sha256: str
    licence: str

    @property
    def key(self) -> str:
        """Return where a mirror and the cache have it."""
        return f"{self.repository}/{self.commit}/{self.path}"

    @property
    def url(self) -> str:
        return f"{GITHUB}/{quote(self.key)}"


@dataclass(frozen=True)
class HubFile:
    """A file of a data set on the Hugging Face hub.

    Attributes:
        repository: `<owner>/<name>` of the data set.
        revision: a commit or, where none is published, a branch; a branch may move.
        path: within the data set.
        licence: of the data, as the source states it.
        sha256: hexadecimal; None where none is published, and then the file's content is not checked.
    """

    repository: str
    revision: str
    path: str
    licence: str
    sha256: str | None = None

    @property
    def key(self) -> str:
        """Return where a mirror has it."""
        return f"{self.repository}/{self.revision}/{self.path}"

    @property
    def url(self) -> str:
        return f"{HUB}/{self.repository}/resolve/{quote(self.revision)}/{quote(self.path)}"


Entry = CatalogedFile | HubFile


@cache
def _catalog() -> dict[str, dict[str, CatalogedFile]]:
    """Repository -> path -> file."""
    found: dict[str, dict[str, CatalogedFile]] = {}
    with open(_TABLE, encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
            entry = CatalogedFile(**{**row, "bytes": int(row["bytes"])})  # type: ignore[arg-type]
            found.setdefault(entry.repository, {})[entry.path] = entry
    return found


def files(repository: str) -> tuple[CatalogedFile, ...]:
    """Return the cataloged files of a repository, in the order of their paths.

    Raises:
        UnknownName: nothing of that repository is cataloged; the message gives the nearest.
    """
    known = _files_of(repository)
    return tuple(known[path] for path in sorted(known))


def find(repository: str, path: str) -> CatalogedFile:
    """Return the cataloged file at `path` of `<owner>/<repo>`.

    Raises:
        UnknownName: no such repository or path; the message gives the nearest.
    """
    known = _files_of(repository)
    if path not in known:
        raise UnknownName(f"file of {repository}", path, known)
    return known[path]


def _files_of(repository: str) -> dict[str, CatalogedFile]:
    known = _catalog()
    if repository not in known:
        raise UnknownName("cataloged repository", repository, known)
    return known[repository]


def digest(entries: Iterable[Entry], *rules: str) -> str:
    """sha256 (hexadecimal) that stands for files and for what is made of them; reads none of the files.

    Args:
        entries: in an order that matters.
        rules: whatever else decides what is made of them, such as a revision of the reader.
    """
    parts = [[entry.key, entry.sha256] for entry in entries]
    return hashlib.sha256(json.dumps([parts, rules]).encode()).hexdigest()
