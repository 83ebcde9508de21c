"""The display: what runs, how much is left, what failed."""

from __future__ import annotations

import io
from pathlib import Path

from compute.engine.plan import Plan
from compute.engine.progress import Progress
from compute.engine.runner import Event
from compute.plugin import Job
from compute.study.file import read_study
from tests.helpers.any_config import AnyConfig

STUDY = read_study(Path(__file__).parents[2] / "studies" / "tiny.yml")
LONG = Job("p", "1", AnyConfig(n=1), label="long", batch="long", cost=9.0)
SHORT = Job("p", "1", AnyConfig(n=2), label="short", batch="short", cost=1.0)


def progress(stream: io.StringIO) -> Progress:
    jobs = {job.key: job for job in (LONG, SHORT)}
    return Progress(Plan(STUDY, jobs, dict.fromkeys(jobs, "")), stream)


def test_the_share_done_counts_cost_and_running_batches() -> None:
    shown = progress(io.StringIO())
    assert shown.fraction == 0
    shown(Event("landed", "p short", "short", job_key=SHORT.key))
    assert shown.fraction == 0.1
    shown(Event("progress", "p long", "half way", 0.5))
    assert shown.fraction == 0.1 + 0.45
    assert "jobs left: 1" in shown.summary()
    assert "to go, ends" in shown.summary()
    shown(Event("landed", "p long", "long", job_key=LONG.key))
    assert shown.fraction == 1.0


def test_without_a_terminal_it_prints_plain_lines() -> None:
    stream = io.StringIO()
    with progress(stream) as shown:
        shown(Event("progress", "p long", "loss 1.5", 0.1))
        shown(Event("noted", "p long", "read: [bold]1 malformed"))  # at once after another line
        shown(Event("failed", "p long", f"long: [bold]it broke{100 * '.'}it did", job_key=LONG.key))
    text = stream.getvalue()
    assert "p long: loss 1.5" in text
    assert "read: [bold]1 malformed\n" in text
    assert f"failed: long: [bold]it broke{100 * '.'}it did\n" in text
    assert "1 failed" in text
    assert "\x1b" not in text
