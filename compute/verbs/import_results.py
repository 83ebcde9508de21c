"""`transfer import`: load results that others have computed."""

from __future__ import annotations

from compute.errors import UserError
from compute.importers import import_results
from compute.project import LANDING
from compute.store.warehouse import Warehouse
from compute.verbs.options import Options, Parser, TypedPath, add_warehouse, number, say


def add_arguments(parser: Parser) -> None:
    """Add what the verb takes."""
    parser.add_argument("importer", help="as `transfer ls importers` lists them")
    parser.add_argument("files", nargs="+", type=TypedPath, metavar="PATH", help="result files, or folders of them")
    parser.add_argument(
        "--map", type=TypedPath, help="lm-eval: which adapter is which source, which task which language"
    )
    parser.add_argument("--study", help="the study's name (default: the importer's)")
    parser.add_argument(
        "--harm-threshold-pp",
        type=number,
        metavar="PP",
        help="what counts as a harm in this study, in percentage points (default: the map's, else 1)",
    )
    add_warehouse(parser)


def run(options: Options) -> int:
    """Load them and return 0."""
    warehouse = Warehouse(options.warehouse, options.wait, say)
    threshold = options.harm_threshold_pp
    if threshold is not None and not 0 < threshold < float("inf"):
        raise UserError(f"--harm-threshold-pp {threshold:g}: expected percentage points above 0")
    import_results(options.importer, options.files, options.map, options.study, warehouse, LANDING, say, threshold)
    return 0
