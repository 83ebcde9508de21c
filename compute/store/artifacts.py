"""Artifacts of jobs: `artifacts/<job_key>/`, appearing whole or not at all.

Jobs trained together commit together: all their directories are staged, then one rename makes the whole set
final. A run killed at any moment therefore finds either every member of the set or none, and repeats the same
computation with the same members, so its numbers do not depend on when it was killed.

`artifacts/<job_key>/.sha256` names the files that were written, with their SHA-256. Each process checks them when it
first uses an artifact (0.7 s a GB); one that is damaged is withdrawn, and the next run makes it again.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from compute.errors import JobError, refused_by_disk
from compute.store.files import DamagedRecord, naming, read_record, sha256_of, sync_directory, write_record

_STAGED, _COMMITTED, _WITHDRAWN = ".staged-", ".committed-", ".withdrawn-"
_DIGESTS = ".sha256"


def _sync_tree(root: Path) -> None:
    for directory, _, files in os.walk(root):
        for name in files:
            with open(Path(directory, name), "rb") as file:
                os.fsync(file.fileno())
        sync_directory(Path(directory))


def _write_digests(folder: Path) -> None:
    """Write which files an artifact has."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    write_record(folder / _DIGESTS, {path.relative_to(folder).as_posix(): sha256_of(path) for path in files})


def _damage(folder: Path) -> str | None:
    """Return which file of an artifact is not what was written, and why; None where all are, or no digests are there,
    as in artifacts of earlier versions."""
    try:
        digests = read_record(folder / _DIGESTS)
    except FileNotFoundError:
        return None
    except DamagedRecord as error:
        return f"{folder / _DIGESTS} is damaged ({error})"
    for name, digest in digests.items():
        try:
            if sha256_of(folder / name) != digest:
                return f"{folder / name} is damaged (its SHA-256 is not the recorded one)"
        except OSError as error:
            return f"{folder / name} is damaged ({error.strerror})"
    return None


_sound: set[tuple[Path, int]] = set()
"""Artifacts that this process has checked, each by its place and inode: one that is made anew is checked again."""


class ArtifactStore:
    """The directory of artifacts; one process may recover it while none is running jobs."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def has(self, key: str) -> bool:
        return (self.root / key).is_dir()

    def size(self, key: str) -> int:
        """Return the bytes of a finished artifact's files; 0 where there is none."""
        return sum(path.stat().st_size for path in (self.root / key).rglob("*") if path.is_file())

    def path(self, key: str) -> Path:
        """Return the directory of a finished artifact. Raises JobError if it is gone, or damaged: that withdraws it."""
        folder = self.root / key
        if not self.has(key):
            raise JobError(f"artifact {folder} is missing")
        place = (folder.absolute(), folder.stat().st_ino)
        if place not in _sound:
            if (damage := _damage(folder)) is not None:
                self._withdraw(key)
                raise JobError(f"{damage}; artifact {key[:8]} is withdrawn, and made again when this job is run again")
            _sound.add(place)
        return folder

    def _withdraw(self, key: str) -> None:
        """Take an artifact away, at once for all who look for it; who has its files open keeps them."""
        with suppress(OSError):  # gone already, or a disk that is read-only: the next to use it finds the same
            aside = self.root / f"{_WITHDRAWN}{key}-{uuid.uuid4().hex}"
            (self.root / key).rename(aside)
            shutil.rmtree(aside, ignore_errors=True)

    @contextmanager
    def commit(self, keys: Iterable[str]) -> Iterator[dict[str, Path]]:
        """Yield an empty directory per key to write into; on a clean exit all of them become final at once."""
        self.root.mkdir(parents=True, exist_ok=True)
        staged = Path(tempfile.mkdtemp(prefix=_STAGED, dir=self.root))
        try:
            directories = {key: staged / key for key in keys}
            for directory in directories.values():
                directory.mkdir()
            with naming(self.root):
                yield directories
            for directory in directories.values():
                _write_digests(directory)
            _sync_tree(staged)
        except BaseException as error:
            shutil.rmtree(staged, ignore_errors=True)
            if not isinstance(error, OSError) and (refused := refused_by_disk(error)) is not None:
                raise JobError(f"{self.root}: {refused}") from error
            raise
        committed = staged.with_name(staged.name.replace(_STAGED, _COMMITTED))
        staged.rename(committed)
        sync_directory(self.root)
        self._distribute(committed)

    def _distribute(self, committed: Path) -> None:
        for directory in committed.iterdir():
            if self.has(directory.name):
                shutil.rmtree(directory)
            else:
                directory.rename(self.root / directory.name)
        committed.rmdir()
        sync_directory(self.root)

    def recover(self) -> None:
        """Finish what a killed run had committed, and drop what it had only staged."""
        for committed in self.root.glob(f"{_COMMITTED}*"):
            self._distribute(committed)
        for left in (*self.root.glob(f"{_STAGED}*"), *self.root.glob(f"{_WITHDRAWN}*")):
            shutil.rmtree(left, ignore_errors=True)
