"""A cluster with a clock of its own: the batches of a plan are packed and given out by `compute.engine.work`, and tasks
come, compute, wait and leave as those that `--executor slurm` submits. Only durations are made up."""

from __future__ import annotations

import heapq
import random
from collections import Counter
from dataclasses import dataclass

from compute.engine.execute import SECONDS_BETWEEN_LOOKS
from compute.engine.executors.slurm import MOST_SECONDS_BETWEEN_QUESTIONS, SECONDS_TO_WAIT_FOR_WORK
from compute.engine.runner import Batch
from compute.engine.work import Work
from compute.plugin import Job, JobConfig
from compute.store.runs import SECONDS_TO_LIVE


class Made(JobConfig):
    """A job's configuration that says only which one it is."""

    number: int


@dataclass(frozen=True)
class Setting:
    """What is simulated, times in seconds.

    Attributes:
        bases: jobs that come first, one a batch; each is read by as many of the others.
        batches: and the jobs in each.
        jobs: in a batch.
        median: of a batch's duration, which is log-normal.
        spread: standard deviation of its logarithm.
        wrong: standard deviation of the logarithm of true over declared cost.
        overhead: a batch: claim, look, commit, release.
        start: of a task: Python, plan.
        queue: the longest that a task waits in the queue.
        deaths: of tasks in an hour of theirs; a batch that dies is begun anew after `SECONDS_TO_LIVE`.
    """

    bases: int
    batches: int
    jobs: int
    median: float
    spread: float
    wrong: float
    overhead: float
    start: float = 30.0
    queue: float = 120.0
    deaths: float = 0.0


@dataclass(frozen=True)
class Outcome:
    """What became of it, times in seconds.

    Attributes:
        held: by tasks, from their start to their end.
        computed: of that.
        end: of the last batch.
        bound: no order ends sooner: all work divided by the GPUs, or the longest way.
        tasks: that were submitted.
    """

    held: float
    computed: float
    end: float
    bound: float
    tasks: int

    @property
    def idle_share(self) -> float:
        """Of the time that GPUs were held, that in which nothing was computed."""
        return 1 - self.computed / self.held


def made_up(setting: Setting, draw: random.Random) -> tuple[list[Batch], dict[str, float]]:
    """Return batches with declared costs, and how long each takes."""
    batches: list[Batch] = []
    seconds: dict[str, float] = {}

    def add(name: str, jobs: int, reads: Job | None) -> Job:
        true = setting.median * draw.lognormvariate(0, setting.spread)
        declared = true * draw.lognormvariate(0, setting.wrong) / jobs
        inputs = {} if reads is None else {"base": reads.key}
        made = [
            Job("made", "1", Made(number=len(batches) * 1000 + job), inputs, f"{name} {job}", name, declared)
            for job in range(jobs)
        ]
        batches.append(Batch(name, tuple(made)))
        seconds[name] = true
        return made[0]

    bases = [add(f"base {number}", 1, None) for number in range(setting.bases)]
    for number in range(setting.batches):
        add(f"batch {number}", setting.jobs, draw.choice(bases) if bases else None)
    return batches, seconds


class Simulation:
    """GPUs, and a run that keeps tasks on them."""

    def __init__(self, setting: Setting, gpus: int, seed: int) -> None:
        self.setting, self.gpus, self.draw = setting, gpus, random.Random(seed)
        batches, self.seconds = made_up(setting, self.draw)
        self.work = Work(batches, gpus)
        self.left = len(batches)
        self.readers = Counter(key for batch in batches for key in set(batch.jobs[0].inputs.values()))
        self.released = sum(not batch.jobs[0].inputs for batch in batches)
        """Batches that are ready, begun or done."""
        self.now = self.held = self.computed = 0.0
        self.began: dict[int, float] = {}
        """Part -> when its task started."""
        self.idle_since: dict[int, float] = {}
        self.coming: set[int] = set()
        self.tasks = 0
        self._queue: list[tuple[float, int, str, int, str]] = []
        self._count = 0

    def run(self) -> Outcome:
        bound = max(sum(self.seconds.values()) / self.gpus, self._longest_way())
        self.at(0.0, "question", 0)
        end = 0.0
        while self._queue and (self.left or self.began):
            self.now, _, what, part, name = heapq.heappop(self._queue)
            getattr(self, what)(part, name)
            if what == "done":
                end = self.now
        return Outcome(self.held, self.computed, end, bound, self.tasks)

    def _longest_way(self) -> float:
        first = {job.key: self.seconds[batch.name] for batch in self.work.batches for job in batch.jobs}
        return max(
            self.seconds[batch.name] + max((first[key] for key in batch.jobs[0].inputs.values()), default=0.0)
            for batch in self.work.batches
        )

    def at(self, time: float, what: str, part: int, name: str = "") -> None:
        self._count += 1
        heapq.heappush(self._queue, (time, self._count, what, part, name))

    def question(self, part: int, name: str) -> None:
        """The run that submits asks the queue, and submits as many tasks as there are batches to compute."""
        if not self.left:
            return
        open_now = self.released - (len(self.work.batches) - self.left)
        there = len(self.began) + len(self.coming)
        for free in [p for p in range(1, self.gpus + 1) if p not in self.began and p not in self.coming]:
            if there >= min(self.gpus, open_now):
                break
            there += 1
            self.tasks += 1
            self.coming.add(free)
            self.at(self.now + self.draw.uniform(0, self.setting.queue), "start", free)
        self.at(self.now + MOST_SECONDS_BETWEEN_QUESTIONS, "question", 0)

    def start(self, part: int, name: str) -> None:
        self.coming.discard(part)
        self.began[part] = self.now
        self.at(self.now + self.setting.start, "look", part)

    def look(self, part: int, name: str) -> None:
        """A task with nothing to do looks for work."""
        batch = self.work.next_ready(part)
        if batch is not None:
            self.idle_since.pop(part, None)
            takes = self.seconds[batch.name]
            dies = self.draw.expovariate(self.setting.deaths / 3600) if self.setting.deaths else float("inf")
            if dies < takes:
                self.at(self.now + dies, "die", part, batch.name)
            else:
                self.at(self.now + takes + self.setting.overhead, "done", part, batch.name)
        elif not self.left or self.now - self.idle_since.setdefault(part, self.now) >= SECONDS_TO_WAIT_FOR_WORK:
            self.leave(part)
        else:
            self.at(self.now + SECONDS_BETWEEN_LOOKS, "look", part)

    def done(self, part: int, name: str) -> None:
        self.computed += self.seconds[name]
        self.left -= 1
        for job in self.work.left_of(name).jobs:
            self.work.land(job.key)
            self.released += self.readers[job.key]
        self.work.finish(name)
        self.look(part, name)

    def die(self, part: int, name: str) -> None:
        self.leave(part)
        self.at(self.now + SECONDS_TO_LIVE, "void", part, name)

    def void(self, part: int, name: str) -> None:
        """The claim of a task that died is void."""
        self.work.set_aside(name)
        self.work.take_back(name)

    def leave(self, part: int) -> None:
        self.idle_since.pop(part, None)
        self.held += self.now - self.began.pop(part)
