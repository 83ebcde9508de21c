"""One process at a time loads, tidies or removes: a second one waits, saying for whom, then gives up clearly."""

from __future__ import annotations

import fcntl
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from compute.errors import UserError, writing


@contextmanager
def exclusive(root: Path, wait: float, say: Callable[[str], None]) -> Iterator[None]:
    """Hold the lock of directory `root` for a while; the system drops it when this process ends, however. Runs that
    compute share it by claims (`compute.store.runs`), and take the lock to begin and to load.

    Raises UserError when another process still holds it after `wait` seconds, the directory cannot be written, or its
    file system has no locks.
    """
    path = root / ".lock"
    with writing(root):
        root.mkdir(parents=True, exist_ok=True)
        file = open(path, "a+", encoding="utf-8")  # noqa: SIM115 - kept open for as long as the lock is held
    with file:
        _take(file.fileno(), root, "at work", lambda: path.read_text(encoding="utf-8").strip(), wait, say)
        with suppress(OSError):  # it is for people: a full disk has a lock, and may have something to prune
            os.ftruncate(file.fileno(), 0)
            os.write(file.fileno(), str(os.getpid()).encode())
        yield


@contextmanager
def only_publisher(folder: Path, wait: float, say: Callable[[str], None]) -> Iterator[None]:
    """Hold the lock of a folder in which is published, by the folder itself: readers find no file more in it.

    Raises as `exclusive` does.
    """
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY)
    try:
        _take(descriptor, folder, "publishing", lambda: _holder(descriptor), wait, say)
        yield
    finally:
        os.close(descriptor)


def _take(
    descriptor: int, root: Path, doing: str, holder: Callable[[], str], wait: float, say: Callable[[str], None]
) -> None:
    deadline = time.monotonic() + wait
    told = False
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            process = holder() or "unknown"
            if time.monotonic() >= deadline:
                raise UserError(f"{root}: process {process} is {doing} here; wait for it or end it") from None
            if not told:
                say(f"process {process} is {doing} in {root}; waiting up to {wait:.0f} s")
                told = True
            time.sleep(0.5)
        except OSError as error:
            raise UserError(
                f"{root}: {no_locks(error)}; run in a folder on a local disk, or mount the share with locks"
            ) from None


def _holder(descriptor: int) -> str:
    """Return the number of the process that holds a lock, where Linux tells it; else nothing."""
    inode = f":{os.fstat(descriptor).st_ino}"
    try:
        lines = Path("/proc/locks").read_text(encoding="ascii").splitlines()
    except OSError:
        return ""
    # As in `1: FLOCK  ADVISORY  WRITE 4711 fe:01:123456 0 EOF`.
    return next((line.split()[4] for line in lines if " FLOCK " in line and line.split()[5].endswith(inode)), "")


def no_locks(error: OSError) -> str:
    """Say that a file system refuses locks, as shares do whose server keeps none (NFS without lockd, SMB)."""
    return f"its file system has no locks ({error.strerror}), as network shares without a lock service"


def refused_locks(folder: Path) -> OSError | None:
    """What a lock on a new file in `folder` fails with, which nobody else can hold; None where it does not fail."""
    try:
        file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - not every error is one of locks
    except OSError:
        return None
    with file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            return error
    return None
