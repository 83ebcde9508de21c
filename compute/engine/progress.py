"""Says what runs, how much is left and when it should end: a live display on a terminal, plain lines otherwise."""

from __future__ import annotations

import sys
import time
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import Self, TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from compute.engine.plan import Plan
from compute.engine.runner import Event
from compute.engine.work import make_batches
from compute.errors import where_stderr_is_full

_SECONDS_BETWEEN_LINES = 10.0
_BAR_WIDTH = 40


class Progress(AbstractContextManager["Progress"]):
    """Listens to events of a plan's pending jobs. The expected end extrapolates the cost done so far."""

    def __init__(self, plan: Plan, stream: TextIO | None = None) -> None:
        self.jobs = {job.key: job for job in plan.pending_jobs}
        self.total = sum(job.cost for job in self.jobs.values()) or 1.0
        self.done = 0.0
        self.settled = 0
        self.failed = 0
        self.running: dict[str, tuple[str, float]] = {}
        self.batch_cost = {batch.name: batch.cost for batch in make_batches(plan.pending_jobs, {})}
        self.batch_done: dict[str, float] = {}
        self.started = time.monotonic()
        self.console = Console(file=stream or sys.stderr, highlight=False)
        self.live = Live(console=self.console, get_renderable=self._render, refresh_per_second=4)
        self.last_line = 0.0
        self.noted: set[str] = set()

    def __enter__(self) -> Self:
        if self.console.is_terminal:
            self.live.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self.console.is_terminal:
            self.live.stop()
        else:
            self._print_line(force=True)

    def __call__(self, event: Event) -> None:
        if event.kind == "progress":
            self.running[event.batch] = (event.text, event.fraction)
        elif event.kind == "noted":
            if event.text not in self.noted:  # several batches may find the same of one model
                self._print(event.text)
            self.noted.add(event.text)
        elif event.kind == "finished":
            self.running.pop(event.batch, None)
        elif event.kind in ("landed", "failed"):
            cost = self.jobs[event.job_key].cost
            self.done += cost
            self.batch_done[event.batch] = self.batch_done.get(event.batch, 0.0) + cost
            self.settled += 1
            self.running.setdefault(event.batch, (event.text, 0.0))
            if event.kind == "failed":
                self.failed += 1
                self._print(f"failed: {event.text}", "red")
        if not self.console.is_terminal:
            self._print_line()

    @property
    def fraction(self) -> float:
        """Share of the cost done, running batches counted by their own fraction."""
        partial = sum(
            max(0.0, fraction * self.batch_cost.get(batch, 0.0) - self.batch_done.get(batch, 0.0))
            for batch, (_, fraction) in self.running.items()
        )
        return min(1.0, (self.done + partial) / self.total)

    def summary(self) -> str:
        """One line: share done, jobs left, time passed, expected end."""
        elapsed = time.monotonic() - self.started
        text = f"{100 * self.fraction:3.0f} %  jobs left: {len(self.jobs) - self.settled}  {_clock(elapsed)} passed"
        if self.fraction > 0.02 and self.fraction < 1:
            left = elapsed * (1 - self.fraction) / self.fraction
            text += f"  ~{_clock(left)} to go, ends {datetime.now() + timedelta(seconds=left):%H:%M:%S}"
        return text + (f"  {self.failed} failed" if self.failed else "")

    def _render(self) -> Group:
        rows = Table.grid(padding=(0, 2))
        for batch, (text, fraction) in self.running.items():
            rows.add_row(Text(batch), Text(f"{100 * fraction:3.0f} %"), Text(text, overflow="ellipsis"))
        head = Table.grid(padding=(0, 2))
        head.add_row(ProgressBar(total=1.0, completed=self.fraction, width=_BAR_WIDTH), Text(self.summary()))
        return Group(head, rows)

    def _print_line(self, force: bool = False) -> None:
        now = time.monotonic()
        if not force and now - self.last_line < _SECONDS_BETWEEN_LINES:
            return
        self.last_line = now
        running = "; ".join(f"{batch}: {text}" for batch, (text, _) in self.running.items())
        self._print(f"[{self.summary()}] {running}")

    def _print(self, text: str, style: str | None = None) -> None:
        with where_stderr_is_full():
            self.console.print(text, style=style, markup=False, soft_wrap=True)


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
