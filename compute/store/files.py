"""Files that appear whole or not at all, and the digests by which damage to them is found."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from compute.errors import refused_by_disk
from compute.plugin import canonical_json

TEMPORARY = ".tmp"
"""How the names of files end that are being written; they begin with a dot."""

DIGESTS = ".sha256"
"""The record in an artifact's folder of its files' digests."""


def sync_directory(directory: Path) -> None:
    """Flush a directory's entries (created and renamed names) to the disk."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Within the block an error of the disk that tells no file, as writing to an open one does not, gets this one."""
    try:
        yield
    except OSError as error:
        if error.filename is None and refused_by_disk(error) is not None:
            error.filename = str(path)
        raise


def write_whole(path: Path, content: Any) -> str:
    """Write bytes to a new file, flush them to the disk, and let the file take its name; return their SHA-256.

    Raises OSError when the disk refuses; there is no file then, or the one there was.
    """
    with appearing(path) as file:
        file.write(content)
    return hashlib.sha256(content).hexdigest()


def copy_whole(source: Path, path: Path) -> None:
    """Copy a file's content as `write_whole` writes, in pieces. Raises OSError."""
    with open(source, "rb") as original, appearing(path) as file:
        shutil.copyfileobj(original, file)


@contextmanager
def appearing(path: Path) -> Iterator[BinaryIO]:
    """Yield a file to write into, which takes its name on a clean exit."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}{TEMPORARY}")
    try:
        with naming(path), open(temporary, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def folder_size(folder: Path) -> int:
    """Return the bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


class DamagedRecord(Exception):
    """A record cannot be read, or is not what was written."""


def write_record(path: Path, value: Any) -> None:
    """Write a value as JSON under a line with its SHA-256, whole or not at all. Raises OSError."""
    body = canonical_json(value).encode()
    write_whole(path, hashlib.sha256(body).hexdigest().encode() + b"\n" + body + b"\n")


def read_record(path: Path) -> Any:
    """Return the value of a record. Raises DamagedRecord, or FileNotFoundError where there is none."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise DamagedRecord(error.strerror or str(error)) from None
    return parse_record(content)


def parse_record(content: bytes) -> Any:
    """Return the value of a record's bytes. Raises DamagedRecord."""
    digest, _, body = content.partition(b"\n")
    if hashlib.sha256(body.removesuffix(b"\n")).hexdigest().encode() != digest:
        raise DamagedRecord("its SHA-256 is not the one in its first line")
    return json.loads(body)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, read in pieces. Raises OSError."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
