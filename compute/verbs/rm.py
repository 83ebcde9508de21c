"""`transfer rm`: remove a study from the warehouse, the published file and the pages."""

from __future__ import annotations

import shutil

from compute.project import PUBLISHED, REPORTS
from compute.store.audit import docs_folder
from compute.store.publish import publish
from compute.store.removal import remove_study
from compute.store.warehouse import Warehouse
from compute.verbs.chosen import study_name
from compute.verbs.options import Options, Parser, TypedStudy, add_warehouse, say


def add_arguments(parser: Parser) -> None:
    """Add what the verb takes."""
    parser.add_argument("study", type=TypedStudy, metavar="STUDY", help="its name, or its file")
    add_warehouse(parser)


def run(options: Options) -> int:
    """Remove it and return 0. Landed results, artifacts and the study file stay."""
    study = study_name(options)
    warehouse = Warehouse(options.warehouse, options.wait, say)
    jobs, rows = remove_study(warehouse, study)
    say(f"{options.warehouse}: {study} removed: {jobs} jobs that no other study asks for, {rows:,} rows")
    if PUBLISHED.exists():
        publish(study, warehouse)
        say(f"{PUBLISHED}: {study} is no longer published")
    (REPORTS / f"{study}.html").unlink(missing_ok=True)
    shutil.rmtree(docs_folder(study), ignore_errors=True)
    say("what it computed stays landed: computing it again takes seconds; `transfer prune` finds what nobody asks for")
    return 0
