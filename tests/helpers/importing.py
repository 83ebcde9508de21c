"""A place to import into, for tests."""

from __future__ import annotations

from pathlib import Path

import duckdb

from compute.importers import import_results
from compute.store.warehouse import Warehouse


class Place:
    """A folder with a warehouse, and what was said."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.said: list[str] = []
        self.warehouse = Warehouse(folder / "w.duckdb", wait=0.0)

    def take(
        self, name: str, *files: Path, names: Path | None = None, study: str | None = None, harm: float | None = None
    ) -> None:
        import_results(name, files, names, study, self.warehouse, self.folder / "landing", self.said.append, harm)

    def ask(self, sql: str) -> list[tuple[object, ...]]:
        with duckdb.connect(str(self.folder / "w.duckdb"), read_only=True) as connection:
            return connection.execute(sql).fetchall()

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path
