"""`transfer ls`: what a study may name."""

from __future__ import annotations

import json

from compute.store.warehouse import Warehouse
from compute.verbs.chosen import files_by_name
from compute.verbs.listing import listing
from compute.verbs.options import Options, Parser, add_warehouse, say

_STUDIES = "studies"
_SOURCES = "sources"


def add_arguments(parser: Parser) -> None:
    """Add what the verb takes."""
    parser.add_argument(
        "kind",
        nargs="?",
        help="only this kind, or `studies` or `sources`: those there are; all if left out",
    )
    add_warehouse(parser)


def run(options: Options) -> int:
    """Print a line a kind."""
    ours = {_STUDIES: _studies, _SOURCES: _sources}
    kinds = {} if options.kind in ours else listing(options.kind, also=ours)
    warehouse = Warehouse(options.warehouse, options.wait, say)
    kinds |= {kind: names(warehouse) for kind, names in ours.items() if options.kind in (None, kind)}
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


def _sources(warehouse: Warehouse) -> list[str]:
    """Return the adapters and tuned checkpoints that studies of the warehouse were given, each with what it is."""
    if not warehouse.studies():
        return []
    with warehouse.connect(read_only=True) as connection:
        studies = connection.execute("select study, config from raw.studies order by study").fetchall()
    found = [
        f"{source['name']} ({'adapter' if source.get('adapter') else 'checkpoint'} of {model['name']} on "
        f"{source['task']}/{source['language']}, study {study})"
        for study, config in studies
        for model in json.loads(config).get("models") or ()
        for source in model.get("sources") or ()
    ]
    return list(dict.fromkeys(found))
