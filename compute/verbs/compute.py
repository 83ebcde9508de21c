"""`transfer compute`: run what a study still lacks, and load it."""

from __future__ import annotations

import os

from compute.engine.devices import DEVICES
from compute.verbs.chosen import study_file
from compute.verbs.options import Options, Parser, add_study, add_warehouse, positive, say
from compute.verbs.session import Session


def add_arguments(parser: Parser) -> None:
    """Add what the verb takes."""
    add_study(parser)
    add_warehouse(parser)
    add_machines(parser)


def add_machines(parser: Parser) -> None:
    """Add where jobs run."""
    parser.add_argument(
        "--executor", default=os.environ.get("EXECUTOR", "local"), help="where jobs run (EXECUTOR; default: local)"
    )
    add_device(parser)
    parser.add_argument("--workers", type=positive, help="processes (default: one a core, or one on a GPU)")


def add_device(parser: Parser) -> None:
    """Add on which device jobs run."""
    parser.add_argument(
        "--device",
        default=os.environ.get("DEVICE", "auto"),
        help=f"one of {', '.join(DEVICES)} (DEVICE; default: auto)",
    )


def run(options: Options) -> int:
    """Return 1 where jobs failed or landed files are damaged, else 0."""
    session = Session(study_file(options), options.warehouse, options.wait, say)
    return session.compute(options.executor, options.device, options.workers)
