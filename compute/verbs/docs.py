"""`transfer docs`: dbt's documentation of the marts, as one page."""

from __future__ import annotations

from compute.dbt import run_dbt
from compute.store.database import require
from compute.verbs.options import Options, Parser, add_warehouse, say


def add_arguments(parser: Parser) -> None:
    """Add what the verb takes."""
    add_warehouse(parser)


def run(options: Options) -> int:
    """Write the page; return 1 where dbt fails, else 0. Raises UserError: there is no warehouse."""
    require(options.warehouse)
    if run_dbt("docs", "generate", "--static", "--quiet", warehouse=options.warehouse):
        return 1
    say("target/static_index.html: every table and column")
    return 0
