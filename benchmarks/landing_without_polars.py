"""Where the cells of `bench_training` land: as in a study, or, without polars, as safetensors files."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from safetensors.numpy import save

_LISTS = ("logprobs", "token_counts", "char_counts", "byte_counts")


class CellLanding(Protocol):
    """What `compute.store.landing.Landing` does for a cell."""

    def write(self, job_key: str, tables: Mapping[str, Sequence[Any]], record: Mapping[str, Any]) -> None:
        """Lands the cell's rows."""


class LandingWithoutPolars:
    """One safetensors file a cell: an array [items, choices] a column of lists, the rest as JSON in its header."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, job_key: str, tables: Mapping[str, Sequence[Any]], record: Mapping[str, Any]) -> None:
        """Writes the rows of `item_scores`, synced and renamed as a shard is."""
        rows = tables["item_scores"]
        arrays = {name: np.array([row[name] for row in rows]) for name in _LISTS}
        rest = [{name: value for name, value in row.items() if name not in _LISTS} for row in rows]
        self.root.mkdir(parents=True, exist_ok=True)
        temporary = self.root / f".{job_key}.tmp"
        with open(temporary, "wb") as file:
            file.write(save(arrays, {"rows": json.dumps(rest), "record": json.dumps(dict(record))}))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self.root / f"{job_key}.safetensors")


def open_landing(root: Path) -> CellLanding:
    """A study's landing, else the other."""
    try:
        from compute.store.landing import Landing
    except ImportError:
        return LandingWithoutPolars(root)
    return Landing(root)
