"""dbt-duckdb's plugin of the target `lake`: what `opening` does for us, before dbt attaches the lake."""

from __future__ import annotations

from typing import Any

import duckdb
from dbt.adapters.duckdb.plugins import BasePlugin

from compute.store.database import address, loading_extensions
from compute.store.lake import is_lake, read_lake


class Plugin(BasePlugin):  # type: ignore[misc]  # the package has no types
    """Gives dbt's connection the lake's extensions, and takes a password out of what dbt attaches and may print."""

    def update_connection_config(self, creds: Any, config: dict[str, Any]) -> None:
        """Before a connection is opened: the credentials are the profile's."""
        for attachment in _lakes(creds):
            attachment.path = address(read_lake(attachment.path))

    def configure_connection(self, conn: duckdb.DuckDBPyConnection) -> None:
        """After one was opened, before anything is attached."""
        for attachment in _lakes(self.creds):
            for statement in loading_extensions(read_lake(attachment.path)):
                conn.execute(statement)


def _lakes(creds: Any) -> list[Any]:
    return [attachment for attachment in creds.attach if is_lake(attachment.path)]
