"""Reading the files of tasks, so that whatever is wrong in one is a line that names the file and the row."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compute.errors import UserError
from compute.file_kinds import refuse_other_kind
from compute.names import UnknownName


@dataclass(frozen=True)
class Place:
    """A row of a file; rows count from 1, a header's included."""

    path: Path
    row: int

    def __str__(self) -> str:
        return f"{self.path}, row {self.row}"


Record = Mapping[str, Any]


def read_lines(path: Path) -> Iterator[tuple[Place, str]]:
    """Yield the lines of a UTF-8 file, without their ends; blank ones too. A byte order mark is not part of the first.

    Only a newline ends a line: other characters that some readers break at, such as U+2028, are text.

    Raises:
        UserError: the file cannot be read, or is not UTF-8.
    """
    try:
        with open(path, "rb") as file:
            refuse_other_kind(file.read(512))
            file.seek(0)
            for row, raw in enumerate(file, start=1):
                try:
                    line = raw.decode("utf-8-sig" if row == 1 else "utf-8")
                except UnicodeDecodeError as error:
                    raise UserError(f"{Place(path, row)}: not UTF-8 text (byte {error.start + 1} of the row)") from None
                yield Place(path, row), line.rstrip("\r\n")
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise UserError(f"{path}: {error}") from None


def read_json_lines(path: Path) -> Iterator[tuple[Place, Record]]:
    """Yield the objects of a JSONL file; blank lines are passed over.

    Raises:
        UserError: as for `read_lines`; a line is not JSON, or not an object.
    """
    for place, line in read_lines(path):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            reason = error.msg if isinstance(error, json.JSONDecodeError) else type(error).__name__
            raise UserError(f"{place}: not JSON: {reason}") from None
        if not isinstance(record, dict):
            raise UserError(f"{place}: expected a JSON object, found {_kind(record)}")
        yield place, record


def read_tsv(path: Path, columns: tuple[str, ...], *, header: bool, quoted: bool) -> Iterator[tuple[Place, Record]]:
    """Yield the rows of a tab-separated file by column name; blank lines are passed over.

    Args:
        columns: their names, in order.
        header: whether the first line is one, which must name exactly these columns.
        quoted: whether cells may stand in double quotes, quotes within them doubled.

    Raises:
        UserError: as for `read_lines`; a row has another number of cells, or the header other names.
    """
    for place, line in read_lines(path):
        if not line.strip():
            continue
        cells = next(csv.reader([line], delimiter="\t")) if quoted else line.split("\t")
        if header and place.row == 1:
            if tuple(cells) != columns:
                raise UserError(f"{place}: expected the columns {', '.join(columns)}; found {', '.join(cells)}")
        elif len(cells) != len(columns):
            raise UserError(f"{place}: expected {len(columns)} cells ({', '.join(columns)}), found {len(cells)}")
        else:
            yield place, dict(zip(columns, cells, strict=True))


def known_keys_only(record: Record, known: Iterable[str], place: Place) -> None:
    """Raises UserError for a key that is not among the known ones, with the nearest."""
    known = tuple(known)
    for key in record:
        if key not in known:
            raise UserError(f"{place}: {UnknownName('key', key, known)}")


def text(record: Record, key: str, place: Place) -> str:
    """Return the text under a key. Raises UserError if there is none."""
    value = _present(record, key, place)
    if not isinstance(value, str):
        raise UserError(f"{place}: {key}: expected a text, found {_kind(value)}")
    return value


def texts(record: Record, key: str, place: Place) -> tuple[str, ...]:
    """Return the list of texts under a key. Raises UserError if there is none."""
    value = _present(record, key, place)
    if not isinstance(value, list):
        raise UserError(f"{place}: {key}: expected a list of texts, found {_kind(value)}")
    for position, part in enumerate(value, start=1):
        if not isinstance(part, str):
            raise UserError(f"{place}: {key}: number {position}: expected a text, found {_kind(part)}")
    return tuple(value)


def identifier(record: Record, key: str, place: Place) -> str:
    """Return the text or whole number under a key, as a text. Raises UserError if there is neither."""
    value = record.get(key)
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else text(record, key, place)


def integer(record: Record, key: str, place: Place) -> int:
    """Return the whole number under a key. Raises UserError if there is none; true and 2.0 are none."""
    value = _present(record, key, place)
    if not isinstance(value, int) or isinstance(value, bool):
        raise UserError(f"{place}: {key}: expected a whole number, found {_kind(value)}")
    return value


def _present(record: Record, key: str, place: Place) -> Any:
    if key not in record:
        raise UserError(f"{place}: {key} is missing; found {', '.join(map(str, record)) or 'nothing'}")
    return record[key]


def _kind(value: Any) -> str:
    """Return how a user would call a value of JSON."""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    kinds: dict[type, str] = {str: "a text", int: "a number", float: "a number", list: "a list", dict: "an object"}
    name = kinds.get(type(value), type(value).__name__)
    return f"{name} ({value!r:.40})" if isinstance(value, str | int | float) else name
