"""`transfer check`: audit a study, and publish it if it passes."""

from __future__ import annotations

from compute.project import PUBLISHED
from compute.store.audit import audit
from compute.store.publish import publish
from compute.store.warehouse import Warehouse
from compute.verbs.chosen import study_name
from compute.verbs.options import Options, Parser, add_study, add_warehouse, say


def add_arguments(parser: Parser) -> None:
    """Add what the verb takes."""
    add_study(parser)
    add_warehouse(parser)


def run(options: Options) -> int:
    """Return 1 where an error-level check fails, else 0."""
    warehouse = Warehouse(options.warehouse, options.wait, say)
    study = study_name(options)
    code = audit(study, warehouse, say)
    if code == 0:
        say(f"{PUBLISHED}: {study}: {publish(study, warehouse):,} mart rows published")
    else:
        say(f"{PUBLISHED}: {study} is not published: an error-level check failed")
    return code
