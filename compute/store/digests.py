"""What a file contains, in a digest that a job key can hold: read once, whatever asks for it how often."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from compute.store.files import sha256_of, write_whole

REMEMBERED_BYTES = 64 << 20
"""Digests of files from this size on are remembered: vectors and weights of several GB are met in every plan."""


def content_digest(path: Path) -> str:
    """Return the SHA-256 of a file's content, 64 hex digits.

    A process reads a file again only when its size or time of change differs. The digest of a large one is remembered
    in the user's cache.

    Raises:
        OSError: no such file, or it cannot be read.
    """
    stat = path.stat()
    return _digest(path.resolve(), stat.st_size, stat.st_mtime_ns, stat.st_ino)


@lru_cache(maxsize=100_000)
def _digest(path: Path, *version: int) -> str:
    """Return the digest of a version of a file: its size, time of change and inode."""
    if version[0] < REMEMBERED_BYTES:
        return sha256_of(path)
    import pooch  # type: ignore[import-untyped]  # which scoring by itself does without

    named = hashlib.sha256(json.dumps([str(path), *version]).encode()).hexdigest()
    note = Path(pooch.os_cache("transfer-warehouse")) / "digests" / named
    with suppress(OSError, ValueError):
        remembered = json.loads(note.read_text(encoding="utf-8"))
        if isinstance(remembered, str) and len(remembered) == 64:
            return remembered
    found = sha256_of(path)
    with suppress(OSError):
        write_whole(note, json.dumps(found).encode())
    return found
