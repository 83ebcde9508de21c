"""What a file contains, in a digest that a job key can hold; for large files it is worked out once."""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from pathlib import Path

import pooch  # type: ignore[import-untyped]

from compute.store.files import write_whole

REMEMBERED_BYTES = 64 << 20
"""Digests of files from this size on are remembered: vectors of several GB are met in every plan."""


def content_digest(path: Path) -> str:
    """SHA-256 of a file's content, 64 hex digits.

    A large file is read once: its digest is remembered in the user's cache under its path, size and time of change.

    Raises:
        OSError: no such file, or it cannot be read.
    """
    stat = path.stat()
    if stat.st_size < REMEMBERED_BYTES:
        return _digest(path)
    note = _note(path, stat)
    with suppress(OSError, ValueError):
        remembered = json.loads(note.read_text(encoding="utf-8"))
        if isinstance(remembered, str) and len(remembered) == 64:
            return remembered
    found = _digest(path)
    with suppress(OSError):
        write_whole(note, json.dumps(found).encode())
    return found


def _digest(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _note(path: Path, stat: os.stat_result) -> Path:
    version = json.dumps([str(path.resolve()), stat.st_size, stat.st_mtime_ns, stat.st_ino])
    return Path(pooch.os_cache("transfer-warehouse")) / "digests" / hashlib.sha256(version.encode()).hexdigest()
