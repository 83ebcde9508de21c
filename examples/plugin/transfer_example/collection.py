"""A collection of documents for `cldc`, read from a folder: `<language>.txt`, a class, a tab and a text a line."""

from __future__ import annotations

import hashlib
from pathlib import Path

from compute.embeddings.downstream.collections import Classification, Labelled, Problem
from compute.errors import UserError


class WordClasses(Classification):
    """Learnt from the file of the source language, asked of that of the target language."""

    reads_folder = True

    def covers(self, source: str, target: str) -> bool:
        return all((self.root / f"{language}.txt").is_file() for language in (source, target))

    def digest(self, source: str, target: str) -> str:
        found = hashlib.sha256()
        for language in (source, target):
            found.update((self.root / f"{language}.txt").read_bytes())
        return found.hexdigest()

    def problems(self, source: str, target: str) -> list[Problem]:
        return [Problem(_documents(self.root / f"{source}.txt"), _documents(self.root / f"{target}.txt"))]


def _documents(path: Path) -> list[Labelled]:
    documents = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        label, tab, text = line.partition("\t")
        if not tab:
            raise UserError(f"{path}:{number}: expected a class, a tab and a text, found no tab")
        documents.append(Labelled(str(number), text, label))
    return documents
