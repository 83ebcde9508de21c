"""What the verbs do with a study: plan it, compute what is missing, load what has landed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from compute.engine.devices import check_device, default_workers, resolve_device, threads_a_worker
from compute.engine.execute import Sharing, Summary, execute
from compute.engine.executors import Elsewhere, Executor, Scheduler, load_executor
from compute.engine.executors.cluster import project_artifacts
from compute.engine.executors.slurm_commands import this_task
from compute.engine.plan import Plan, make_plan, study_jobs
from compute.engine.progress import Progress
from compute.engine.runner import Workplace
from compute.engine.work import WHOLE, Part
from compute.errors import TimeIsUp, UserError
from compute.names import UnknownName
from compute.plugin import Job
from compute.project import ARTIFACTS, LANDING
from compute.store.database import address
from compute.store.landing import Landing
from compute.store.lock import exclusive
from compute.store.merging import merge_small
from compute.store.registration import RegisteredStudy
from compute.store.remote import RemoteFailure
from compute.store.runs import Run, forget_the_dead, living_runs
from compute.store.segments import Damage
from compute.store.warehouse import Warehouse
from compute.study.file import read_study
from compute.study.remarks import remarks
from compute.verbs.asked import count

if TYPE_CHECKING:
    from compute.verbs.adaptive import Rounds

_RUNS_NAMED = 3


@dataclass(frozen=True)
class Share:
    """What one of several runs is to do.

    Attributes:
        part: of the work; the others' parts are helped with when it is done.
        since: jobs that failed from then on (UTC) are not tried again.
        patience: seconds after which it ends if there is nothing to do and others are still at work.
    """

    part: Part = WHOLE
    since: datetime = field(default_factory=lambda: datetime.now(UTC))
    patience: float = float("inf")


class Session:
    """One study file and one warehouse. Raises UserError for what is wrong with either."""

    def __init__(self, study: Path, warehouse: Path, wait: float, say: Callable[[str], None]) -> None:
        self.study = read_study(study)
        self.tasks = tuple(
            self.study.task(*cell).facts for cell in {cell[0]: cell for cell in self.study.cells}.values()
        )
        self.file = study
        self.landing = Landing(LANDING)
        self.artifacts = project_artifacts()
        self.warehouse = Warehouse(warehouse, wait, say)
        self.wait, self.say = wait, say
        for line in remarks(self.study):
            say(line)

    def plan(self) -> Plan:
        """The plan as things stand; of an adaptive study, of what it has chosen so far."""
        declared = self._rounds().declared() if self.study.adaptive is not None else None
        return self._plan(self.warehouse.landed_keys(), declared)

    def _plan(self, landed: Collection[str], declared: Mapping[str, Job] | None = None) -> Plan:
        """The plan; where the URL of artifacts cannot be asked, as if none were gone."""
        try:
            return make_plan(self.study, self.landing, self.artifacts, landed, declared)
        except RemoteFailure as error:
            self.say(f"{error}; what is not in {ARTIFACTS}/ is taken to be there")
            return make_plan(self.study, self.landing, None, landed, declared)

    def workplace(self, device: str, threads: int = 1) -> Workplace:
        """Where the batches of this study run."""
        return Workplace(
            LANDING.absolute(),
            ARTIFACTS.absolute(),
            device,
            threads,
            self.file,
            address(self.warehouse.path),
            self.artifacts.remote.url if self.artifacts.remote is not None else "",
        )

    def compute(self, executor: str, device: str, workers: int | None) -> int:
        """Run what is pending, then load; of an adaptive study round by round. Returns the exit code."""
        executor_class = load_executor(executor)
        if issubclass(executor_class, Scheduler):
            check_device(device)
        else:
            device, workers = _machines(executor_class, device, workers)
        with self._computing() as run:
            with exclusive(LANDING, self.wait, self.say):
                self.warehouse.prepare()
            while True:
                code = self._compute_once(executor, executor_class, device, workers, run)
                if code or not self._choose():
                    return code

    def _compute_once(
        self, executor: str, executor_class: type[Executor], device: str, workers: int | None, run: Run
    ) -> int:
        """Run what the plan has pending, then load. Returns the exit code."""
        plan = self.plan()
        self._announce(plan, f"on {workers} x {device}" if workers else f"by {executor}")
        summary = Summary()
        try:
            if plan.pending:
                if issubclass(executor_class, Scheduler):
                    summary = self._schedule(plan, executor_class(self.workplace(device), workers))
                else:
                    assert workers is not None
                    summary = self._work(plan, executor_class, device, workers, Share(), run)
        finally:
            # Also after Ctrl-C: what has landed shall be there to ask.
            load_code = self.load(plan, run)
        self._tell(summary)
        return 0 if summary.complete and load_code == 0 else 1

    def _choose(self) -> bool:
        """Choose the next round of an adaptive study; return whether there is one to compute."""
        if self.study.adaptive is None:
            return False
        with exclusive(LANDING, self.wait, self.say):
            if self.plan().pending:  # another run has chosen meanwhile
                return True
            chosen = self._rounds().decide()
        if chosen is not None:
            self.say(chosen)
        return chosen is not None

    def _rounds(self) -> Rounds:
        """Return what an adaptive study has decided by now, by whatever run."""
        from compute.verbs.adaptive import Rounds  # with SciPy, half a second that other studies do not need

        assert self.study.adaptive is not None
        return Rounds(self.study, self.study.adaptive, self._jobs, self.warehouse)

    @cached_property
    def _jobs(self) -> dict[str, Job]:
        """Every job of the study, chosen or not."""
        return study_jobs(self.study)

    def compute_part(self, executor: str, device: str, workers: int | None, share: Share) -> int:
        """Run a part of what is pending, and land it; whoever computes the whole, or loads, loads it.

        Returns the exit code. When time is up, batches that are not done count as lost by this run.
        """
        executor_class = load_executor(executor)
        if issubclass(executor_class, Scheduler):
            raise UserError(f"--part: {executor} starts the parts itself; leave one of the two out")
        device, workers = _machines(executor_class, device, workers)
        with self._computing(share) as run:
            plan = self.plan_of_a_part()
            self._announce(plan, f"part {share.part} on {workers} x {device}")
            summary = Summary()
            try:
                if plan.pending:
                    summary = self._work(plan, executor_class, device, workers, share, run)
            except TimeIsUp:
                run.out_of_time = True
                raise
        self._tell(summary)
        return 0 if summary.complete else 1

    def plan_of_a_part(self) -> Plan:
        """Return the plan; while the warehouse cannot be read, by what has landed alone."""
        try:
            return self.plan()
        except UserError as error:
            if self.study.adaptive is not None:  # what it has chosen is in the warehouse alone
                raise
            # Another may be loading for minutes, and what was loaded has landed, unless its files were removed.
            self.say(f"{error}; going by what has landed")
            return self._plan(())

    @contextmanager
    def _computing(self, share: Share | None = None) -> Iterator[Run]:
        """Be among the runs that compute here; the first of them tidies up after those that were killed."""
        if self.artifacts.remote is not None:
            self.artifacts.remote.check()
        run = Run(LANDING, self.study.study, str(share.part) if share else "", this_task())
        with ExitStack() as stack:
            with exclusive(LANDING, self.wait, self.say):
                others = living_runs(LANDING)
                if not others and share is None:
                    self.artifacts.recover()
                    self.landing.sweep()
                    forget_the_dead(LANDING)
                stack.enter_context(run)
            if others and share is None:
                named = [other.who for other in others.values()]
                shown = ", ".join(named[:_RUNS_NAMED]) + (", ..." if len(named) > _RUNS_NAMED else "")
                self.say(f"shared with {len(named)} more that compute here: {shown}")
            yield run

    def _work(
        self, plan: Plan, executor_class: type[Executor], device: str, workers: int, share: Share, run: Run
    ) -> Summary:
        workplace = self.workplace(device, threads_a_worker(device, workers))
        sharing = Sharing(run, workplace, workers, share.part, share.since, share.patience)
        with executor_class(workplace, workers) as running, Progress(plan) as progress:
            return execute(plan, running, self.landing, progress, sharing)

    def _schedule(self, plan: Plan, scheduler: Executor) -> Summary:
        with scheduler as running, Progress(plan) as progress:
            return execute(plan, running, self.landing, progress)

    def _announce(self, plan: Plan, where: str) -> None:
        self.say(f"{plan.study.study}: {len(plan.jobs)} jobs, {len(plan.pending)} to run {where}")

    def _tell(self, summary: Summary) -> None:
        if summary.failures:  # each was told as it happened
            self.say(f"failed: {count(len(summary.failures), 'job')}, as `transfer status` lists")
        if summary.blocked:
            self.say(f"not run because an input failed: {len(summary.blocked)} jobs")
        if summary.left:
            self.say(f"left to the runs that compute them: {summary.left} jobs")

    def load(self, plan: Plan | None = None, run: Run | None = None) -> int:
        """Load what has landed. Returns the exit code."""
        with exclusive(LANDING, self.wait, self.say):
            return self._load(plan or self.plan(), run)

    def _load(self, plan: Plan, run: Run | None) -> int:
        study = RegisteredStudy(plan.study.study, plan.study.model_dump_json(), "computed", plan.jobs, self.tasks)
        loaded = self.warehouse.load(study, self.landing)
        self.say(f"{self.warehouse.path}: {loaded.jobs} jobs, {loaded.rows:,} rows loaded")
        for damage in loaded.damaged:
            self.say(_withdrawn(damage, plan))
        if not living_runs(LANDING).keys() - {run.facts.name if run else ""}:
            try:
                merge_small(self.landing)
            except OSError as error:  # all is loaded, and stays as it has landed
                self.say(f"small segments are not merged: {error.filename or LANDING}: {error.strerror}")
        for task, other in loaded.redeclared:
            self.say(f"task {task!r}: study {other!r} declares it otherwise; both go by what {study.name!r} says now")
        self._look_for_compared()
        return 1 if loaded.damaged else 0

    def _look_for_compared(self) -> None:
        """Says so where `compare_with` names a study that is not there: it may come later, or be mistyped."""
        known = [name for name in self.warehouse.studies() if name != self.study.study]
        if self.study.compare_with is not None and self.study.compare_with not in known:
            unknown = UnknownName("study", self.study.compare_with, known)
            self.say(
                f"compare_with: {self.warehouse.path} does not have it, so nothing stands beside transfer: {unknown}"
            )


def _machines(executor_class: type[Executor], device: str, workers: int | None) -> tuple[str, int]:
    """Return on which device jobs run, and how many batches at once."""
    if issubclass(executor_class, Elsewhere):
        return executor_class.machines(device, workers)
    device = resolve_device(device)
    return device, workers or default_workers(device)


_JOBS_NAMED = 5


def _withdrawn(damage: Damage, plan: Plan) -> str:
    """Say which jobs a damaged file had, in one line."""
    named = [
        f"{key[:8]} ({plan.jobs[key].label})" if key in plan.jobs else f"{key[:8]} (of another study)"
        for key in damage.job_keys[:_JOBS_NAMED]
    ]
    if len(damage.job_keys) > _JOBS_NAMED:
        named.append(f"{len(damage.job_keys) - _JOBS_NAMED} more")
    jobs = f"job{'s' * (len(damage.job_keys) > 1)} {', '.join(named)}" if named else "jobs that nothing names now"
    return f"{damage.file} is damaged ({damage.reason}): {jobs} withdrawn; run `transfer compute` again"
