"""Asks the warehouse about one study: of a mart what its layout shows, else a file under `sql/`; run as printed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb

from compute.errors import UserError, where_stderr_is_full
from compute.store.database import BUILD_FIRST, Place, named_rows
from compute.store.warehouse import Warehouse
from report.layouts import LAYOUTS
from report.tables import Row

_SQL = Path(__file__).parent / "sql"

REQUIRED = ("staging.stg_studies", "marts.fct_scores", *(f"marts.{mart}" for mart in LAYOUTS))
"""What `transfer build` must have made before there is anything to report."""


@dataclass(frozen=True)
class Answer:
    """Rows, and the very SQL that gave them: it can be pasted into `transfer sql`."""

    sql: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]


class Asker:
    """Questions about one study, to an open warehouse."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, study: str) -> None:
        self._connection = connection
        self._literal = "'" + study.replace("'", "''") + "'"

    def ask(self, question: str) -> Answer:
        """Return the answer to `sql/<question>.sql`, with the study's name in the place of `$study`.

        Raises:
            UserError: the marts lack what is asked for: an earlier version built them.
        """
        return self._answer((_SQL / f"{question}.sql").read_text(encoding="utf-8").strip())

    def show(self, mart: str, where: str = "") -> Answer:
        """Return what the layout of a mart shows, in its order, of the rows that `where` keeps.

        Raises:
            UserError: as `ask`.
        """
        layout = LAYOUTS[mart]
        columns = ",\n    ".join(layout.reads)
        kept = f" and {where}" if where else ""
        return self._answer(
            f"select\n    {columns}\nfrom marts.{mart}\nwhere study = $study{kept}\norder by {layout.order}"
        )

    def _answer(self, text: str) -> Answer:
        sql = text.replace("$study", self._literal) + ";"
        try:
            cursor = self._connection.execute(sql)
        except (duckdb.BinderException, duckdb.CatalogException) as error:
            what = str(error).strip().partition("\n")[0]
            told = f"the marts are of another version than the report ({what}); run `transfer build`"
            raise UserError(told) from None
        return Answer(sql, tuple(column[0] for column in cursor.description or ()), tuple(named_rows(cursor)))

    def has(self, *tables: str) -> bool:
        """Whether all these tables (`schema.table`) are there."""
        return set(tables) <= _tables(self._connection)


@contextmanager
def open_study(warehouse: Place, study: str, wait: float = 60.0) -> Iterator[Asker]:
    """The warehouse, read-only, ready for questions about `study`.

    Raises:
        UserError: no warehouse, one that is locked or damaged, marts that are not built, or no such study.
    """
    with Warehouse(warehouse, wait, _say).of_study(study, BUILD_FIRST) as connection:
        present = _tables(connection)
        missing = [table for table in REQUIRED if table not in present]
        if missing:
            raise UserError(f"{warehouse}: {missing[0]} is missing; run `transfer build` first")
        yield Asker(connection, study)


def _tables(connection: duckdb.DuckDBPyConnection) -> set[str]:
    rows = connection.execute("select table_schema || '.' || table_name from information_schema.tables").fetchall()
    return {row[0] for row in rows}


def _say(text: str) -> None:
    with where_stderr_is_full():
        print(f"report: {text}", file=sys.stderr, flush=True)
