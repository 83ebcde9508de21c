"""The training log kept inside an artifact: a training that was committed but not landed is not done twice."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_FILE = "training_log.json"


def write_log(folder: Path, rows: Iterable[DataclassInstance]) -> None:
    """Write rows of `raw.training_log` (less the job's key) beside an artifact's files."""
    (folder / _FILE).write_text(json.dumps([asdict(row) for row in rows]), encoding="utf-8")


def read_log(folder: Path) -> list[dict[str, Any]]:
    """Return the rows that `write_log` wrote."""
    rows: list[dict[str, Any]] = json.loads((folder / _FILE).read_text(encoding="utf-8"))
    return rows
