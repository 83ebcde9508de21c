"""How long jobs take, learnt from jobs that ran: seconds for the cost that their plugin declares.

Jobs tell their work from the general to the special (`transfer/score/llama-s/compare`). A job is expected to take what
others did that share the most of that with it, if they are enough: so much a job, and so much for each unit of cost.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from compute.plugin import Job
from compute.store.experience import Measured

_ENOUGH_JOBS, _ENOUGH_SECONDS = 2, 10.0
"""Of a kind of work: so many jobs, or so long ones that what a process imports for the first does not tell."""
_FAR, _NEARER = 32.0, 2.0
"""A job whose cost is so many times beyond those of its kind that were measured is like others of a more general kind
too, where their cost is so many times nearer to its own. Costs of unlike models or tasks compare only roughly."""
_SPREAD_FREE = 2
"""Degrees of freedom, visits less what was fitted to them, from which on it can be told how much they differ."""


@dataclass(frozen=True)
class Expected:
    """What a job is expected to take.

    Attributes:
        seconds: wall time, on a machine as loaded as it was then.
        cpu_seconds: of these computed by the process; None where that was not measured.
        spread: standard deviation of visits around what was expected of them, as a share; None if too few ran.
        beyond: how many times larger it is than anything measured, or smaller; 1 within.
        peak_memory_bytes: the most seen.
        artifact_bytes: on average.
        rows: on average.
    """

    seconds: float
    cpu_seconds: float | None
    spread: float | None
    beyond: float
    peak_memory_bytes: int
    artifact_bytes: float
    rows: float


class Durations:
    """What is known of how long jobs take on one kind of machine."""

    def __init__(self, measured: Iterable[Measured]) -> None:
        by_kind: dict[str, list[Measured]] = {}
        for one in measured:
            for kind in _kinds(one.plugin, one.work):
                by_kind.setdefault(kind, []).append(one)
        # Where others can tell how long the work takes, those that imported what it needs tell how long that takes.
        used = {kind: [one for one in visits if not one.is_first] or visits for kind, visits in by_kind.items()}
        self._known = {kind: _Kind(visits) for kind, visits in used.items()}
        self._first = {kind: [one for one in visits if one.is_first] for kind, visits in by_kind.items()}
        self._expected: dict[tuple[str, str, float], Expected | None] = {}

    def __bool__(self) -> bool:
        return bool(self._known)

    def expected_seconds(self, job: Job) -> float | None:
        """Return the wall time that a job is expected to take; None where nothing of its plugin was measured."""
        expected = self.expected(job)
        return None if expected is None else expected.seconds

    def expected(self, job: Job) -> Expected | None:
        """Return what a job is expected to take; None where nothing of its plugin was measured."""
        like = (job.plugin, job.work, job.cost)
        if like not in self._expected:
            self._expected[like] = self._find(*like)
        return self._expected[like]

    def first_seconds(self, plugin: str) -> tuple[float, float]:
        """Return what a process takes beside when it runs the first jobs of a plugin: wall time, and computing."""
        beside = [
            (
                one.seconds - one.jobs * expected.seconds,
                (one.cpu_seconds or 0.0) - one.jobs * (expected.cpu_seconds or 0.0),
            )
            for one in self._first.get(plugin, ())
            if (expected := self._find(one.plugin, one.work, one.cost / one.jobs)) is not None
        ]
        if not beside:
            return 0.0, 0.0
        wall, computing = (max(0.0, sum(column) / len(beside)) for column in zip(*beside, strict=True))
        return wall, computing

    def _find(self, plugin: str, work: str, cost: float) -> Expected | None:
        known = [self._known[kind] for kind in _kinds(plugin, work) if kind in self._known]
        if not known:
            return None
        enough = [kind for kind in known if kind.is_enough] or known[-1:]
        best = min(kind.beyond(cost) for kind in enough)
        chosen = next(kind for kind in enough if kind.beyond(cost) <= max(_FAR, _NEARER * best))
        return chosen.expected(cost)


class _Kind:
    """All that was measured of one kind of work."""

    def __init__(self, visits: Sequence[Measured]) -> None:
        self.jobs = sum(one.jobs for one in visits)
        self.visits = visits
        self.smallest, self.largest = min(one.smallest for one in visits), max(one.largest for one in visits)
        self.peak_memory_bytes = max(one.peak_memory_bytes for one in visits)

    @property
    def is_enough(self) -> bool:
        """Whether a more general kind need not be asked."""
        if sum(one.seconds for one in self.visits) >= _ENOUGH_SECONDS * self.jobs:
            return True
        return self.jobs >= _ENOUGH_JOBS and not any(one.is_first for one in self.visits)

    def beyond(self, cost: float) -> float:
        """Return how many times a cost is larger than the largest measured, or smaller than the smallest; else 1."""
        if self.smallest <= 0 or cost <= 0:
            return 1.0
        return max(1.0, cost / self.largest, self.smallest / cost)

    def expected(self, cost: float) -> Expected:
        """Return what a job of that cost is expected to take."""
        a_job, a_unit = self.line
        return Expected(
            a_job + a_unit * cost,
            None if self.cpu_line is None else self.cpu_line[0] + self.cpu_line[1] * cost,
            self._spread,
            self.beyond(cost),
            self.peak_memory_bytes,
            sum(one.artifact_bytes for one in self.visits) / self.jobs,
            sum(one.rows for one in self.visits) / self.jobs,
        )

    @cached_property
    def line(self) -> tuple[float, float]:
        """Seconds a job and seconds a unit of cost, neither below 0, that give the visits' seconds in sum: weighted
        least squares, as a visit's variance grows with its cost."""
        return _fit([(one.jobs, one.cost, one.seconds) for one in self.visits])

    @cached_property
    def cpu_line(self) -> tuple[float, float] | None:
        """Likewise of the seconds that the process computed; None where none of the visits says them."""
        told = [(one.jobs, one.cost, one.cpu_seconds) for one in self.visits if one.cpu_seconds is not None]
        return _fit(told) if told else None

    @cached_property
    def _spread(self) -> float | None:
        a_job, a_unit = self.line
        fitted = [a_job * one.jobs + a_unit * one.cost for one in self.visits]
        free = len(fitted) - (a_job > 0) - (a_unit > 0)
        if free < _SPREAD_FREE or min(fitted) <= 0:
            return None
        off = sum((one.seconds - its) ** 2 / its for one, its in zip(self.visits, fitted, strict=True))
        return math.sqrt(off / sum(fitted) * len(fitted) / free)


def _fit(visits: Sequence[tuple[int, float, float]]) -> tuple[float, float]:
    """Return seconds a job and seconds a unit of cost, from (jobs, cost, seconds) of visits; see `_Kind.line`."""
    n, c, y = (float(sum(column)) for column in zip(*visits, strict=True))
    if c <= 0:
        return y / n, 0.0
    weighted = [(1 / (cost or c / n), jobs, cost, seconds) for jobs, cost, seconds in visits]
    nn, nc, cc = (sum(w * i * j for w, i, j in columns) for columns in (
        [(w, jobs, jobs) for w, jobs, _, _ in weighted],
        [(w, jobs, cost) for w, jobs, cost, _ in weighted],
        [(w, cost, cost) for w, _, cost, _ in weighted],
    ))  # fmt: skip
    ny = sum(w * jobs * seconds for w, jobs, _, seconds in weighted)
    cy = sum(w * cost * seconds for w, _, cost, seconds in weighted)
    determinant = nn * cc - nc * nc
    if determinant <= 1e-3 * nn * cc:  # all of about one cost: nothing tells the two apart
        return 0.0, y / c
    a_job, a_unit = (ny * cc - cy * nc) / determinant, (cy * nn - ny * nc) / determinant
    if a_unit <= 0:
        return y / n, 0.0
    if a_job <= 0:
        return 0.0, y / c
    scale = y / (a_job * n + a_unit * c)
    return a_job * scale, a_unit * scale


def _kinds(plugin: str, work: str) -> list[str]:
    """Return the kinds of work that one is of, the most special first."""
    parts = [plugin, *work.split("/")] if work else [plugin]
    return ["/".join(parts[:length]) for length in range(len(parts), 0, -1)]
