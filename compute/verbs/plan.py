"""`transfer plan`: what would run, why, and what it will take."""

from __future__ import annotations

import json

from compute.verbs.chosen import study_file
from compute.verbs.compute import add_device
from compute.verbs.options import Options, Parser, add_study, add_warehouse, positive, price, say
from compute.verbs.outlook import look_ahead
from compute.verbs.session import Session


def add_arguments(parser: Parser) -> None:
    """Add what the verb takes."""
    add_study(parser)
    add_warehouse(parser)
    parser.add_argument("--all", action="store_true", help="list the landed jobs too")
    add_device(parser)
    parser.add_argument("--workers", type=positive, help="processes that will run (default: one a core, or one a GPU)")
    parser.add_argument(
        "--host", help="go by what ran on hosts of this name; * stands for any text (default: this one)"
    )
    parser.add_argument("--price-per-gpu-hour", type=price, metavar="PRICE", help="say what it will cost, too")
    parser.add_argument("--json", action="store_true", help="print, as JSON, only what it will take")


def run(options: Options) -> int:
    """Print a line a job, and what they will take."""
    session = Session(study_file(options), options.warehouse, options.wait, say)
    plan = session.plan()
    outlook = look_ahead(
        plan,
        session.warehouse,
        session.landing,
        device=options.device,
        host=options.host,
        workers=options.workers,
        price=options.price_per_gpu_hour,
    )
    if options.json:
        print(json.dumps(outlook.values(), indent=1))
        return 0
    for key, job in plan.jobs.items():
        if key in plan.pending:
            print(f"run   {key[:8]}  {job.label}  ({plan.pending[key]})")
        elif options.all:
            print(f"done  {key[:8]}  {job.label}")
    print(f"{plan.study.study}: {len(plan.jobs)} jobs, {len(plan.pending)} to run")
    for line in outlook.lines() if plan.pending or outlook.found else ():
        print(line)
    return 0
