"""Importer `bli`: ranks of test translations by other mapping tools, as CSV.

Columns: `method`, `pair` (`en-de`), `size` (training pairs; 0: unsupervised), `query`, `gold`, `rank` (1 is best;
empty: a word without a vector). Further ones that are read if they are there: `retrieval` (`cosine` or `csls`; cosine
if not), `vectors` (a label; `imported` if not), `seed` (0 if not), `is_leaked` (whether the pair was trained on; false
if not), `concept` (what a row means, the same in every language pair that asks it; the row's number if not).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from compute.errors import UserError
from compute.importers import ImportConfig, Imported, ImportedStudy, Say, file_digest
from compute.importers.csv_rows import number, read_rows
from compute.names import UnknownName
from compute.plugin import Job

VERSION = "1"
_COLUMNS = ("method", "pair", "size", "query", "gold", "rank")
_OPTIONAL = {"retrieval": "cosine", "vectors": "imported", "seed": "0", "is_leaked": "false", "concept": ""}
_RETRIEVALS = ("cosine", "csls")
_TRUTHS = {"true": True, "1": True, "false": False, "0": False}
_KEYS = ("method", "vectors", "source_language", "target_language", "dictionary_size", "seed")


def read(files: Sequence[Path], map_file: Path | None, say: Say) -> ImportedStudy:
    """One job a (file, method, vectors, pair, size, seed).

    Raises:
        UserError: a missing column, an unknown retrieval, a pair, size, seed or rank that is none: file and line.
    """
    if map_file is not None:
        raise UserError("bli takes no --map: its rows say what they are")
    return ImportedStudy(list(_mappings(files, say)))


def _mappings(files: Sequence[Path], say: Say) -> Iterator[Imported]:
    for file in files:
        groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
        for row in _rows(file):
            groups.setdefault(tuple(row.pop(key) for key in _KEYS), []).append(row)
        sha256 = file_digest(file)
        for values, rows in groups.items():
            keys = dict(zip(_KEYS, values, strict=True)) | {"variant": "default"}
            job = Job(
                plugin="import",
                version=VERSION,
                config=ImportConfig(importer="bli", **keys, sha256=sha256),
                label=f"import {keys['method']} {keys['source_language']}-{keys['target_language']} "
                f"{keys['dictionary_size']} pairs seed {keys['seed']} of {file.name}",
            )
            yield Imported(job, {"bli_ranks": [keys | row for row in _numbered(rows)]})
        say(f"{file}: {len(groups)} mappings, {sum(map(len, groups.values())):,} ranks")


def _numbered(rows: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield each retrieval's rows numbered from 0 in the file's order; a pair that stood before is a duplicate."""
    seen: dict[str, set[tuple[str, str]]] = {}
    counts: dict[str, int] = {}
    for row in rows:
        retrieval, words = row["retrieval"], (row["query"], row["gold"])
        earlier = seen.setdefault(retrieval, set())
        number = counts.get(retrieval, 0)
        counts[retrieval] = number + 1
        yield {
            **row,
            "pair_number": number,
            "concept_id": row["concept_id"] or str(number),
            "is_duplicate": words in earlier,
            "is_identical": row["query"] == row["gold"],
        }
        earlier.add(words)


def _rows(file: Path) -> Iterator[dict[str, Any]]:
    for place, row in read_rows(file, _COLUMNS):
        yield _row(place, {**_OPTIONAL, **row})


def _row(place: str, row: Mapping[str, str]) -> dict[str, Any]:
    source, dash, target = row["pair"].strip().partition("-")
    if not (dash and source.isalpha() and target.isalpha() and source != target):
        raise UserError(f"{place}: pair: expected two languages such as en-de, found {row['pair']!r}")
    for name in ("method", "query", "gold"):
        if not row[name].strip(" \t"):  # U+0085 is a word of published vectors, and white space to Unicode
            raise UserError(f"{place}: {name} is empty")
    if row["retrieval"] not in _RETRIEVALS:
        raise UserError(f"{place}: {UnknownName('retrieval', row['retrieval'], _RETRIEVALS)}")
    if row["is_leaked"].strip().lower() not in _TRUTHS:
        raise UserError(f"{place}: is_leaked: expected true or false, found {row['is_leaked']!r}")
    rank = number(place, "rank", row["rank"]) if row["rank"].strip() else None
    if rank is not None and rank < 1:
        raise UserError(f"{place}: rank: the best is 1, found {row['rank']}")
    return {
        "method": row["method"].strip(),
        "vectors": row["vectors"].strip(),
        "source_language": source,
        "target_language": target,
        "dictionary_size": _whole(place, "size", row["size"]),
        "seed": _whole(place, "seed", row["seed"]),
        "retrieval": row["retrieval"],
        "query": row["query"],
        "gold": row["gold"],
        "rank": rank,
        "is_leaked": _TRUTHS[row["is_leaked"].strip().lower()],
        "concept_id": row["concept"].strip(),
    }


def _whole(place: str, name: str, text: str) -> int:
    found = number(place, name, text)
    if found < 0 or found != int(found):
        raise UserError(f"{place}: {name}: expected a whole number from 0, found {text!r}")
    return int(found)
