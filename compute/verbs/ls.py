"""`transfer ls`: what a study may name."""

from __future__ import annotations

from compute.verbs.listing import listing
from compute.verbs.options import Options, Parser


def add_arguments(parser: Parser) -> None:
    """Add what the verb takes."""
    parser.add_argument("kind", nargs="?", help="only this kind; all kinds if left out")


def run(options: Options) -> int:
    """Print a line a kind."""
    for kind, names in listing(options.kind).items():
        print(f"{kind}: {', '.join(names) if names else '(none)'}")
    return 0
