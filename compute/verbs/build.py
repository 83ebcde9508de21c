"""`transfer build`: `dbt build`, the marts and their tests."""

from __future__ import annotations

from pathlib import Path

from compute.dbt import run_dbt
from compute.project import is_project
from compute.store.building import only_builder
from compute.store.database import require
from compute.store.warehouse import Warehouse
from compute.verbs.options import Options, Parser, add_warehouse, say


def add_arguments(parser: Parser) -> None:
    """Add what the verb takes."""
    add_warehouse(parser)
    parser.add_argument("--quiet", action="store_true", help="say only what fails")


def run(options: Options) -> int:
    """Return 1 where a model or a test of dbt's fails, else 0.

    Raises:
        UserError: there is no warehouse, so that dbt would leave an empty one, or another process holds it or
            builds it.
    """
    warehouse = Warehouse(options.warehouse, options.wait, say)
    require(warehouse.path)
    if warehouse.studies():  # a lock or a damaged file is told in one line, and a lock is waited for
        warehouse.prepare()  # a file of an earlier version lacks tables added since
    only = ["--quiet"] if options.quiet else []
    if not is_project(Path.cwd()):
        only += ["--exclude-resource-type", "unit_test"]  # the package's own arithmetic, tested where it is developed
    with only_builder(warehouse.path, warehouse.wait, say):
        return 1 if run_dbt("build", *only, warehouse=warehouse.path) else 0
