"""`transfer compare`: two arms of a study against each other."""

from __future__ import annotations

from compute.store.warehouse import Warehouse
from compute.verbs.chosen import study_name
from compute.verbs.comparison import compare
from compute.verbs.options import CELL, Options, Parser, add_study, add_warehouse, say


def add_arguments(parser: Parser) -> None:
    """Add what the verb takes."""
    parser.epilog = (
        "An arm is a name that the study has, such as a variant, a model, a source as task/language, tuned or placebo; "
        "or several, as source=compare/de,variant=r64. What an arm leaves out is as in the other."
    )
    parser.add_argument("arm_a", metavar="A", help="the first arm")
    parser.add_argument("arm_b", metavar="B", help="the second, which is taken from it")
    parser.add_several("--on", "only this target; may be repeated", CELL)
    add_study(parser)
    add_warehouse(parser)


def run(options: Options) -> int:
    """Print the contrast."""
    warehouse = Warehouse(options.warehouse, options.wait, say)
    print(compare(warehouse, study_name(options), options.arm_a, options.arm_b, options.on), end="")
    return 0
