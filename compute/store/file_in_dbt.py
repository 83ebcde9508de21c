"""dbt-duckdb's plugin of the target `local`: dbt makes no warehouse, as a verb makes none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dbt.adapters.duckdb.plugins import BasePlugin
from dbt_common.exceptions import DbtRuntimeError

from compute.errors import UserError
from compute.store.database import require
from compute.store.lake import is_lake


class Plugin(BasePlugin):  # type: ignore[misc]  # the package has no types
    """Refuses a warehouse that is not there, which DuckDB would make, empty, by opening it."""

    def update_connection_config(self, creds: Any, config: dict[str, Any]) -> None:
        """Before a connection is opened. Raises DbtRuntimeError."""
        for attachment in creds.attach:
            try:
                if not is_lake(attachment.path):
                    require(Path(attachment.path))
            except UserError as error:
                raise DbtRuntimeError(str(error)) from None
