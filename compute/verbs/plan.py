"""`transfer plan`: what would run, and why."""

from __future__ import annotations

from compute.verbs.chosen import study_file
from compute.verbs.options import Options, Parser, add_study, add_warehouse, say
from compute.verbs.session import Session


def add_arguments(parser: Parser) -> None:
    """Add what the verb takes."""
    add_study(parser)
    add_warehouse(parser)
    parser.add_argument("--all", action="store_true", help="list the landed jobs too")


def run(options: Options) -> int:
    """Print a line a job."""
    plan = Session(study_file(options), options.warehouse, options.wait, say).plan()
    for key, job in plan.jobs.items():
        if key in plan.pending:
            print(f"run   {key[:8]}  {job.label}  ({plan.pending[key]})")
        elif options.all:
            print(f"done  {key[:8]}  {job.label}")
    print(f"{plan.study.study}: {len(plan.jobs)} jobs, {len(plan.pending)} to run")
    return 0
