"""DuckDB as Great Expectations needs it: a read-only connection that outlives the pool's rollbacks."""

from __future__ import annotations

from typing import Any

import duckdb_engine
from sqlalchemy.dialects import registry

from compute.store.database import Place, opening
from data_checks.views import show_study

URL = "duckdb_study:///warehouse"
"""Names the dialect; which file and study is said in `connect_args`."""


class StudyDialect(duckdb_engine.Dialect):  # type: ignore[misc]  # the package has no types
    """duckdb-engine's dialect, read-only, every connection showing one study through `data_checks.views`.

    Great Expectations fetches rows after its connection went back to the pool, whose rollback would drop DuckDB's
    pending result. Nothing is written, so no transaction is needed, and none is begun.
    """

    supports_statement_cache = False

    def connect(self, *, warehouse: Place, study: str, **parameters: Any) -> Any:
        """A connection; `warehouse` and `study` come from SQLAlchemy's `connect_args`.

        The path is not read from the URL, in which `?`, `%` or `$` would mean something.
        """
        connection = super().connect(**parameters | {"database": ":memory:"})
        for statement in opening(warehouse, read_only=True):
            connection.execute(statement)
        show_study(connection, study)
        return connection

    def do_begin(self, connection: Any) -> None:
        """Nothing to begin."""

    def do_commit(self, connection: Any) -> None:
        """Nothing to commit."""

    def do_rollback(self, connection: Any) -> None:
        """Nothing to roll back."""


def register() -> None:
    """Make `URL` one that SQLAlchemy knows."""
    registry.register(URL.split(":")[0], __name__, StudyDialect.__name__)
