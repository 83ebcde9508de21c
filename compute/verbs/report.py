"""`transfer report`: write the page."""

from __future__ import annotations

from compute.errors import UserError
from compute.project import REPORT
from compute.verbs.options import Options, Parser, TypedPath, add_study, add_warehouse, say, study_name


def add_arguments(parser: Parser) -> None:
    """Add what the verb takes."""
    add_study(parser)
    add_warehouse(parser)
    parser.add_argument("--output", type=TypedPath, default=REPORT, help=f"the page (default: {REPORT})")


def run(options: Options) -> int:
    """Write the page and return 0."""
    from report.page import write_report  # seconds to import

    study = study_name(options)
    if not options.warehouse.exists():
        raise UserError(f"{options.warehouse}: no such warehouse; run `make compute` and `make build` first")
    write_report(options.warehouse, study, options.output, options.wait)
    say(f"report written to {options.output}")
    return 0
