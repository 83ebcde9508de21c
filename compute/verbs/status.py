"""`transfer status`: what runs where, what failed, and when a study should be done."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

from compute.engine.executors import EXECUTORS, Scheduler
from compute.engine.plan import Plan
from compute.errors import UserError
from compute.project import LANDING
from compute.store.landing import Landing
from compute.store.runs import RunFacts, living_runs
from compute.verbs.chosen import study_file
from compute.verbs.options import Options, Parser, add_study, add_warehouse, say
from compute.verbs.session import Session


def add_arguments(parser: Parser) -> None:
    """Add what the verb takes."""
    add_study(parser)
    add_warehouse(parser)


def run(options: Options) -> int:
    """Print a line a run, a queued task and a failed job, and the expected end; return 1 where jobs have failed."""
    session = Session(study_file(options), options.warehouse, options.wait, say)
    plan = session.plan_of_a_part()
    failed = session.landing.failures(session.landing.failed_keys() & plan.pending.keys())
    done = len(plan.jobs) - len(plan.pending)
    print(f"{plan.study.study}: {len(plan.jobs)} jobs: {done} landed, {len(failed)} failed, {len(plan.pending)} to run")
    runs = {name: facts for name, facts in living_runs(LANDING).items() if facts.study == plan.study.study}
    for facts in runs.values():
        for line in _doing(facts):
            print(f"running  {line}")
    places = {facts.place for facts in runs.values()}
    for place, state in queued(session).items():
        if place not in places:
            print(f"queued   {place}: {state}")
    for key, record in failed.items():
        print(f"failed   {plan.jobs[key].label}: {record['error']} (attempt {record['attempts']})")
    if plan.pending:
        print(_end(plan, runs, session.landing))
    return 1 if failed else 0


def schedulers(session: Session) -> Iterator[Scheduler]:
    """Yield the schedulers in whose queues something of this study may be."""
    for name in EXECUTORS:
        if (LANDING / name).is_dir() and issubclass(executor := EXECUTORS.load(name), Scheduler):
            try:
                yield executor(session.workplace("auto"), None)
            except UserError as error:
                say(str(error))


def queued(session: Session) -> dict[str, str]:
    """Return the state of each task that is queued or running, by its place; what cannot be asked is said."""
    found: dict[str, str] = {}
    for scheduler in schedulers(session):
        try:
            found |= scheduler.queued()
        except UserError as error:
            say(str(error))
    return found


def _doing(facts: RunFacts) -> Iterator[str]:
    began = datetime.fromisoformat(facts.started).astimezone()
    who = f"{facts.who}{f', part {facts.part}' * bool(facts.part)}, since {began:%d %b %H:%M}"
    for batch, (text, fraction) in facts.progress.items():
        yield f"{who}: {batch}: {text} ({100 * fraction:.0f} %)"
    if not facts.progress:
        yield who


def _end(plan: Plan, runs: Mapping[str, RunFacts], landing: Landing) -> str:
    """Say when all should be done: by the cost that has landed since the runs of now began."""
    if not runs:
        return "nothing runs: `transfer compute` goes on"
    began = min(datetime.fromisoformat(facts.started) for facts in runs.values())
    landed = {key for one in landing.segments() if one.begun >= began for key in one.jobs if key in plan.jobs}
    done = sum(plan.jobs[key].cost for key in landed)
    if not done:
        return "expected end: not known before something has landed"
    left = sum(job.cost for job in plan.pending_jobs)
    now = datetime.now(UTC)
    end = (now + (now - began) * (left / done)).astimezone()
    return f"expected end: {end:%d %b %H:%M} ({timedelta(seconds=round((end - now).total_seconds()))} to go)"
