"""`transfer calibrate`: measure in a small sample how long a study's jobs take on this device."""

from __future__ import annotations

import socket
import tempfile
from datetime import UTC, datetime

from compute.engine.calibration import calibrate
from compute.engine.devices import resolve_device
from compute.errors import UserError
from compute.project import CALIBRATIONS
from compute.store.experience import CalibrationFile
from compute.study.file import read_study
from compute.verbs.chosen import study_file
from compute.verbs.compute import add_device
from compute.verbs.options import Options, Parser, add_study, say, seconds


def add_arguments(parser: Parser) -> None:
    """Add what the verb takes."""
    add_study(parser)
    add_device(parser)
    parser.add_argument(
        "--seconds",
        type=seconds,
        default=30.0,
        help="end after so many, with what was measured until then (default: 30)",
    )


def run(options: Options) -> int:
    """Measure, and say what was measured. Return 1 where jobs of the sample failed, else 0."""
    file = study_file(options)
    study = read_study(file)
    device, host = resolve_device(options.device), socket.gethostname()
    found = calibrate(file, device, options.seconds)
    for failure in found.failed:
        say(f"failed: {failure}")
    if found.ended and not (found.measured or found.failed):
        raise UserError(f"{tempfile.gettempdir()}: no job of the sample could land there; is the disk full?")
    if not found.measured:
        raise UserError(
            f"nothing was measured in {options.seconds:g} s on {device}: "
            + ("every job of the sample failed" if found.failed else "give it longer, with --seconds")
        )
    at = datetime.now(UTC).isoformat(timespec="seconds")
    path = CalibrationFile(host, device, at, found.start_seconds, found.measured).write(CALIBRATIONS)
    for plugin in dict.fromkeys(one.plugin for one in found.measured):
        own = [one for one in found.measured if one.plugin == plugin]
        print(f"{plugin:<12} {sum(one.jobs for one in own):>5} jobs {sum(one.seconds for one in own):>8.2f} s")
    print(f"{path}: a sample of {study.study} on {device} of {host}; a worker starts in {found.start_seconds:.1f} s")
    if not found.ended:
        say(f"ended after {options.seconds:g} s, before all of the sample was measured; --seconds gives it longer")
    return 1 if found.failed else 0
