"""`transfer report`: write the page."""

from __future__ import annotations

from compute.project import REPORT, REPORTS
from compute.store.database import BUILD_FIRST, require
from compute.store.files import write_whole
from compute.verbs.chosen import study_name
from compute.verbs.options import Options, Parser, TypedPath, add_study, add_warehouse, say


def add_arguments(parser: Parser) -> None:
    """Add what the verb takes."""
    add_study(parser)
    add_warehouse(parser)
    parser.add_argument(
        "--output",
        type=TypedPath,
        help=f"the page (default: {REPORTS}/<study>.html, and {REPORT}, the last one written)",
    )


def run(options: Options) -> int:
    """Write the page and return 0."""
    from report.page import write_report  # seconds to import

    study = study_name(options)
    require(options.warehouse, BUILD_FIRST)
    page = options.output or REPORTS / f"{study}.html"
    if options.output is None:
        REPORTS.mkdir(exist_ok=True)
    write_report(options.warehouse, study, page, options.wait)
    if options.output is None:
        write_whole(REPORT, page.read_bytes())
    say(f"report written to {page}{f' and {REPORT}' if options.output is None else ''}")
    return 0
