"""`transfer compute`: run what a study still lacks, and load it."""

from __future__ import annotations

import os
import re
import signal
from argparse import ArgumentTypeError
from datetime import UTC, datetime
from types import FrameType

from compute.engine.devices import DEVICES
from compute.engine.executors.slurm_commands import requeue_this_task
from compute.engine.work import Part
from compute.errors import TimeIsUp, UserError
from compute.verbs.chosen import study_file
from compute.verbs.options import Options, Parser, add_study, add_warehouse, positive, say, seconds
from compute.verbs.session import Session, Share


def add_arguments(parser: Parser) -> None:
    """Add what the verb takes."""
    add_study(parser)
    add_warehouse(parser)
    add_machines(parser)
    add_part(parser)


def add_machines(parser: Parser) -> None:
    """Add where jobs run."""
    parser.add_argument(
        "--executor", default=os.environ.get("EXECUTOR", "local"), help="where jobs run (EXECUTOR; default: local)"
    )
    add_device(parser)
    parser.add_argument("--workers", type=positive, help="processes (default: one a core, or one on a GPU)")
    parser.add_argument(
        "--gpus", type=positive, help="tasks at once, a GPU each (slurm, ray; default: as cluster.yml says)"
    )


def add_device(parser: Parser) -> None:
    """Add on which device jobs run."""
    parser.add_argument(
        "--device",
        default=os.environ.get("DEVICE", "auto"),
        help=f"one of {', '.join(DEVICES)} (DEVICE; default: auto)",
    )


def add_part(parser: Parser) -> None:
    """Add what one of several runs is to do."""
    parser.add_argument(
        "--part",
        type=part,
        metavar="I/N",
        help="land the I-th of N parts, and then help with the others'; for schedulers of any kind. Nothing is loaded",
    )
    parser.add_argument(
        "--patience",
        type=seconds,
        default=float("inf"),
        help="with --part: seconds after which to end if others have all the work that is left (default: wait for it)",
    )
    parser.add_argument(
        "--since",
        type=moment,
        default=datetime.now(UTC),
        help="with --part: jobs that failed since then (ISO 8601) are not tried again (default: now)",
    )


def part(text: str) -> Part:
    """Return a part such as 3/16. Raises ArgumentTypeError."""
    found = re.fullmatch(r"([1-9]\d{0,5})/([1-9]\d{0,5})", text)
    if found is None or int(found[1]) > int(found[2]):
        raise ArgumentTypeError(f"expected a part such as 3/16, from 1/16 to 16/16, found {text!r}")
    return Part(int(found[1]), int(found[2]))


def moment(text: str) -> datetime:
    """Return a time with its zone. Raises ArgumentTypeError."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise ArgumentTypeError(f"expected a time such as 2026-01-31T12:00:00+00:00, found {text!r}")
    return found


def run(options: Options) -> int:
    """Return 1 where jobs failed or landed files are damaged, else 0."""
    session = Session(study_file(options), options.warehouse, options.wait, say)
    if options.gpus is not None and options.workers is not None:
        raise UserError("--gpus, --workers: processes here, or tasks elsewhere; give one of the two")
    if options.part is None:
        return session.compute(options.executor, options.device, options.gpus or options.workers)
    share = Share(options.part, options.since, options.patience)
    before = signal.signal(signal.SIGUSR1, _end_in_time)
    try:
        return session.compute_part(options.executor, options.device, options.workers, share)
    except TimeIsUp:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # by which Slurm ends a task that is put back
        again = requeue_this_task()
        say(f"time is up; what has landed is kept, {'queued again' if again else 'run again to go on'}")
        return TIME_IS_UP
    finally:
        signal.signal(signal.SIGUSR1, before)


TIME_IS_UP = 75
"""The exit code when a scheduler has said by SIGUSR1 that time is nearly up: EX_TEMPFAIL of sysexits.h."""


def _end_in_time(number: int, frame: FrameType | None) -> None:
    raise TimeIsUp
