"""What can go wrong, sorted by who has to act."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG)
_REFUSED = (*_NO_ROOM, errno.EACCES)
_NUMPYS = re.compile(r"\d+ requested and \d+ written")
"""All that NumPy says of a disk that takes no more."""


class UserError(Exception):
    """The input is wrong: one clear line (place, what was expected, nearest valid name), exit code 2."""


class JobError(Exception):
    """One job cannot be done; the others go on. The text lands in `jobs.error`."""


class DeviceLost(Exception):
    """The GPU does nothing more in this process (an assertion or illegal access there); in a fresh one it may."""


class TimeIsUp(KeyboardInterrupt):
    """The scheduler is about to end this run: it ends as by Ctrl-C, and may be begun anew."""


def refused_by_disk(error: BaseException, place: str = "the disk") -> str | None:
    """Return in one line what the disk refuses, where an error is of a full, read-only or forbidden place; else None.

    Libraries that are not written in Python (DuckDB, Polars, safetensors) raise errors of their own, whose text is the
    system's. `place` stands for a file that the error does not name.
    """
    if isinstance(error, OSError) and error.errno in _REFUSED:
        refused = "opened" if error.errno == errno.EACCES else "written"  # permission to read may lack as well
        return f"{error.filename or place}: cannot be {refused}: {error.strerror}"
    if isinstance(error, OSError) and error.args and _NUMPYS.fullmatch(str(error.args[0])):
        return f"{error.filename or place}: cannot be written: {error.args[0]}; is the disk full?"
    lines = [line.strip() for line in str(error).splitlines() if tells_of_full_disk(line)]
    return lines[-1] if lines else None


def first_line(error: BaseException) -> str:
    """Return one line of an error of others' making."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:300] if lines else type(error).__name__


def tells_of_full_disk(line: str) -> bool:
    """Return whether a line has the system's words for a full or read-only disk."""
    return any(os.strerror(number) in line for number in _NO_ROOM)


@contextmanager
def writing(place: object) -> Iterator[None]:
    """Within the block an OSError is a UserError, which says that `place` cannot be written."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{place}: cannot be written: {error.strerror}") from None


@contextmanager
def reading(path: object) -> Iterator[None]:
    """Within the block a file that cannot be read, or is not UTF-8, is a UserError, which names it."""
    try:
        yield
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 text (byte {error.start})") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from error


@contextmanager
def where_stderr_is_full() -> Iterator[None]:
    """Within the block words for people may be lost: a log on a full disk ends no run."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError:
        pass
