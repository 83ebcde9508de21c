"""Rows of CSV files, split as CSV says."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from compute.errors import UserError
from compute.importers import read_text
from compute.names import UnknownName


def read_rows(file: Path, required: Sequence[str]) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the rows of a CSV file, each with its place `file:line`.

    Only line feeds and carriage returns outside quotes end a row: any other line end that Unicode knows, such as U+2028
    or U+0085, is part of its field.

    Raises:
        UserError: a column is missing, a row has another number of fields than the header, or quotes do not close.
    """
    reader = csv.DictReader(io.StringIO(read_text(file), newline=""), strict=True)
    try:
        columns = reader.fieldnames or []
        for name in required:
            if name not in columns:
                raise UserError(f"{file}:1: {UnknownName('column', name, columns)}")
        for row in reader:
            place = f"{file}:{reader.line_num}"
            if None in row or None in row.values():
                raise UserError(f"{place}: another number of fields than the header has")
            yield place, row
    except csv.Error as error:
        raise UserError(f"{file}:{reader.line_num + 1}: not CSV from here on: {error} (a quote alone?)") from None


def number(place: str, name: str, text: str) -> float:
    """Return a finite number; UserError, which names the column, where the text is none."""
    try:
        if math.isfinite(found := float(text)):
            return found
    except ValueError:
        pass
    raise UserError(f"{place}: {name}: expected a number, found {text!r}")
