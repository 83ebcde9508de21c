"""`transfer sql`: DuckDB's shell on the warehouse."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from compute.errors import UserError
from compute.store.database import opening, require
from compute.verbs.options import Options, Parser, add_warehouse


def add_arguments(parser: Parser) -> None:
    """Add what the verb takes."""
    parser.add_argument("query", nargs="?", metavar="SQL", help="what to ask; left out: a shell")
    add_warehouse(parser)


def run(options: Options) -> int:
    """Return 0, or 1 where the shell ends in an error.

    Raises:
        UserError: no such warehouse, or duckdb-cli is not installed.
    """
    require(options.warehouse)
    shell = Path(sys.executable).with_name("duckdb")
    if not shell.exists():
        raise UserError(f"{shell}: not found; install it with `{sys.executable} -m pip install duckdb-cli`")
    command = [str(shell), "-cmd", "; ".join(opening(options.warehouse, read_only=False))]
    command += [] if options.query is None else ["-c", options.query]
    return 1 if subprocess.run(command, check=False).returncode else 0
