"""`transfer advise`: which source to tune on for a target."""

from __future__ import annotations

from compute.store.warehouse import Warehouse
from compute.verbs.advice import advise
from compute.verbs.chosen import study_name
from compute.verbs.options import Options, Parser, add_study, add_warehouse, number, say


def add_arguments(parser: Parser) -> None:
    """Add what the verb takes."""
    parser.add_argument(
        "--target",
        action="append",
        default=[],
        metavar="TASK/LANGUAGE",
        help="what is to gain; given several times, all of them together",
    )
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
    return 0 if told.is_within else 1
