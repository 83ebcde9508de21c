"""`transfer advise`: which source to tune on for a target."""

from __future__ import annotations

from compute.store.warehouse import Warehouse
from compute.verbs.advice import advise
from compute.verbs.chosen import study_name
from compute.verbs.options import CELL, Options, Parser, add_study, add_warehouse, number, say


def add_arguments(parser: Parser) -> None:
    """Add what the verb takes."""
    parser.add_several("--target", "what is to gain; given several times, all of them together", CELL)
    parser.add_argument("--model", help="the model to be tuned, if the study has it: the others are asked")
    parser.add_argument(
        "--max-harm",
        type=number,
        metavar="PP",
        help="the most that any target may lose on average, in percentage points; exit code 1 if no source keeps it",
    )
    add_study(parser)
    add_warehouse(parser)


def run(options: Options) -> int:
    """Print the advice; return 1 where no source keeps within the limit, else 0."""
    warehouse = Warehouse(options.warehouse, options.wait, say)
    told = advise(warehouse, study_name(options), options.target, options.model, options.max_harm)
    print(told.text, end="")
    return told.code
