"""What can go wrong, sorted by who has to act."""

from __future__ import annotations


class UserError(Exception):
    """The input is wrong: one clear line (place, what was expected, nearest valid name), exit code 2."""


class JobError(Exception):
    """One job cannot be done; the others go on. The text lands in `jobs.error`."""


class DeviceLost(Exception):
    """The GPU does nothing more in this process (an assertion or illegal access there); in a fresh one it may."""


class TimeIsUp(KeyboardInterrupt):
    """The scheduler is about to end this run: it ends as by Ctrl-C, and may be begun anew."""
