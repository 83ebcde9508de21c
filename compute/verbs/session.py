"""What the verbs do with a study: plan it, compute what is missing, load what has landed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from compute.engine.devices import default_workers, resolve_device, threads_a_worker
from compute.engine.execute import Summary, execute
from compute.engine.executors import load_executor
from compute.engine.plan import Plan, make_plan
from compute.engine.progress import Progress
from compute.engine.runner import Workplace
from compute.names import UnknownName
from compute.project import ARTIFACTS, LANDING
from compute.store.artifacts import ArtifactStore
from compute.store.landing import Landing
from compute.store.lock import exclusive
from compute.store.merging import merge_small
from compute.store.registration import RegisteredStudy
from compute.store.segments import Damage
from compute.store.warehouse import Warehouse
from compute.study.file import read_study
from compute.study.remarks import remarks


class Session:
    """One study file and one warehouse. Raises UserError for what is wrong with either."""

    def __init__(self, study: Path, warehouse: Path, wait: float, say: Callable[[str], None]) -> None:
        self.study = read_study(study)
        self.tasks = tuple(
            self.study.task(*cell).facts for cell in {cell[0]: cell for cell in self.study.cells}.values()
        )
        self.landing = Landing(LANDING)
        self.artifacts = ArtifactStore(ARTIFACTS)
        self.warehouse = Warehouse(warehouse, wait, say)
        self.wait, self.say = wait, say
        for line in remarks(self.study):
            say(line)

    def plan(self) -> Plan:
        """The plan as things stand."""
        return make_plan(self.study, self.landing, self.artifacts, self.warehouse.landed_keys())

    def compute(self, executor: str, device: str, workers: int | None) -> int:
        """Run what is pending, then load. Returns the exit code."""
        executor_class = load_executor(executor)
        device = resolve_device(device)
        workers = workers or default_workers(device)
        with exclusive(LANDING, self.wait, self.say):
            self.warehouse.prepare()
            self.artifacts.recover()
            self.landing.sweep()
            plan = self.plan()
            self.say(f"{plan.study.study}: {len(plan.jobs)} jobs, {len(plan.pending)} to run on {workers} x {device}")
            summary = Summary()
            try:
                if plan.pending:
                    threads = threads_a_worker(device, workers)
                    workplace = Workplace(LANDING.absolute(), ARTIFACTS.absolute(), device, threads)
                    with executor_class(workplace, workers) as running, Progress(plan) as progress:
                        summary = execute(plan, running, self.landing, progress)
            finally:
                # Also after Ctrl-C: what has landed shall be there to ask.
                load_code = self._load(plan)
        for failure in summary.failures:
            self.say(f"failed: {failure}")
        if summary.blocked:
            self.say(f"not run because an input failed: {len(summary.blocked)} jobs")
        return 0 if summary.complete and load_code == 0 else 1

    def load(self) -> int:
        """Load what has landed. Returns the exit code."""
        with exclusive(LANDING, self.wait, self.say):
            return self._load(self.plan())

    def _load(self, plan: Plan) -> int:
        study = RegisteredStudy(plan.study.study, plan.study.model_dump_json(), "computed", plan.jobs, self.tasks)
        loaded = self.warehouse.load(study, self.landing)
        self.say(f"{self.warehouse.path}: {loaded.jobs} jobs, {loaded.rows:,} rows loaded")
        for damage in loaded.damaged:
            self.say(_withdrawn(damage, plan))
        merge_small(self.landing)
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
