"""`transfer power`: the smallest change that a study can show, before anything is computed."""

from __future__ import annotations

from compute.store.warehouse import Warehouse
from compute.study.file import read_study
from compute.verbs.chosen import study_file
from compute.verbs.foresight import foresee
from compute.verbs.options import Options, Parser, add_study, add_warehouse, number, say


def add_arguments(parser: Parser) -> None:
    """Add what the verb takes."""
    parser.add_argument(
        "--share",
        type=number,
        default=0.3,
        metavar="PART",
        help="the part of the cells that change, which q depends on: above 0, at most 1 (default: 0.3)",
    )
    add_study(parser)
    add_warehouse(parser)


def run(options: Options) -> int:
    """Print a line for the study as declared, and one for each way to add seeds or items."""
    warehouse = Warehouse(options.warehouse, options.wait, say)
    print(foresee(read_study(study_file(options)), warehouse, options.share), end="")
    return 0
