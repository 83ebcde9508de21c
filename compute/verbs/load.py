"""`transfer load`: move what has landed of a study into the warehouse."""

from __future__ import annotations

from compute.verbs.chosen import study_file
from compute.verbs.options import Options, Parser, add_study, add_warehouse, say
from compute.verbs.session import Session


def add_arguments(parser: Parser) -> None:
    """Add what the verb takes."""
    add_study(parser)
    add_warehouse(parser)


def run(options: Options) -> int:
    """Return 1 where landed files are damaged, else 0."""
    return Session(study_file(options), options.warehouse, options.wait, say).load()
