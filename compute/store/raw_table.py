"""What describes a raw table, and the columns that several of them share."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Column:
    """One column: its name, DuckDB type and meaning."""

    name: str
    type: str
    description: str


def names(*columns: Column) -> tuple[str, ...]:
    """Return their names."""
    return tuple(column.name for column in columns)


@dataclass(frozen=True)
class Table:
    """One raw table: what a row is (`grain_text`), the columns identifying it (`grain`), and all columns."""

    name: str
    grain_text: str
    grain: tuple[str, ...]
    columns: tuple[Column, ...]
    primary_key: bool = False
    """True: the grain is declared PRIMARY KEY, where the database has such, and the loader replaces rows by it."""

    @property
    def column_names(self) -> tuple[str, ...]:
        return names(*self.columns)

    def create_statement(self, has_keys: bool = True) -> str:
        """DDL that creates the table if it does not exist; `has_keys`: whether the database knows primary keys."""
        lines = [f"{column.name} {column.type}" for column in self.columns]
        if self.primary_key and has_keys:
            lines.append(f"primary key ({', '.join(self.grain)})")
        return f"create table if not exists raw.{self.name} (\n    " + ",\n    ".join(lines) + "\n)"


JOB_KEY = Column("job_key", "varchar", "SHA-256 of what decides the result; the job that produced the row")
MODEL = Column("model", "varchar", "model name and revision, as name@revision")
VARIANT = Column("variant", "varchar", "label of what the study varies beyond the other keys; 'default' if nothing")
CELL = (
    MODEL,
    Column("source_task", "varchar", "task that is or would be tuned on"),
    Column("source_language", "varchar", "language that is or would be tuned on"),
    Column("target_task", "varchar", "task evaluated"),
    Column("target_language", "varchar", "language evaluated"),
)
