"""`transfer cancel`: end all runs of a study, and take what is queued for it out of the queue."""

from __future__ import annotations

from compute.project import LANDING
from compute.store.runs import cancel, living_runs
from compute.verbs.chosen import study_file
from compute.verbs.options import Options, Parser, add_study, add_warehouse, say
from compute.verbs.session import Session
from compute.verbs.status import schedulers


def add_arguments(parser: Parser) -> None:
    """Add what the verb takes."""
    add_study(parser)
    add_warehouse(parser)


def run(options: Options) -> int:
    """Return 0. What has landed is kept; a run on any machine ends within seconds, as by Ctrl-C.

    Raises:
        UserError: a scheduler does not cancel.
    """
    session = Session(study_file(options), options.warehouse, options.wait, say)
    runs = [facts for facts in living_runs(LANDING).values() if facts.study == session.study.study]
    for facts in runs:  # first: one that submits would submit again
        cancel(LANDING, facts.name)
    tasks: list[str] = []
    for scheduler in schedulers(session):
        tasks += scheduler.queued()
        scheduler.cancel()
    for line in sorted({facts.who for facts in runs} | set(tasks)):
        print(f"cancelled  {line}")
    say(f"{session.study.study}: {len(runs)} runs and {len(tasks)} queued tasks are told to end")
    return 0
