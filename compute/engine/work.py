"""The batches of a plan: their order, which may run, and what waits for what. Nothing here reads a disk or a clock."""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from compute.engine.runner import Batch
from compute.plugin import Job


@dataclass(frozen=True)
class Part:
    """The share of one of several runs: `number` of `of`, from 1."""

    number: int
    of: int

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"


WHOLE = Part(1, 1)


def make_batches(jobs: Iterable[Job], attempts: dict[str, int]) -> list[Batch]:
    """Group jobs by plugin and batch label, in plan order."""
    groups: dict[tuple[str, str], list[Job]] = {}
    for job in jobs:
        groups.setdefault((job.plugin, job.batch or job.label), []).append(job)
    return [
        Batch(f"{plugin} {label}".strip(), tuple(group), {job.key: attempts.get(job.key, 0) for job in group})
        for (plugin, label), group in groups.items()
    ]


def pack(costs: Sequence[float], parts: int) -> list[int]:
    """Return for each of some batches the part (from 1) that it belongs to: the longest first, each to the part with
    the least work so far (Graham 1969: at most 4/3 of the best possible end)."""
    loads = [(0.0, part) for part in range(1, parts + 1)]
    packed = [0] * len(costs)
    for index in sorted(range(len(costs)), key=lambda index: (-costs[index], index)):
        load, part = heapq.heappop(loads)
        packed[index] = part
        heapq.heappush(loads, (load + costs[index], part))
    return packed


class Work:
    """Batches that are waiting for their inputs, ready, begun, or settled.

    A batch is ready when the jobs that its own read from other batches have landed. Of the ready ones `next_ready`
    gives those of a part first, the one with the longest way behind it before others; then those of the parts after
    it, the shortest way first, so that runs which have done their share help without meeting at one batch.
    """

    def __init__(self, batches: Sequence[Batch], parts: int = 1) -> None:
        """Pack batches into parts."""
        self.batches = list(batches)
        self.parts = parts
        self._indices = {batch.name: index for index, batch in enumerate(self.batches)}
        self._batch_of = {job.key: index for index, batch in enumerate(self.batches) for job in batch.jobs}
        self._readers: dict[str, list[int]] = defaultdict(list)
        """Key -> the other batches that read it."""
        self._needs: list[set[str]] = []
        for index, batch in enumerate(self.batches):
            self._needs.append(self._needed(batch))
            for key in self._needs[index]:
                self._readers[key].append(index)
        self._open = [{job.key for job in batch.jobs} for batch in self.batches]
        self.unsettled = set(self._batch_of)
        """Keys of jobs that have neither landed nor failed, and are not blocked."""
        self.lost: set[str] = set()
        """Keys of jobs that failed or are blocked."""
        self._begun: set[int] = set()
        self._packed = pack([batch.cost for batch in self.batches], parts)
        self._behind = self._ways_behind()
        self._longest: list[list[tuple[float, int]]] = [[] for _ in range(parts)]
        self._shortest: list[list[tuple[float, int]]] = [[] for _ in range(parts)]
        """The ready batches of each part, as heaps; what has begun is left out when it comes up."""
        for index, needs in enumerate(self._needs):
            if not needs:
                self._put(index)

    def _needed(self, batch: Batch) -> set[str]:
        """Return the keys of jobs of other batches that this one reads."""
        own = {job.key for job in batch.jobs}
        return {key for job in batch.jobs for key in job.inputs.values() if key in self._batch_of} - own

    def _ways_behind(self) -> list[float]:
        """Return the cost of the longest way from the beginning of each batch to an end."""
        readers: list[set[int]] = [set() for _ in self.batches]
        for key, some in self._readers.items():
            readers[self._batch_of[key]].update(some)
        left = Counter(reader for some in readers for reader in some)
        order = [index for index in range(len(self.batches)) if not left[index]]
        for index in order:  # grows: inputs first
            for reader in readers[index]:
                left[reader] -= 1
                if not left[reader]:
                    order.append(reader)
        behind = [batch.cost for batch in self.batches]
        for index in reversed(order):
            behind[index] += max((behind[reader] for reader in readers[index]), default=0.0)
        return behind

    def _put(self, index: int) -> None:
        part, way = self._packed[index] - 1, self._behind[index]
        heapq.heappush(self._longest[part], (-way, index))
        heapq.heappush(self._shortest[part], (way, index))

    def _is_ready(self, index: int) -> bool:
        return bool(self._open[index]) and index not in self._begun

    def next_ready(self, part: int = 1) -> Batch | None:
        """Return the batch that a part is to begin next, with its open jobs, and count it as begun; None if there is
        none."""
        for turn in range(self.parts):
            ready = (self._shortest if turn else self._longest)[(part - 1 + turn) % self.parts]
            while ready:
                _, index = heapq.heappop(ready)
                if self._is_ready(index):
                    self._begun.add(index)
                    return self.left_of(self.batches[index].name)
        return None

    def left_of(self, name: str) -> Batch:
        """Return a batch with its open jobs."""
        index = self._indices[name]
        batch = self.batches[index]
        return replace(batch, jobs=tuple(job for job in batch.jobs if job.key in self._open[index]))

    def batch_of(self, key: str) -> Batch:
        """Return the batch that a job is in."""
        return self.batches[self._batch_of[key]]

    def set_aside(self, name: str) -> None:
        """Say that a batch did not begin here after all, for another run has it."""
        self._begun.discard(self._indices[name])

    def take_back(self, name: str) -> None:
        """Say that a batch that was set aside is open again."""
        if self._open[self._indices[name]]:
            self._put(self._indices[name])

    def finish(self, name: str) -> None:
        """Say that a batch has ended here: of jobs still open in it nothing more will be heard."""
        self._begun.discard(self._indices[name])
        self._open[self._indices[name]] = set()

    def land(self, key: str) -> bool:
        """Say that a job has landed; return whether that is news."""
        if key not in self.unsettled:
            return False
        self._settle(key)
        for reader in self._readers[key]:
            self._needs[reader].discard(key)
            if not self._needs[reader] and self._is_ready(reader):
                self._put(reader)
        return True

    def fail(self, key: str) -> bool:
        """Say that a job has failed; return whether that is news."""
        if key not in self.unsettled:
            return False
        self._settle(key)
        self.lost.add(key)
        return True

    def _settle(self, key: str) -> None:
        self.unsettled.discard(key)
        self._open[self._batch_of[key]].discard(key)

    def block(self, key: str) -> Iterator[Job]:
        """Yield the jobs that cannot run because one has failed, directly or through each other: they are settled.

        A batch that has begun here tells of its own jobs itself.
        """
        told = [key]
        while told:
            failed = told.pop()
            for index in (self._batch_of[failed], *self._readers[failed]):
                if index in self._begun:
                    continue
                for job in self.batches[index].jobs:  # plan order: inputs first
                    if job.key in self._open[index] and self.lost.intersection(job.inputs.values()):
                        self._settle(job.key)
                        self.lost.add(job.key)
                        told.append(job.key)
                        yield job
                self._needs[index] = self._needed(self.left_of(self.batches[index].name)) & self.unsettled
                if not self._needs[index] and self._is_ready(index):
                    self._put(index)
