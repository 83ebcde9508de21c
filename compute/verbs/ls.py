"""`transfer ls`: what a study may name."""

from __future__ import annotations

from compute.store.warehouse import Warehouse
from compute.verbs.chosen import files_by_name
from compute.verbs.listing import listing
from compute.verbs.options import Options, Parser, add_warehouse, say

_STUDIES = "studies"


def add_arguments(parser: Parser) -> None:
    """Add what the verb takes."""
    parser.add_argument("kind", nargs="?", help="only this kind, or `studies`: those there are; all if left out")
    add_warehouse(parser)


def run(options: Options) -> int:
    """Print a line a kind."""
    kinds = {} if options.kind == _STUDIES else listing(options.kind, also=(_STUDIES,))
    if options.kind in (None, _STUDIES):
        kinds[_STUDIES] = _studies(Warehouse(options.warehouse, options.wait, say))
    for kind, names in kinds.items():
        print(f"{kind}: {', '.join(names) if names else '(none)'}")
    return 0


def _studies(warehouse: Warehouse) -> list[str]:
    """Return the studies in studies/ and in the warehouse, each with where it is."""
    there = warehouse.studies()
    places = {name: [str(file) for file in files] for name, files in files_by_name().items()}
    for name in there:
        places.setdefault(name, []).append(str(warehouse.path))
    return [f"{name} ({', '.join(places[name])})" for name in sorted(places)]
